"""Fallback: the next provider is asked, as long as nothing of the answer was handed on."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable
from contextlib import aclosing, suppress

import pytest
import trio
from trio.testing import MockClock

from wingman.conversation import ThinkingBlock, ToolUseBlock, Usage
from wingman.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotConfigured,
    ProviderRateLimited,
    ProviderRejected,
    ProviderStreamError,
    ProviderTimeout,
)
from wingman.providers import (
    Answering,
    Anthropic,
    Fallback,
    Finished,
    Keyless,
    Part,
    Parts,
    Provider,
    Request,
    Scripted,
    TextDelta,
    ThinkingDelta,
    Transport,
    UsageUpdate,
)

DOWN = ProviderError("it is down", provider="first")


class Failing:
    """A provider that yields some parts, then fails, until it is mended."""

    id = "first"
    model = "fails"

    def __init__(self, error: BaseException | None, *parts: Part) -> None:
        self.error = error
        self.parts = parts
        self.asked = 0

    async def stream(self, request, transport):
        self.asked += 1
        for part in self.parts:
            yield part
        if self.error is not None:
            raise self.error


async def answer(provider: Provider, request) -> list[Part]:
    async with aclosing(provider.stream(request, Transport())) as parts:
        return [part async for part in parts]


def text_of(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


@pytest.mark.parametrize(
    "error",
    [
        DOWN,
        ProviderRateLimited("slow down", provider="first"),
        ProviderTimeout("silent", provider="first"),
        ProviderStreamError("it broke", provider="first"),
        ProviderAuthError("who are you?", provider="first"),
        ProviderNotConfigured("It has no key."),
    ],
)
async def test_the_next_is_asked_where_one_cannot_answer(error, ask, caplog) -> None:
    fallback = Fallback(Failing(error), Scripted(["Hello."], model="second"))
    assert (fallback.id, fallback.model) == ("first", "fails")
    parts = await answer(fallback, ask())
    assert text_of(parts) == "Hello."
    assert parts[0] == Answering(Usage(0, 0), "scripted", "second")
    assert (fallback.id, fallback.model) == ("scripted", "second")
    assert "first did not answer" in caplog.text


async def test_the_first_answers_where_it_can(ask) -> None:
    first, second = Scripted(["one"], model="a"), Scripted(["two"], model="b")
    fallback = Fallback(first, second)
    assert text_of(await answer(fallback, ask())) == "one"
    assert second.requests == []
    assert isinstance(fallback, Provider)


async def test_a_request_that_is_refused_is_not_tried_elsewhere(ask) -> None:
    second = Scripted(["two"])
    with pytest.raises(ProviderRejected):
        await answer(Fallback(Failing(ProviderRejected("bad", provider="first")), second), ask())
    assert second.requests == []


@pytest.mark.parametrize(
    "part", [TextDelta("half"), ThinkingDelta("hm"), ToolUseBlock("t", "say", {})]
)
async def test_what_was_handed_on_is_not_begun_again_by_another(part, ask) -> None:
    second = Scripted(["two"])
    with pytest.raises(ProviderError, match="down"):
        await answer(Fallback(Failing(DOWN, part), second), ask())
    assert second.requests == []


async def test_usage_alone_is_no_answer_and_is_not_counted_for_the_next(ask) -> None:
    used = UsageUpdate(Usage(1000, 1))
    parts = await answer(Fallback(Failing(DOWN, used), Scripted(["two"])), ask())
    assert used not in parts
    assert text_of(parts) == "two"


async def test_usage_that_comes_first_is_handed_on_with_the_answer(ask) -> None:
    used = UsageUpdate(Usage(10, 0))
    scripted = Scripted([Parts(used, TextDelta("one"), Finished("end_turn"))])
    parts = await answer(Fallback(scripted), ask())
    assert parts[1:] == [used, TextDelta("one"), Finished("end_turn")]


async def test_one_that_failed_is_asked_last_for_a_minute(ask, autojump_clock: MockClock) -> None:
    first = Failing(DOWN)
    fallback = Fallback(first, Scripted(lambda request: "two"))
    for _ in range(3):
        assert text_of(await answer(fallback, ask())) == "two"
    assert first.asked == 1
    await trio.sleep(61)
    first.error, first.parts = None, (TextDelta("one"), Finished("end_turn"))
    assert text_of(await answer(fallback, ask())) == "one"


async def test_if_none_answers_the_error_is_the_last_ones(ask) -> None:
    last = ProviderTimeout("silent", provider="last")
    unset = ProviderNotConfigured("It has no key.")
    with pytest.raises(ProviderTimeout):
        await answer(Fallback(Failing(DOWN), Failing(last), Failing(unset)), ask())
    with pytest.raises(ProviderNotConfigured):
        await answer(Fallback(Failing(unset)), ask())


async def test_a_stream_without_any_part_is_no_answer(ask) -> None:
    assert text_of(await answer(Fallback(Failing(None), Scripted(["two"])), ask())) == "two"
    with pytest.raises(ProviderStreamError):
        await answer(Fallback(Failing(None)), ask())


async def test_a_signature_keeps_the_name_of_who_signed(ask) -> None:
    signed = ThinkingBlock("hm", signature="sig", provider="anthropic")
    scripted = Scripted([Parts(signed, TextDelta("two"), Finished("end_turn"))])
    assert signed in await answer(Fallback(Failing(DOWN), scripted), ask())


async def test_leaving_early_and_a_cancel_close_the_stream_that_was_being_read(
    ask, autojump_clock: MockClock
) -> None:
    closed: list[str] = []

    class Slow:
        id = model = "slow"

        async def stream(self, request, transport):
            try:
                yield TextDelta("a")
                await trio.sleep_forever()
            finally:
                closed.append("closed")

    fallback = Fallback(Failing(DOWN), Slow())
    async with aclosing(fallback.stream(ask(), Transport())) as parts:
        await anext(parts)
        await anext(parts)
    assert closed == ["closed"]
    with trio.move_on_after(1) as scope:
        await answer(fallback, ask())
    assert scope.cancelled_caught
    assert closed == ["closed", "closed"]


async def test_fallbacks_nest(ask) -> None:
    inner = Fallback(Failing(DOWN), Scripted(["deep"], model="m"))
    parts = await answer(Fallback(inner, Scripted(["no"])), ask())
    assert text_of(parts) == "deep"
    assert [p for p in parts if isinstance(p, Answering)][-1].model == "m"


def test_its_repr_is_its_providers() -> None:
    assert repr(Fallback(Scripted(["a"]))).startswith("Fallback(Scripted(")


# --- what no provider should raise ----------------------------------------------------------------


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError


FOREIGN = [
    KeyError("bug"),
    Unspeakable(),
    SystemExit(2),
    GeneratorExit(),
    asyncio.CancelledError(),
    ExceptionGroup("many", [KeyError("bug"), ProviderRejected("no", provider="first")]),
    BaseExceptionGroup("many", [SystemExit(2)]),
]


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
async def test_a_provider_with_a_bug_is_one_that_is_down(error, ask, caplog) -> None:
    first = Failing(error)
    fallback = Fallback(first, Scripted(["two", "two"]))
    assert text_of(await answer(fallback, ask())) == "two"
    bug = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert "first raised what is no ProviderError" in bug.message
    assert bug.exc_info is not None
    assert text_of(await answer(fallback, ask())) == "two"
    assert first.asked == 1  # it rests, as one that is down does


class FailsAtOnce:
    """A provider whose `stream` fails before there is any stream."""

    id = model = "at once"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def stream(self, request, transport):
        raise self.error


@pytest.mark.parametrize("error", [DOWN, *FOREIGN], ids=lambda error: type(error).__name__)
async def test_one_that_fails_before_it_streams_is_down_as_well(error, ask) -> None:
    fallback = Fallback(FailsAtOnce(error), Scripted(["two"]))
    assert text_of(await answer(fallback, ask())) == "two"


async def test_one_without_a_key_is_passed_over(ask) -> None:
    assert text_of(await answer(Fallback(Anthropic("claude"), Scripted(["two"])), ask())) == "two"


async def test_what_streams_nothing_that_can_be_read_is_down(ask) -> None:
    class NoStream:
        id = model = "none"

        def stream(self, request, transport):
            return ["text"]

    assert text_of(await answer(Fallback(NoStream(), Scripted(["two"])), ask())) == "two"


async def test_a_bug_in_the_middle_of_an_answer_is_that_providers_failure(ask) -> None:
    second = Scripted(["two"])
    bug = KeyError("secret")
    with pytest.raises(ProviderError, match="first: it raised KeyError, which") as caught:
        await answer(Fallback(Failing(bug, TextDelta("half")), second), ask())
    assert caught.value.__cause__ is bug
    assert "secret" not in str(caught.value)
    assert second.requests == []


async def test_if_all_have_bugs_the_last_is_told(ask) -> None:
    with pytest.raises(ProviderError, match="it raised SystemExit, which"):
        await answer(Fallback(Failing(KeyError("bug")), Failing(SystemExit(2))), ask())


class Unclosing:
    """A provider whose stream fails, and fails once more when it is closed."""

    id = model = "first"

    def __init__(self, error: Exception | None, *parts: Part) -> None:
        self.error = error
        self.parts = iter(parts)

    def stream(self, request, transport):
        return self

    def __aiter__(self):
        return self

    async def __anext__(self) -> Part:
        for part in self.parts:
            return part
        raise self.error or StopAsyncIteration

    async def aclose(self) -> None:
        raise RuntimeError("it does not close")


async def test_a_stream_that_does_not_close_hides_neither_its_failure_nor_its_answer(
    ask, caplog
) -> None:
    with pytest.raises(ProviderError, match="it is down"):
        await answer(Fallback(Unclosing(DOWN)), ask())
    assert text_of(await answer(Fallback(Unclosing(DOWN), Scripted(["two"])), ask())) == "two"
    whole = Unclosing(None, TextDelta("one"), Finished("end_turn"))
    assert text_of(await answer(Fallback(whole), ask())) == "one"
    assert caplog.text.count("does not close: RuntimeError: it does not close") == 3


async def test_a_cancel_passes_also_through_one_that_makes_another_error_of_it(
    ask, autojump_clock: MockClock
) -> None:
    class Making:
        id = model = "making"

        async def stream(self, request, transport):
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                raise KeyError("bug") from None
            yield

    with trio.move_on_after(1) as scope:
        await answer(Fallback(Making(), Scripted(["two"])), ask())
    assert scope.cancelled_caught


async def test_of_usage_before_the_answer_the_last_is_kept(ask) -> None:
    used = [UsageUpdate(Usage(10, n)) for n in range(1000)]
    end = Finished("end_turn")
    parts = await answer(Fallback(Scripted([Parts(*used, end)], model="m")), ask())
    assert parts == [Answering(Usage(0, 0), "scripted", "m"), used[-1], end]


async def test_nested_fallbacks_say_once_who_answers(ask) -> None:
    inner = Fallback(Failing(DOWN), Fallback(Scripted(["deep"], model="m")))
    parts = await answer(Fallback(inner), ask())
    assert [part for part in parts if isinstance(part, Answering)] == [parts[0]]
    assert parts[0] == Answering(Usage(0, 0), "scripted", "m")


class FailsAnew:
    """A provider that fails with a new error each time, and keeps none."""

    id = model = "first"

    def __init__(self, make: Callable[[], Exception]) -> None:
        self.make = make

    async def stream(self, request, transport):
        await trio.lowlevel.checkpoint()
        raise self.make()
        yield


async def test_no_failure_keeps_its_request_alive(ask, caplog) -> None:
    """A request is a whole history: it must not wait for a full collection."""
    caplog.set_level(logging.CRITICAL, "wingman.providers")  # pytest keeps what is logged

    async def alive_after(fallback: Fallback) -> list[Request]:
        request = ask()
        reference = weakref.ref(request)
        with suppress(ProviderError):
            await answer(fallback, request)
        del request
        return [request for request in (reference(),) if request is not None]

    gc.collect()
    gc.disable()
    try:
        for make in (lambda: ProviderError("down", provider="first"), lambda: KeyError("bug")):
            assert not await alive_after(Fallback(FailsAnew(make), FailsAnew(make)))
            assert not await alive_after(Fallback(FailsAnew(make), Keyless()))
    finally:
        gc.enable()
