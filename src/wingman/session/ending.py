"""Ending: how a run ends, and what that means for the step under way."""

import logging

import attrs

from wingman.conversation import CutShort
from wingman.errors import RunFailed, WingmanError
from wingman.events import StopReason
from wingman.session.run import Run
from wingman.store.base import RunStatus

__all__ = ["Ending", "cut", "failure"]

logger = logging.getLogger("wingman.session")

_UNANSWERED: dict[CutShort | None, str] = {
    None: "Not executed: the run had ended.",
    "cancelled": "Cancelled: the user stopped the run before this call had ended.",
    "failed": "Not executed: the model's response broke off.",
    "interrupted": "Interrupted: the server stopped before this call had ended.",
    "time_limit": "Stopped: the run's time limit was reached before this call had ended.",
}


@attrs.frozen
class Ending:
    """With a reason or with an error. `cut_short` marks what of the step had not come."""

    status: RunStatus
    stop_reason: StopReason | None = None
    error: WingmanError | None = None
    cut_short: CutShort | None = None

    @property
    def unanswered(self) -> str:
        """What the model is told of a call that has no result."""
        return _UNANSWERED[self.cut_short]


def cut(run: Run) -> Ending:
    """The ending of a run that is cancelled, by name or with all that runs here."""
    reason = run.cut_by or "interrupted"
    return Ending(reason, reason, cut_short=reason)


def failure(run: Run, error: Exception) -> Ending:
    """The ending of a run that raised. What is no error of ours is told to the log alone."""
    if run.cut_by is not None:
        logger.error("run %s failed as it was cut", run.id, exc_info=error)
        return cut(run)
    if not isinstance(error, WingmanError):
        logger.error("run %s failed", run.id, exc_info=error)
        error = RunFailed(
            "The run failed by an error inside the server; its log has the details.",
            "internal_error",
            run.id,
        )
    return Ending("failed", error=error, cut_short="failed")
