"""What the model is told of a tool that failed: its reason, in words, and never a traceback."""

import logging
from typing import Final

import trio
from trio.lowlevel import enable_ki_protection

from wingman.conversation import ToolUseBlock
from wingman.errors import ToolError
from wingman.foreign import ForeignFailure, cause_of, leaves, log_failure, reason, text_of

__all__ = ["NO_REASON", "told"]

logger = logging.getLogger("wingman.run")

NO_REASON: Final = "The tool failed, and gave no reason."

_TRACEBACK: Final = "Traceback (most recent call last):"
_MOST_REASONS: Final = 5
_MOST_CAUSES: Final = 3
_LONGEST: Final = 2_000  # characters of one reason, where there are several


def told(block: ToolUseBlock, failure: Exception) -> str:
    """What the model is told of the failure of this call.

    A `ToolError` is said as it is, also where it comes in a group, as out of a nursery of the
    tool's own. Whatever else was raised is a bug of the tool's: the log has its traceback.
    """
    members = list(_members(failure))
    if all(issubclass(type(member), ToolError) for member in members):
        return _listed([_message(member) for member in members])
    # The names alone: what goes into a tool, or comes out of it, is not the log's.
    log_failure(logger, logging.WARNING, failure, "tool %s failed in call %s", block.name, block.id)
    reasons = [
        _message(member) if issubclass(type(member), ToolError) else _with_causes(member)
        for member in members
    ]
    return f"The tool failed: {_listed(reasons)}"


def _members(failure: Exception) -> list[BaseException]:
    """What the tool has raised, out of its groups; without the cancellations that came of it."""
    cause = cause_of(failure)
    raised = cause if type(failure) is ForeignFailure and cause is not None else failure
    members = leaves(raised)
    return [member for member in members if type(member) is not trio.Cancelled] or members


def _message(error: BaseException) -> str:
    """A `ToolError`'s own text; without one, the text of what it was raised from."""
    words = _own_message(error)
    cause = cause_of(error)
    if not words.strip() and cause is not None:
        words = reason(cause)
    return words if words.strip() else NO_REASON


@enable_ki_protection
def _own_message(error: BaseException) -> str:
    try:
        message = error.message  # type: ignore[attr-defined]
    # A class of the user's may make of it what it likes; nothing of Trio's own is among that.
    except BaseException:  # noqa: ASYNC103
        message = None  # noqa: ASYNC104
    return message if type(message) is str else text_of(error)


def _with_causes(error: BaseException) -> str:
    """What an exception says, and what those say that it was expressly raised from."""
    words = _without_traceback(reason(error))
    seen = {id(error)}
    cause = None if type(error) is ForeignFailure else cause_of(error)  # that is its text already
    while cause is not None and id(cause) not in seen and len(seen) <= _MOST_CAUSES:
        seen.add(id(cause))
        words += f" (caused by {_without_traceback(reason(cause))})"
        cause = cause_of(cause)
    return words


def _listed(reasons: list[str]) -> str:
    """One reason as it is; several side by side, each shortened, and each once."""
    reasons = list(dict.fromkeys(reasons))
    if len(reasons) == 1:
        return reasons[0]
    shown = [words[:_LONGEST] for words in reasons[:_MOST_REASONS]]
    if (left := len(reasons) - _MOST_REASONS) > 0:
        shown.append(f"and {left} more")
    return "; ".join(shown)


def _without_traceback(text: str) -> str:
    """A text, without the frames of a traceback in it: what it says, and its last line."""
    before, found, after = text.partition(_TRACEBACK)
    if not found:
        return text
    last = next((line.strip() for line in reversed(after.splitlines()) if line.strip()), "")
    return " ".join(part for part in (before.strip(), last) if part)
