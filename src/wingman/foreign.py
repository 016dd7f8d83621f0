"""Foreign code: what a tool, a provider, a hook or an instrument may raise, and how it is held.

Foreign code may raise anything: `SystemExit` (argparse does, on bad input), `GeneratorExit`,
`asyncio.CancelledError`, exception groups that hold one of them, exceptions whose text cannot be
made. None of that may end a task that is not its own. Whoever calls foreign code catches
`BaseException` and asks `contained`, which lets Trio's own cancellation through and nothing else:

    try:
        await tool.call(...)
    except BaseException as error:
        failure = contained(error)

This module knows Trio alone.
"""

import logging
from typing import Final

import trio

__all__ = ["ForeignFailure", "contained", "reason"]

logger = logging.getLogger("wingman.foreign")

_MOST_MEMBERS: Final = 5
_LONGEST: Final = 2_000


class ForeignFailure(Exception):
    """Foreign code raised what is no `Exception`, such as `SystemExit`: that is its cause."""


def contained(error: BaseException) -> Exception:
    """The failure in what foreign code has raised, as an `Exception`.

    Call it in the task, and within the cancel scopes, that the foreign code ran in. Where one of
    these scopes is cancelled and `error` is or holds Trio's `Cancelled`, that is raised, and what
    came with it is logged. A `Cancelled` that belongs to no scope here is a failure like any other.
    """
    if trio.current_effective_deadline() == float("-inf"):
        cancelled, rest = _split(error)
        if cancelled is not None:
            if rest is not None:
                logger.warning("foreign code raised while it was being cancelled", exc_info=rest)
            raise cancelled
    if isinstance(error, Exception):
        return error
    failure = ForeignFailure(reason(error))
    failure.__cause__ = error
    return failure


def reason(error: BaseException) -> str:
    """What an exception says, in words: its type and its text; of a group, those of its members.

    An exception whose text cannot be made is shown by its type alone.
    """
    if isinstance(error, ForeignFailure) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):
        leaves = list(_leaves(error))
        shown = "; ".join(reason(leaf) for leaf in leaves[:_MOST_MEMBERS])
        left = len(leaves) - _MOST_MEMBERS
        return shown if left <= 0 else f"{shown}; and {left} more"
    name = type(error).__name__
    try:
        text = str(error)[:_LONGEST]
    except BaseException:  # noqa: ASYNC103 a text that cannot be made may raise anything
        return name  # noqa: ASYNC104 there is no checkpoint in making a text
    return f"{name}: {text}" if text else name


def _split(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    if isinstance(error, trio.Cancelled):
        return error, None
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)
    return None, error


def _leaves(group: BaseExceptionGroup[BaseException]) -> "list[BaseException]":
    leaves: list[BaseException] = []
    for member in group.exceptions:
        leaves += _leaves(member) if isinstance(member, BaseExceptionGroup) else (member,)
    return leaves
