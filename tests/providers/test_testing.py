"""The suite that is shipped: it passes what keeps the protocol, and names what breaks it."""

from contextlib import suppress
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from wingman.conversation import TextBlock, ThinkingBlock, ToolUseBlock, Usage
from wingman.errors import ProviderError
from wingman.providers import (
    Delay,
    Fail,
    Fallback,
    Finished,
    Keyless,
    Parts,
    Scripted,
    TextDelta,
    ThinkingDelta,
    ToolCalls,
    ToolSpec,
    UsageUpdate,
)
from wingman.testing import check_parts, check_provider

FORECAST = ToolSpec("forecast", "The weather.", {"type": "object"})
END = Finished("end_turn")


class Parrot:
    """The README's."""

    id = "parrot"
    model = "grey"

    async def stream(self, request: Any, transport: Any) -> Any:
        yield TextDelta(request.messages[-1].text.upper())
        yield END


def slow() -> Scripted:
    everything = Parts(
        UsageUpdate(Usage(10, 0)),
        ThinkingDelta("h"),
        ThinkingDelta("m"),
        ThinkingBlock("hm", signature="s", provider="scripted"),
        TextDelta("Let me "),
        TextDelta("see."),
        TextBlock("Let me see.", signature="s", provider="scripted"),
        ToolUseBlock("t1", "forecast", {"city": "Bern"}),
        ToolUseBlock("t2", "forecast", {}, malformed="{"),
        UsageUpdate(Usage(10, 20)),
        Finished("tool_use"),
    )
    return Scripted(lambda request: Delay(everything, first=1, each=1))


def fallback() -> Fallback:
    down = Fail(ProviderError("down", provider="scripted"))
    return Fallback(Scripted(lambda request: down), Scripted(lambda request: "Hello."))


@pytest.mark.parametrize(
    "make",
    [
        Parrot,
        Keyless,
        lambda: Keyless(piece_delay=0.1),
        lambda: Scripted(lambda request: "Hello there, whoever you are."),
        lambda: Scripted(lambda request: ToolCalls(("forecast", {"city": "Bern"}), text="Hm.")),
        slow,
        fallback,
    ],
)
async def test_what_keeps_the_protocol_passes(make: Any, autojump_clock: MockClock) -> None:
    await check_provider(make, message="!forecast Bern", tools=[FORECAST])


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([TextDelta("a")], "Finished came 0 times"),
        ([END, END], "Finished came 2 times"),
        ([END, TextDelta("a")], "Finished must be the last"),
        (["text", END], "is no part of the protocol"),
        ([UsageUpdate(Usage(9, 5)), UsageUpdate(Usage(9, 4)), END], "output_tokens went from 5"),
        ([UsageUpdate(Usage(1, 1, cache_read_tokens=5)), END], "what was cached as well"),
        ([ToolUseBlock("t", "", {}), END], "names its tool"),
        ([ToolUseBlock("t", "x", "{}"), END], "input is an object"),
        ([ToolUseBlock("t", "x", {"a": 1}, malformed="{"), END], "lest it be executed"),
        ([ToolUseBlock("t", "x", {}), ToolUseBlock("t", "y", {}), END], "the same id"),
        ([TextDelta("a"), TextBlock("b"), END], "TextBlock is the deltas"),
        ([ThinkingDelta("a"), ThinkingBlock("b"), END], "ThinkingBlock is the deltas"),
    ],
)
async def test_parts_that_break_the_protocol_are_named(parts: list[Any], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_parts(parts)
    with pytest.raises(AssertionError, match=sentence):
        await check_provider(lambda: Scripted(lambda request: Parts(*parts)))


@attrs.define
class Wrong:
    """A provider that does one thing wrong."""

    id = "wrong"
    model = "wrong"
    fault: str
    count: int = 0

    async def stream(self, request: Any, transport: Any) -> Any:
        self.count += 1
        match self.fault:
            case "swallows":
                with suppress(trio.Cancelled):
                    await trio.sleep(1)
                    yield TextDelta("a")
                    yield END
                return
            case "swaps":
                try:
                    await trio.sleep(1)
                except trio.Cancelled:
                    raise KeyError("gone") from None
            case "leaves a task":
                trio.lowlevel.spawn_system_task(trio.sleep, 1000)
            case "leaves a generator":
                inner = self.pieces()
                await anext(inner)
            case "changes the request":
                request.messages.append(request.messages[0])
            case "hangs":
                await trio.sleep_forever()
            case "is not shared":
                if self.count > 1:
                    raise RuntimeError("busy")
                await trio.sleep(1)
        await trio.lowlevel.checkpoint()
        yield TextDelta("a")
        yield END

    async def pieces(self) -> Any:
        yield "a"
        yield "b"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("swallows", "must let trio.Cancelled pass"),
        ("swaps", "it raised KeyError"),
        ("leaves a task", "left 1 tasks behind"),
        ("leaves a generator", "left something unclosed"),
        ("changes the request", "belong to the caller"),
        ("hangs", "took more than 60 s"),
        ("is not shared", "asked twice at once, it raised"),
    ],
)
async def test_what_a_provider_does_wrong_is_named(
    fault: str, sentence: str, autojump_clock: MockClock
) -> None:
    with pytest.raises(AssertionError, match=sentence):
        await check_provider(lambda: Wrong(fault))


async def test_what_is_no_provider_is_named() -> None:
    with pytest.raises(AssertionError, match="an id, a model and stream"):
        await check_provider(lambda: object())  # type: ignore[arg-type, return-value]


async def test_so_many_cancels_are_tried_and_no_more(autojump_clock: MockClock) -> None:
    made: list[Scripted] = []

    def make() -> Scripted:
        made.append(Scripted(lambda request: Delay("x" * 320, each=1)))
        return made[-1]

    await check_provider(make, cancels=3, seconds=1000)
    assert len(made) == 2 + 22 + 3
