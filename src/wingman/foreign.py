"""Foreign code: what a tool, a provider, a hook or an instrument may raise, and how it is held.

Foreign code may raise anything: `SystemExit` (argparse does, on bad input), `GeneratorExit`,
`asyncio.CancelledError`, exception groups that hold one of them, exceptions whose text cannot be
made. None of that may end a task that is not its own. Whoever calls foreign code catches
`BaseException` and asks `contained`, which lets through what is Trio's own and nothing else:

    try:
        await tool.call(...)
    except BaseException as error:
        failure = contained(error)

Trio's own are its `Cancelled`, where a scope around the call is cancelled, and the
`KeyboardInterrupt` that its signal handler raises on Ctrl-C. `split` gives both parts to who needs
both, and `let_on` raises the former. `failure_of` is for synchronous hooks, out of which no
cancellation can come. `copy_of` makes what may be kept. `leaves` and `cause_of` take a failure
apart. `reason`, `text_of`, `shown` and `log_failure` put what is foreign into words. None of these
ever raises for it.

This module knows Trio alone.
"""

import logging
from typing import Any, Final, NoReturn, TypeVar, cast

import trio
from trio.lowlevel import enable_ki_protection, in_trio_task

__all__ = [
    "ForeignFailure",
    "cause_of",
    "contained",
    "copy_of",
    "failure_of",
    "leaves",
    "let_on",
    "let_on_trios_own",
    "log_failure",
    "reason",
    "shown",
    "split",
    "text_of",
]

logger = logging.getLogger("wingman.foreign")

E = TypeVar("E", bound=BaseException)

_MOST_MEMBERS: Final = 5
_LONGEST: Final = 2_000  # characters of a text
_LONGEST_NAME: Final = 200  # characters of a type's name

# A foreign class, or its metaclass, may override these names: the originals cannot fail.
_NAME: Final[Any] = type.__dict__["__name__"]
_MEMBERS: Final[Any] = BaseExceptionGroup.__dict__["exceptions"]
_CAUSE: Final[Any] = BaseException.__dict__["__cause__"]


class ForeignFailure(Exception):
    """Foreign code raised what must not be raised again as it is, such as `SystemExit`.

    That is its `__cause__`, and its text is the `reason`.
    """


def contained(error: BaseException) -> Exception:
    """The failure in what foreign code has raised, as an `Exception` that may be raised again.

    Call it in the task, and within the cancel scopes, that the foreign code ran in. Where `error`
    is or holds what is Trio's own, that is raised, and what came with it is logged. A `Cancelled`
    that was kept from elsewhere, and belongs to no scope here, is a failure like any other.
    """
    passing, failure = split(error)
    if passing is None:
        return cast("Exception", failure)
    if failure is not None:
        log_failure(logger, logging.WARNING, failure, "foreign code raised while it was cancelled")
    try:
        let_on(passing)
    finally:
        del passing, failure, error  # as `let_on` does


def let_on(passing: BaseException) -> NoReturn:
    """Raise again, in an `except` clause, what was caught there or came in a group that was."""
    # As Trio does it: a traceback that refers to its own exception waits for the collector, and
    # so does a context that is the group in which the exception came.
    context = passing.__context__
    try:
        raise passing
    finally:
        passing.__context__ = context
        del passing, context


def let_on_trios_own(error: BaseException) -> None:
    """Raise what of `error` is Trio's own, if anything is."""
    passing = split(error)[0]
    try:
        if passing is not None:
            let_on(passing)
    finally:
        del passing, error  # as `let_on` does


def split(error: BaseException) -> tuple[BaseException | None, Exception | None]:
    """What of `error` is Trio's own and must be raised, and the failure in the rest of it.

    At least one of the two is not None. To be called as `contained` is.
    """
    passing: list[BaseException] = []
    rest: list[BaseException] = []
    for leaf in leaves(error):
        (passing if _is_trios_own(leaf) else rest).append(leaf)
    if not passing:
        return None, failure_of(error)
    # One is enough: Trio's cancellations are all alike, and an interrupt is more than they are.
    foremost = min(passing, key=lambda leaf: type(leaf) is trio.Cancelled)
    if not rest:
        return foremost, None
    if len(rest) == 1:
        return foremost, failure_of(rest[0])
    return foremost, failure_of(BaseExceptionGroup("raised while it was cancelled", rest))


