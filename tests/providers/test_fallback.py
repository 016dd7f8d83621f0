"""Fallback: the next provider is asked, as long as nothing of the answer was handed on."""

from contextlib import aclosing

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
    Fallback,
    Finished,
    Part,
    Parts,
    Provider,
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

    def __init__(self, error: Exception | None, *parts: Part) -> None:
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
