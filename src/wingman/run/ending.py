"""Ending: how a run ends, and what that means for the step under way."""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import attrs

from wingman.conversation import CutShort, Message, ToolResultBlock, Usage
from wingman.errors import RunFailed, ShuttingDown, WingmanError
from wingman.events import Result, StopReason, summarize
from wingman.foreign import copy_of
from wingman.run.cost import Spent
from wingman.store import RunStatus
from wingman.telemetry import log_event

__all__ = ["Ending", "cut", "failure", "limit_struck", "reached", "waiting_error"]

logger = logging.getLogger("wingman.run")

# So many failures in a row that are all alike are no accident any more.
_SAME_FAILURES = 3

_UNANSWERED: dict[CutShort | None, str] = {
    None: "Not executed: the run had ended.",
    "cancelled": "Cancelled: the user stopped the run before this call had ended.",
    "failed": "Not executed: the model's response broke off.",
    "interrupted": "Interrupted: the server stopped before this call had ended.",
    "time_limit": "Stopped: the run's time limit was reached before this call had ended.",
}


@attrs.frozen
class Ending:
    """With a reason or with an error. `cut_short` marks what of the step had not come.

    `detail` says in words what the reason is, where a limit struck.
    """

    status: RunStatus
    stop_reason: StopReason | None = None
    error: WingmanError | None = None
    cut_short: CutShort | None = None
    detail: str | None = None

    @property
    def unanswered(self) -> str:
        """What the model is told of a call that has no result."""
        return _UNANSWERED[self.cut_short]

    def waited(self, tool_use_id: str) -> ToolResultBlock:
        """What the model is told of a call that waits for a person: it is known that it has not
        run."""
        text = f"{self.unanswered} It was waiting for permission, and has not run."
        return ToolResultBlock(tool_use_id, text, is_error=True, cut_short=self.cut_short)

    def result(
        self, run_id: str, messages: Sequence[Message], steps: int, spent: Spent, output: Any
    ) -> Result | None:
        """What the run came to, if it did not fail."""
        if self.stop_reason is None:
            return None
        return summarize(
            run_id,
            messages,
            self.stop_reason,
            steps,
            spent.usage,
            self.detail,
            output,
            spent.cost,
        )


def limit_struck(stop_reason: StopReason, what: str, messages: Sequence[Message]) -> Ending:
    """The ending of a run that has reached a limit.

    A call that failed the same way again and again is most often why: then it says so.
    """
    detail = f"The run's {what} was reached."
    failed = _failing_calls(messages)
    if len(failed) >= _SAME_FAILURES:
        name, content = failed[-1]
        detail += f" The last {len(failed)} calls of {name!r} failed the same way: {content[:300]}"
    cut_short: CutShort | None = "time_limit" if stop_reason == "time_limit" else None
    return Ending("completed", stop_reason, cut_short=cut_short, detail=detail)


def reached(
    tokens: int | None, most_steps: int, steps: int, usage: Usage, messages: Sequence[Message]
) -> Ending | None:
    """The ending by the limit of tokens or of steps that a run has reached, if it has."""
    if tokens is not None and usage.total_tokens >= tokens:
        return limit_struck("token_limit", f"token limit ({tokens:,})", messages)
    if steps >= most_steps:
        return limit_struck("step_limit", f"step limit ({most_steps})", messages)
    return None


def _failing_calls(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """The run's last tool calls, as far back as all have failed like the last: name and error."""
    names = {use.id: use.name for message in messages for use in message.tool_uses}
    results = [
        block
        for message in messages
        for block in message.content
        if isinstance(block, ToolResultBlock)
    ]
    failed: list[tuple[str, str]] = []
    for result in reversed(results):
        call = names[result.tool_use_id], result.content
        if not result.is_error or (failed and call != failed[-1]):
            break
        failed.append(call)
    return failed


def cut(cut_by: Literal["cancelled", "interrupted"] | None) -> Ending:
    """The ending of a run that is cancelled, by name or with all that runs here."""
    why = cut_by or "interrupted"
    return Ending(why, why, cut_short=why)


def waiting_error(run_id: str) -> ShuttingDown:
    """What those get who wait for a run that waits for a person when the runtime closes."""
    return ShuttingDown(
        f"The server is shutting down; run {run_id} waits for an answer to a permission request, "
        "and goes on with it when the server is up again.",
        run_id=run_id,
    )


def failure(
    run_id: str, error: Exception, cut_by: Literal["cancelled", "interrupted"] | None
) -> Ending:
    """The ending of a run that raised. What is no error of ours is told to the log alone."""
    if cut_by is not None:
        text = "the run failed as it was cut"
        log_event(logger, logging.ERROR, text, error, run_id=run_id, outcome=cut_by)
        return cut(cut_by)
    if not isinstance(error, WingmanError):
        text = "the run failed by an error inside the server"
        log_event(logger, logging.ERROR, text, error, run_id=run_id)
        error = RunFailed(
            "The run failed by an error inside the server; its log has the details.",
            "internal_error",
            run_id,
        )
    # A copy: the traceback of what was raised holds the run, which is to hold its ending.
    return Ending("failed", error=copy_of(error), cut_short="failed")