def failure_of(error: BaseException) -> Exception:
    """Whatever was raised, as an `Exception` that may be raised again anywhere.

    An `Exception` is itself. `StopIteration` and `StopAsyncIteration` are not: where they are
    raised again, a loop ends as if all were well.
    """
    kind = type(error)
    if issubclass(kind, Exception) and not issubclass(kind, StopIteration | StopAsyncIteration):
        return error  # type: ignore[return-value]
    failure = ForeignFailure(reason(error))
    failure.__cause__ = error
    return failure


def copy_of(error: E) -> E:
    """The same exception without its traceback, to be kept, or raised while the other is kept.

    One that is kept and raised would hold its traceback, whose frames hold who keeps it: such a
    cycle, and all that hangs on it, waits for the garbage collector.
    """
    kind = type(error)
    try:
        again = kind.__new__(kind, *error.args)  # `args` need not be what `__init__` takes
        again.__dict__.update(error.__dict__)
    except Exception:  # a class of the user's, made in a way of its own
        return error.with_traceback(None)
    again.__cause__, again.__context__ = error.__cause__, error.__context__
    again.__suppress_context__ = error.__suppress_context__
    return again


def leaves(error: BaseException) -> list[BaseException]:
    """What a group holds, at any depth and in order, each once; or the exception itself."""
    found: list[BaseException] = []
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if issubclass(type(each), BaseExceptionGroup):
            waiting += reversed(_MEMBERS.__get__(each))
        else:
            found.append(each)
    return found


def reason(error: BaseException) -> str:
    """What an exception says, in words: its type and its text; of a group, those of its members.

    At most some 11,000 characters, all of which can be encoded. An exception whose text cannot be
    made is shown by its type alone.
    """
    if not issubclass(type(error), BaseExceptionGroup):
        return _reason_of_one(error)
    members = leaves(error)
    words = "; ".join(_reason_of_one(member) for member in members[:_MOST_MEMBERS])
    left = len(members) - _MOST_MEMBERS
    return words if left <= 0 else f"{words}; and {left} more"


@enable_ki_protection
def text_of(error: BaseException, longest: int = _LONGEST) -> str:
    """The text of an exception, at most so many characters; "" where none can be made."""
    try:
        return _clean(str(error), longest)
    # A text is made without a checkpoint, and Ctrl-C waits: nothing of Trio's own is among them.
    except BaseException:  # noqa: ASYNC103
        return ""  # noqa: ASYNC104


def cause_of(error: BaseException) -> BaseException | None:
    """What an exception was expressly raised from."""
    cause: BaseException | None = _CAUSE.__get__(error)
    return cause


@enable_ki_protection
def shown(value: object) -> str:
    """The `repr` of a foreign object, at most 200 characters, or its type where there is none."""
    try:
        return _clean(repr(value), _LONGEST_NAME)
    # A text is made without a checkpoint, and Ctrl-C waits: nothing of Trio's own is among them.
    except BaseException:  # noqa: ASYNC103
        return f"<{_type_name(value)}>"  # noqa: ASYNC104


@enable_ki_protection
def log_failure(
    to: logging.Logger, level: int, error: BaseException, text: str, *args: object
) -> None:
    """Log `error` with its traceback, or in words where the traceback's text cannot be made."""
    try:
        to.log(level, text, *args, exc_info=error)
    # Out of the exception's or its class's own methods, or an argument's.
    except BaseException:  # noqa: ASYNC103
        to.log(level, f"{text} (%s)", *args, reason(error))


def _is_trios_own(error: BaseException) -> bool:
    kind = type(error)
    if kind is trio.Cancelled:  # it has no subclasses
        return in_trio_task() and trio.current_effective_deadline() == float("-inf")
    # A GeneratorExit enters where Trio left a coroutine waiting, when that is closed from outside.
    return (kind is KeyboardInterrupt or kind is GeneratorExit) and _raised_by_trio(error)


def _raised_by_trio(error: BaseException) -> bool:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    return str(traceback.tb_frame.f_globals.get("__name__")).startswith("trio.")


def _reason_of_one(error: BaseException) -> str:
    name, text = _type_name(error), text_of(error)
    if type(error) is ForeignFailure and text:
        return text
    return f"{name}: {text}" if text else name


def _type_name(value: object) -> str:
    return _clean(_NAME.__get__(type(value)), _LONGEST_NAME)


def _clean(text: str, longest: int) -> str:
    """The beginning of a text as a plain `str`, without what UTF-8 or PostgreSQL will not take."""
    start = str.__getitem__(text, slice(longest))
    if str.__len__(text) > longest:
        start += "…"
    return start.encode(errors="replace").decode().replace("\0", "\ufffd")
