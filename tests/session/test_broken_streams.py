"""A stream that breaks is asked for once more, if the world has seen nothing of it."""

import pytest
import trio
from trio.testing import MockClock

from session_kit import assert_valid
from wingman import Agent, Session, Step, Text, Thinking, Usage
from wingman.conversation import ThinkingBlock, ToolUseBlock
from wingman.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRejected,
    ProviderStreamError,
    ProviderTimeout,
)
from wingman.providers import (
    Finished,
    Part,
    Request,
    TextDelta,
    ThinkingDelta,
    Transport,
    UsageUpdate,
)

BROKEN = ProviderStreamError("the connection broke", provider="broken")
SILENT = ProviderTimeout("it fell silent", provider="broken")


class Breaking:
    """A provider whose streams are lists of parts; an error in one is raised."""

    id = "broken"
    model = "broken"

    def __init__(self, *streams: list[Part | Exception]) -> None:
        self.streams = list(streams)
        self.asked = 0

    async def stream(self, request: Request, transport: Transport):  # type: ignore[no-untyped-def]
        self.asked += 1
        for part in self.streams.pop(0):
            await trio.lowlevel.checkpoint()
            if isinstance(part, Exception):
                raise part
            yield part


USED = UsageUpdate(Usage(10, 1))
GOOD: list[Part | Exception] = [UsageUpdate(Usage(10, 2)), TextDelta("good"), Finished("end_turn")]


@pytest.mark.parametrize("error", [BROKEN, SILENT])
async def test_what_broke_before_its_text_is_asked_again_and_all_usage_counts(
    error: Exception, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Breaking([USED, ThinkingDelta("hm"), error], GOOD)
    async with Session(Agent("a", provider=provider)) as session:
        async with session.run_stream("go") as stream:
            events = [event async for event in stream]
        assert stream.result.response == "good"
        assert (stream.result.usage, stream.result.steps) == (Usage(20, 3), 1)
        assert [type(e) for e in events[:-1]] == [Step, Thinking, Text]
        history = await session.history()
        assert not any(isinstance(block, ThinkingBlock) for block in history[1].content)
    assert "asked again" in caplog.text


async def test_a_stream_that_breaks_before_any_part_is_asked_again(
    autojump_clock: MockClock,
) -> None:
    async with Session(Agent("a", provider=Breaking([BROKEN], GOOD))) as session:
        assert (await session.run("go")).response == "good"


async def test_it_is_asked_again_only_once(autojump_clock: MockClock) -> None:
    provider = Breaking([USED, BROKEN], [USED, BROKEN], GOOD)
    async with Session(Agent("a", provider=provider)) as session:
        with pytest.raises(ProviderStreamError):
            await session.run("go")
        assert provider.asked == 2
        assert (await session.run("again")).response == "good"


@pytest.mark.parametrize("part", [TextDelta("half"), ToolUseBlock("t1", "say", {"text": "x"})])
async def test_what_the_world_has_seen_is_kept_and_not_asked_again(part: Part) -> None:
    provider = Breaking([USED, part, BROKEN], GOOD)
    async with Session(Agent("a", provider=provider)) as session:
        with pytest.raises(ProviderStreamError):
            await session.run("go")
        assert provider.asked == 1
        history = await session.history()
        assert_valid(history)
        assert history[1].cut_short == "failed"
        assert (await session.run("again")).response == "good"


@pytest.mark.parametrize(
    "error",
    [
        SILENT,
        ProviderError("down", provider="broken"),
        ProviderAuthError("no", provider="broken"),
        ProviderRejected("no", provider="broken"),
    ],
)
async def test_what_was_refused_or_silent_from_the_start_is_not_asked_again(
    error: Exception,
) -> None:
    provider = Breaking([error], GOOD)
    async with Session(Agent("a", provider=provider)) as session:
        with pytest.raises(ProviderError):
            await session.run("go")
        assert provider.asked == 1


async def test_a_cancel_before_it_is_asked_again_is_a_cancel(autojump_clock: MockClock) -> None:
    provider = Breaking([USED, BROKEN], GOOD)
    async with Session(Agent("a", provider=provider)) as session:
        run = await session.submit("go")
        await trio.sleep(0.1)
        await run.cancel()
        assert (run.status, provider.asked) == ("cancelled", 1)
        assert (await session.run("again")).response == "good"
