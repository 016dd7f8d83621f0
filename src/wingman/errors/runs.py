"""Runs: how a tool, a run or a stream fails."""

from wingman.errors.base import WingmanError

__all__ = ["BadAnswer", "RunFailed", "StreamLagged", "ToolError"]


class ToolError(WingmanError):
    """A tool could not do what the model asked. Its text is the result that the model reads.

    What is given need not be text: `ToolError(404)` says "404", and `ToolError(error)` what the
    error says, or else its type.
    """

    code = "tool_error"

    def __init__(self, *reasons: object) -> None:
        words = (_words(reason) for reason in reasons if reason is not None)
        super().__init__(" ".join(part for part in words if part))


class ToolsetUnavailable(ToolError):
    """A toolset is not there now: its server cannot be started, say, or has ended. Its text says
    why, to people and to models."""


class RunFailed(WingmanError):
    """The run ended in an error. `code` and the text are those of the error that ended it."""

    code = "run_failed"

    def __init__(self, message: str, code: str = "run_failed", run_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.run_id = run_id


class StreamLagged(WingmanError):
    """A reader fell behind what its channel holds: read the history, and go on from `resume_at`."""

    code = "resync"

    def __init__(self, resume_at: int) -> None:
        super().__init__(
            "The events after this reader's place are not held any more (it fell behind, or the "
            "session had left memory): read the session's history, then go on after event "
            f"{resume_at}."
        )
        self.resume_at = resume_at


class BadAnswer(WingmanError):
    """What answers at the server's address does not answer as Wingman does: another service is
    there, or a proxy stands between. `status` is that of the answer, and `retry_after` what it asks
    for, in seconds; 0 where it asks for none."""

    code = "bad_answer"

    def __init__(self, message: str, status: int | None = None, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def _words(value: object) -> str:
    try:
        text = str(value)
    except Exception:  # the text of a foreign object may fail to be made
        return type(value).__name__
    return text or (type(value).__name__ if isinstance(value, BaseException) else "")
