"""Foreign code may raise anything: what is Trio's own goes on, all else is a failure in words."""

import asyncio
import gc
import logging
import signal
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest
import trio

from wingman.foreign import (
    ForeignFailure,
    contained,
    failure_of,
    log_failure,
    reason,
    shown,
    split,
)


class TextRaises(Exception):
    """One whose text cannot be made; `by` is what its methods raise."""

    def __init__(self, by: BaseException) -> None:
        self.by = by

    def __str__(self) -> str:
        raise self.by

    def __repr__(self) -> str:
        raise self.by


class TextIsNone(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]  # noqa: PLE0307


class Meta(type):
    """A metaclass that misbehaves in every way that it can."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit("the name")

    def __hash__(cls) -> int:
        raise SystemExit("the hash")

    def __eq__(cls, other: object) -> bool:
        raise SystemExit("the comparison")


class Misbehaved(Exception, metaclass=Meta):
    def __eq__(self, other: object) -> bool:
        raise SystemExit("the comparison")

    def __hash__(self) -> int:
        raise SystemExit("the hash")


class GroupMisbehaves(BaseExceptionGroup[BaseException]):
    """A group that hides its members, and cannot be split."""

    @property
    def exceptions(self) -> Any:  # type: ignore[override]
        raise SystemExit("the members")

    def derive(self, excs: Any) -> Any:
        raise SystemExit("the derived group")

    def split(self, condition: Any) -> Any:
        raise SystemExit("the split")


NO_EXCEPTIONS: list[BaseException] = [
    SystemExit(2),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError("not Trio's"),
    BaseException("bare"),
    BaseExceptionGroup("a", [SystemExit(2)]),
    BaseExceptionGroup("a", [ValueError(), BaseExceptionGroup("b", [GeneratorExit()])]),
    BaseExceptionGroup("a", [asyncio.CancelledError(), KeyboardInterrupt()]),
    StopIteration(1),
    StopAsyncIteration(),
]
EXCEPTIONS: list[Exception] = [
    ValueError("v"),
    RecursionError("deep"),
    MemoryError(),
    ExceptionGroup("a", [ValueError("v"), ExceptionGroup("b", [KeyError("k")])]),
    TextRaises(SystemExit(3)),
    TextIsNone(),
    Misbehaved("m"),
]


ALL = [*NO_EXCEPTIONS, *EXCEPTIONS]


def by_type(number: int) -> str:
    return type.__dict__["__name__"].__get__(type(ALL[number]))  # type: ignore[no-any-return]


# By number, since pytest itself would stumble over some of them.
each_that_is_no_exception = pytest.mark.parametrize(
    "number", range(len(NO_EXCEPTIONS)), ids=by_type
)
each_exception = pytest.mark.parametrize("number", range(len(NO_EXCEPTIONS), len(ALL)), ids=by_type)
each_of_all = pytest.mark.parametrize("number", range(len(ALL)), ids=by_type)


def caught(error: BaseException) -> Exception:
    """What `contained` makes of an error that a call has raised."""
    try:
        raise error
    except BaseException as raised:
        return contained(raised)


async def stale_cancelled() -> trio.Cancelled:
    """A `Cancelled` whose scope is long closed."""
    kept: list[trio.Cancelled] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            kept.append(error)
            raise
    return kept[0]


# --- what is contained --------------------------------------------------------------------------


@each_that_is_no_exception
async def test_what_is_no_exception_becomes_one_with_the_original_as_its_cause(
    number: int,
) -> None:
    error = ALL[number]
    failure = caught(error)
    assert type(failure) is ForeignFailure
    assert failure.__cause__ is error
    assert str(failure) == reason(error)


@each_exception
async def test_an_exception_is_itself(number: int) -> None:
    error = ALL[number]
    assert caught(error) is error
    assert failure_of(error) is error


@each_of_all
async def test_all_of_it_is_the_same_while_the_call_is_really_cancelled(number: int) -> None:
    with trio.CancelScope() as scope:  # noqa: ASYNC100 - nothing in it looks for the cancel
        scope.cancel()
        failure = caught(ALL[number])
    if number < len(NO_EXCEPTIONS):
        assert failure.__cause__ is ALL[number]
    else:
        assert failure is ALL[number]


@pytest.mark.parametrize("error", [SystemExit(2), asyncio.CancelledError(), ValueError("v")])
def test_it_is_contained_outside_of_trio_too(error: BaseException) -> None:
    assert isinstance(caught(error), Exception)


async def test_it_is_contained_in_a_thread_too() -> None:
    failure = await trio.to_thread.run_sync(caught, SystemExit(2))
    assert type(failure) is ForeignFailure


async def test_a_failure_that_is_contained_twice_stays_what_it_is() -> None:
    failure = caught(SystemExit(2))
    assert caught(failure) is failure


def test_an_end_of_iteration_that_is_raised_again_ends_no_loop() -> None:
    class Numbers:
        def __iter__(self) -> Iterator[int]:
            return self  # type: ignore[return-value]

        def __next__(self) -> int:
            raise caught(StopIteration())

    with pytest.raises(ForeignFailure, match="StopIteration"):
        list(Numbers())


# --- Trio's cancellation ------------------------------------------------------------------------


async def contained_call(call: Callable[[], Awaitable[Any]]) -> Exception:
    try:
        await call()
    except BaseException as error:
        return contained(error)
    raise AssertionError("the call has not failed")


async def test_a_real_cancellation_goes_on_to_its_scope() -> None:
    with trio.move_on_after(0) as scope:
        await contained_call(trio.sleep_forever)
    assert scope.cancelled_caught


async def test_a_real_cancellation_in_a_group_of_the_calls_own_goes_on_to_its_scope() -> None:
    async def call() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(trio.sleep_forever)

    with trio.move_on_after(0) as scope:
        await contained_call(call)
    assert scope.cancelled_caught


@pytest.mark.parametrize("kind", [ValueError, SystemExit, asyncio.CancelledError])
async def test_what_comes_beside_a_real_cancellation_is_logged_and_the_cancellation_goes_on(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise kind("unwinding")

    async def call() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail)

    with trio.move_on_after(0) as scope:
        await contained_call(call)
    assert scope.cancelled_caught
    assert f"{kind.__name__}: unwinding" in caplog.text


async def test_an_error_in_place_of_a_real_cancellation_is_the_failure() -> None:
    async def call() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise ValueError("in its place") from None

    with trio.move_on_after(0) as scope:
        assert str(await contained_call(call)) == "in its place"
    assert not scope.cancelled_caught


async def test_a_group_that_cannot_be_split_lets_the_cancellation_on() -> None:
    async def call() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as error:
            raise GroupMisbehaves("a", [error, SystemExit(2)]) from None

    with trio.move_on_after(0) as scope:
        await contained_call(call)
    assert scope.cancelled_caught


async def test_a_stale_cancellation_is_a_failure_and_trio_goes_on() -> None:
    stale = await stale_cancelled()
    failure = caught(stale)
    assert type(failure) is ForeignFailure
    assert failure.__cause__ is stale
    grouped = caught(BaseExceptionGroup("a", [stale, ValueError("v")]))
    assert type(grouped) is ForeignFailure
    with trio.move_on_after(0) as scope:
        await trio.sleep_forever()
    assert scope.cancelled_caught
    await trio.lowlevel.checkpoint()


async def test_a_stale_cancellation_under_a_shield_is_a_failure() -> None:
    stale = await stale_cancelled()
    with trio.CancelScope() as outer:  # noqa: ASYNC100 - nothing in it looks for the cancel
        outer.cancel()
        with trio.CancelScope(shield=True):  # noqa: ASYNC100
            assert type(caught(stale)) is ForeignFailure


async def test_both_parts_are_there_for_who_needs_both() -> None:
    parts: list[tuple[BaseException | None, Exception | None]] = []

    async def call() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as error:
            rest = [ValueError("v"), SystemExit(2)]
            raise BaseExceptionGroup("a", [error, BaseExceptionGroup("b", rest)]) from None

    with trio.move_on_after(0):
        try:
            await call()
        except BaseException as error:
            passing, failure = split(error)
            parts.append((passing, failure))
            assert passing is not None
            raise passing from None
    ((passing, failure),) = parts
    assert type(passing) is trio.Cancelled
    assert failure is not None
    assert reason(failure) == "ValueError: v; SystemExit: 2"
    assert split(SystemExit(2))[0] is None


async def test_what_is_let_on_keeps_nothing_alive() -> None:
    class Big:
        pass

    kept: list[weakref.ref[Big]] = []

    async def call() -> None:
        big = Big()
        kept.append(weakref.ref(big))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()

    await trio.lowlevel.checkpoint()
    gc.collect()
    gc.disable()
    try:
        with trio.move_on_after(0):
            await contained_call(call)
        await trio.lowlevel.checkpoint()
        assert kept[0]() is None
    finally:
        gc.enable()


# --- Ctrl-C, and a coroutine that is closed -----------------------------------------------------


async def ctrl_c() -> None:
    await trio.lowlevel.checkpoint()
    signal.raise_signal(signal.SIGINT)
    await trio.sleep(1)


async def in_a_child(call: Callable[[], Awaitable[Any]]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)


@pytest.mark.parametrize(
    "call",
    [ctrl_c, partial(in_a_child, ctrl_c), partial(contained_call, ctrl_c)],
    ids=["task", "a child", "twice"],
)
@pytest.mark.parametrize("restrict", [False, True], ids=["anywhere", "at checkpoints"])
def test_ctrl_c_goes_on(call: Callable[[], Awaitable[Any]], restrict: bool) -> None:
    with pytest.raises(KeyboardInterrupt):
        trio.run(contained_call, call, restrict_keyboard_interrupt_to_checkpoints=restrict)


def test_an_interrupt_that_the_call_raises_itself_is_its_failure() -> None:
    async def call() -> None:
        raise KeyboardInterrupt

    assert type(trio.run(contained_call, call)) is ForeignFailure
    assert type(trio.run(contained_call, partial(in_a_child, call))) is ForeignFailure


async def test_ctrl_c_while_a_text_is_made_waits_until_it_is_made() -> None:
    class Interrupted(Exception):
        def __str__(self) -> str:
            assert trio.lowlevel.currently_ki_protected()
            return "made"

        __repr__ = __str__

    await trio.lowlevel.checkpoint()
    assert reason(Interrupted()) == "Interrupted: made"
    assert shown(Interrupted()) == "made"


async def test_the_end_of_a_coroutine_that_is_closed_goes_on_and_one_that_is_raised_does_not() -> (
    None
):
    failures: list[Exception] = []

    async def wait() -> None:
        failures.append(await contained_call(trio.sleep_forever))

    coroutine = wait()
    coroutine.send(None)
    coroutine.close()  # a RuntimeError if it is ignored
    assert failures == []
    assert type(caught(GeneratorExit())) is ForeignFailure
    await trio.lowlevel.checkpoint()


# --- in words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such thing"), "ValueError: no such thing"),
        (ValueError(), "ValueError"),
        (SystemExit(2), "SystemExit: 2"),
        (TextRaises(ValueError()), "TextRaises"),
        (TextRaises(SystemExit()), "TextRaises"),
        (TextRaises(KeyboardInterrupt()), "TextRaises"),
        (TextRaises(MemoryError()), "TextRaises"),
        (TextIsNone(), "TextIsNone"),
        (ValueError("\ud800\0"), "ValueError: ?\ufffd"),
        (GroupMisbehaves("a", [ValueError("v")]), "ValueError: v"),
        (ForeignFailure("SystemExit: 2"), "SystemExit: 2"),
        (ForeignFailure(), "ForeignFailure"),
        (ExceptionGroup("a", [ValueError("v"), KeyError("k")]), "ValueError: v; KeyError: 'k'"),
        (
            ExceptionGroup("a", [ValueError(number) for number in range(7)]),
            "ValueError: 0; ValueError: 1; ValueError: 2; ValueError: 3; ValueError: 4; and 2 more",
        ),
    ],
)
def test_a_reason_is_the_type_and_the_text(error: BaseException, words: str) -> None:
    assert reason(error) == words


def test_a_class_that_misbehaves_has_a_name() -> None:
    assert reason(Misbehaved("m")) == "Misbehaved: m"


def test_a_text_of_a_subclass_of_str_is_a_plain_one() -> None:
    class Text(str):
        def __getitem__(self, key: object) -> str:
            raise SystemExit

        def __format__(self, spec: str) -> str:
            raise SystemExit

    class Subtle(Exception):
        def __str__(self) -> str:
            return Text("subtle")

    assert type(reason(Subtle())) is str
    assert reason(Subtle()) == "Subtle: subtle"


def test_a_gigantic_text_or_name_is_cut() -> None:
    assert len(reason(ValueError("x" * 10_000_000))) < 2_100
    kind = type("X" * 1_000_000, (Exception,), {})
    assert len(reason(kind("x" * 1_000_000))) < 2_300
    assert len(reason(ExceptionGroup("a", [kind("x" * 10_000)] * 3))) < 12_000
    assert len(shown("x" * 1_000_000)) < 300


def test_a_group_that_is_nested_deep_or_holds_a_thing_very_often_has_a_reason() -> None:
    deep: BaseException = SystemExit(2)
    for _ in range(5 * sys.getrecursionlimit()):
        deep = BaseExceptionGroup("deep", [deep])
    assert reason(deep) == "SystemExit: 2"
    assert str(caught(deep)) == "SystemExit: 2"
    wide: Exception = ValueError("v")
    for _ in range(100):
        wide = ExceptionGroup("wide", [wide, wide])
    assert reason(wide) == "ValueError: v"
    while isinstance(deep, BaseExceptionGroup):  # to free it all at once would recurse
        deep = deep.exceptions[0]


def test_causes_that_run_in_a_circle_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    one, other = ValueError("one"), SystemExit("other")
    one.__cause__, other.__cause__ = other, one
    failure = caught(other)
    failure.__cause__ = failure
    assert reason(failure) == reason(other) == "SystemExit: other"
    log_failure(logging.getLogger("test"), logging.ERROR, one, "a circle")
    log_failure(logging.getLogger("test"), logging.ERROR, failure, "a circle")
    assert caplog.text.count("a circle") == 2


def test_an_object_is_shown_or_its_type_is() -> None:
    assert shown(("a", 1)) == "('a', 1)"
    assert shown(TextRaises(SystemExit())) == "<TextRaises>"


@each_of_all
def test_any_failure_can_be_logged(number: int, caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ALL[number]
    except BaseException as raised:
        log_failure(logging.getLogger("test"), logging.ERROR, raised, "the actor %s", "one")
    assert "the actor one" in caplog.text
    assert caplog.records[0].exc_info or by_type(number) in caplog.text
