"""A history that grows beyond its model's window goes on: as a summary, and what comes after it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from session.test_every_checkpoint import Counter as AtStep
from session_kit import FaultyStore, assert_sendable, assert_valid, idle, live_of, opened
from wingman import Agent, Compaction, Message, Runtime, Session, tool
from wingman.conversation import ImageBlock, ToolResultBlock, ToolUseBlock, Usage
from wingman.errors import ContextTooLong, ProviderRejected, StoreUnavailable
from wingman.events import Compacted
from wingman.providers import Finished, Part, Request, TextDelta, Transport, UsageUpdate
from wingman.run.refusals import is_too_long
from wingman.run.view import is_boundary, shortened, view_of
from wingman.store import Compacted as Stored
from wingman.store import HistoryCompacted
from wingman.tools import ToolOutput

WINDOW = 8_000


def tokens_of(request: Request) -> int:
    """As this provider counts: three characters, and 1,000 an image."""
    characters = len(request.system) + sum(len(each.description) for each in request.tools)
    images = 0
    for message in request.messages:
        for block in message.content:
            characters += len(getattr(block, "text", "") or "")
            characters += len(str(getattr(block, "input", "")))
            if isinstance(block, ToolResultBlock):
                characters += len(block.content)
                images += len(block.images)
            images += isinstance(block, ImageBlock)
    return characters // 3 + images * 1_000


class Small:
    """A provider with a small window, which refuses what does not fit. Of every `calls` answers one
    calls the tool. `knows`: its window is known. It summarises in `summary`; None: it refuses."""

    id = "small"
    model = "small"

    def __init__(
        self,
        *,
        window: int = WINDOW,
        calls: int = 3,
        knows: bool = True,
        summary: str | None = "Goal: to go on.",
    ) -> None:
        self.window, self.calls, self.knows, self.summary = window, calls, knows, summary
        self.requests: list[Request] = []
        self.summaries: list[Request] = []
        self.refused = 0
        self.random = Random(0)
        self._answers = 0

    def context_window(self, _window_of: object) -> int | None:
        return self.window if self.knows else None

    async def stream(self, request: Request, transport: Transport) -> AsyncIterator[Part]:
        await trio.lowlevel.checkpoint()
        assert_sendable(request.messages)
        tokens = tokens_of(request)
        summarises = request.system.startswith("You summarise")
        if tokens > self.window:
            self.refused += 1
            text = f"prompt is too long: {tokens} tokens > {self.window} maximum"
            raise ProviderRejected(text, provider=self.id, status=400)
        yield UsageUpdate(Usage(tokens, 7))
        if summarises:
            self.summaries.append(request)
            if self.summary is None:
                raise ProviderRejected("no", provider=self.id, status=404)
            yield TextDelta(self.summary)
            yield Finished("end_turn")
            return
        self.requests.append(request)
        self._answers += 1
        if self._answers % self.calls == 1:
            for number in range(self.random.randint(1, 3)):
                size = self.random.choice([0, 100, 2_000])
                yield ToolUseBlock(f"c{self._answers}.{number}", "print", {"size": size})
            yield Finished("tool_use")
            return
        yield TextDelta("word " * self.random.randint(1, 60))
        yield Finished("end_turn")


@tool(name="print")
async def print_(size: int) -> str:
    """Print."""
    return "x" * size


def helper(provider: Any, **options: Any) -> Agent:
    return Agent("helper", provider=provider, tools=[print_], **options)


async def talk(session: Session, turns: int, random: Random) -> None:
    for turn in range(turns):
        result = await session.run(f"turn {turn}: " + "please " * random.randint(1, 120))
        assert result.stop_reason == "end_turn"


def compactions(runtime: Runtime, session: Session) -> list[Compacted]:
    events = live_of(runtime, session.id).channel.read
    live = live_of(runtime, session.id)
    return [p.event for p in events(live.channel._floor) if isinstance(p.event, Compacted)]


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("summary", ["Goal: to go on.", "", None, "long " * 5_000])
async def test_a_long_talk_goes_on_within_the_window_and_over_restarts(
    summary: str | None, knows: bool, tmp_path: Path
) -> None:
    provider = Small(knows=knows, summary=summary)
    agent, random = helper(provider), Random(1)
    session_id, stored = "", []
    for _ in range(3):
        async with Runtime(tmp_path / "w.db", agents=[agent]) as runtime:
            if not session_id:
                session_id = (await runtime.create_session(agent)).id
            session = await runtime.session(session_id)
            assert list(await session.history())[: len(stored)] == stored
            before = await runtime.describe(session_id, as_model=True)
            await talk(session, 40, random)
            stored = list(await session.history())
            assert_valid(stored)
            view = (await runtime.describe(session_id, as_model=True)).history or ()
            assert len(view) < len(stored)
            assert before.history is not None
    assert sum(message.role == "user" and is_boundary(message) for message in stored) == 120
    assert provider.summaries
    assert (provider.refused == 0) or not knows


async def test_what_is_shown_only_grows_between_two_compactions() -> None:
    """So that what a provider has cached of it stays good."""
    provider = Small()
    agent = helper(provider)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        await talk(session, 60, Random(2))
        breaks = 0
        for one, other in zip(provider.requests, provider.requests[1:], strict=False):
            breaks += list(other.messages[: len(one.messages) - 1]) != list(one.messages[:-1])
        assert 0 < breaks <= len(compactions(runtime, session))


async def test_a_summary_and_its_tokens_are_the_runs_and_an_event_says_what_was_done() -> None:
    provider = Small()
    agent = helper(provider)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        await talk(session, 40, Random(3))
        told = compactions(runtime, session)
        assert told
        assert all(each.tokens_after < each.tokens_before for each in told)
        assert [each for each in told if each.upto]
        assert (await session.describe()).usage.input_tokens == sum(
            tokens_of(request) for request in [*provider.requests, *provider.summaries]
        )


async def test_old_results_are_shortened_before_anything_is_summarised() -> None:
    provider = Small(calls=2)
    agent = helper(provider)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        for _ in range(40):
            await session.run("go")
        first = compactions(runtime, session)[0]
        assert (first.upto, first.summary) == (0, "")
        assert first.shortened > 0


async def test_what_can_never_fit_fails_with_its_sizes_and_the_session_goes_on() -> None:
    provider = Small(calls=10**9)
    agent = helper(provider)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        with pytest.raises(ContextTooLong, match=r"tokens"):
            await session.run("x" * 3 * WINDOW * 2)
        assert provider.refused <= 1
        assert (await session.run("short")).stop_reason == "end_turn"


async def test_without_compaction_a_run_fails_where_the_history_is_too_long() -> None:
    provider = Small()
    agent = helper(provider, compaction=None)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        with pytest.raises(ContextTooLong):
            await talk(session, 100, Random(4))
        assert not provider.summaries


async def test_another_model_writes_the_summary_where_one_is_named() -> None:
    cheap = Small(window=100_000)
    provider = Small(summary=None)
    agent = helper(provider, compaction=Compaction(threshold=0.5, provider=cheap))
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        await talk(session, 40, Random(5))
    assert cheap.summaries
    assert not provider.summaries
    assert max(map(tokens_of, provider.requests)) < WINDOW * 0.75


async def test_images_count() -> None:
    @tool
    async def look() -> ToolOutput:
        """Look."""
        pixel = (
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
            "AABJRU5ErkJggg=="
        )
        return ToolOutput("seen", (ImageBlock("image/png", pixel),))

    class Looking(Small):
        async def stream(self, request: Request, transport: Transport) -> AsyncIterator[Part]:
            async for part in super().stream(request, transport):
                if isinstance(part, ToolUseBlock):
                    part = ToolUseBlock(part.id, "look", {})
                yield part

    provider = Looking()
    agent = Agent("looking", provider=provider, tools=[look])
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        for _ in range(20):
            await session.run("go")
    assert provider.refused == 0
    assert provider.summaries or len(provider.requests) > 20


async def test_one_that_is_asked_for_waits_its_turn_and_is_summarised_but_for_the_last_turn() -> (
    None
):
    provider = Small(calls=10**9)
    agent = helper(provider)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        await session.run("first")
        await session.run("second " * 300)
        running = await session.submit("third")
        done = await session.compact("Keep the numbers.")
        assert running.ended
        assert "compacted" in (done.detail or "")
        assert "Keep the numbers." in provider.summaries[0].messages[0].text
        view = (await runtime.describe(session.id, as_model=True)).history or ()
        assert "Goal: to go on." in view[0].text
        assert [message.text for message in view if message.role == "user"][1] == "third"
        said = [m.text for m in await session.history() if m.role == "user" and is_boundary(m)]
        assert [text[:6].strip() for text in said] == ["first", "second", "third"]
        assert "nothing to compact" in ((await session.compact()).detail or "")
        provider.summary = "long " * 2_000
        await session.run("fourth")
        before = await runtime.describe(session.id, as_model=True)
        assert "stays as it is" in ((await session.compact()).detail or "")
        assert (await runtime.describe(session.id, as_model=True)).history == before.history


async def cut_at(step: int) -> bool:
    provider = Small(calls=10**9)
    agent = helper(provider)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        for number in range(3):
            await session.run(f"turn {number} " + "please " * 60)
        before = (await runtime.describe(session.id, as_model=True)).history
        task: list[trio.CancelScope] = []

        async def compact() -> None:
            with trio.CancelScope() as scope:
                task.append(scope)
                await session.compact()

        async with trio.open_nursery() as nursery:
            counter = AtStep(step, lambda: task[0].cancel() if task else None)
            trio.lowlevel.add_instrument(counter)
            nursery.start_soon(compact)
        trio.lowlevel.remove_instrument(counter)
        after = (await runtime.describe(session.id, as_model=True)).history
        assert after == before or "Goal: to go on." in (after or ())[0].text
        live = live_of(runtime, session.id)
        assert live.view.compacted == (await runtime.store.session(session.id)).compacted  # type: ignore[union-attr]
        assert (await session.run("next")).stop_reason == "end_turn"
        assert (idle(runtime), live.runs) == (True, {})
    return counter.left <= 0


def test_a_compaction_that_is_cancelled_anywhere_leaves_the_view_as_it_was_or_done() -> None:
    step = 1
    while trio.run(cut_at, step, clock=MockClock(autojump_threshold=0)):
        step += 1
    assert step > 5


async def test_a_compaction_that_cannot_be_recorded_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    provider = Small(calls=10**9)
    agent = helper(provider)
    store = FaultyStore(1, HistoryCompacted)
    async with opened(agent, store=store) as runtime:
        session = await runtime.create_session(agent)
        for number in range(3):
            await session.run(f"turn {number} " + "please " * 60)
        before = (await runtime.describe(session.id, as_model=True)).history
        with pytest.raises(StoreUnavailable):
            await session.compact()
        assert (await runtime.describe(session.id, as_model=True)).history == before
        assert (await session.compact()).stop_reason == "end_turn"
        assert (await runtime.describe(session.id, as_model=True)).history != before


@pytest.mark.parametrize(
    ("text", "status", "is_long"),
    [
        ("prompt is too long: 215000 tokens > 200000 maximum", 400, True),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", 400, True),
        ("This model's maximum context length is 8192 tokens. However, you requested", 400, True),
        ("Your input exceeds the context window of this model.", 400, True),
        ("The input token count (1100000) exceeds the maximum number of tokens allowed", 400, True),
        ("the request exceeds the available context size, try increasing it", 400, True),
        ("Prompt contains 40000 tokens and 0 draft tokens, too large for model", 400, True),
        ("Please reduce the length of the messages or completion.", 400, True),
        ("Input is too long for requested model.", 400, True),
        ("This model's maximum prompt length is 131072 but the request contains", 400, True),
        ("Request Entity Too Large", 413, True),
        (
            "The decoder prompt (length 9000) is longer than the maximum model length of 8192",
            400,
            True,
        ),
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000", 422, True),
        (
            "'max_tokens' is too large: 5000. This model's maximum context length is 4096",
            400,
            False,
        ),
        ("Request too large for model on tokens per minute (TPM): Limit 6000", 413, False),
        ("max_tokens: 100000 > 8192, which is the maximum allowed number of output", 400, False),
        ("Invalid image", 400, False),
        ("You exceeded your current quota", 400, False),
        ("tools.0.name: String should have at most 64 characters", 400, False),
    ],
)
def test_a_refusal_for_length_is_known_by_each_apis_own_words(
    text: str, status: int, is_long: bool
) -> None:
    assert is_too_long(ProviderRejected(text, provider="p", status=status)) is is_long


@pytest.mark.parametrize("seed", range(40))
def test_a_view_parts_no_call_from_its_result(seed: int) -> None:
    random = Random(seed)
    history: list[Message] = []
    for turn in range(random.randint(1, 8)):
        history.append(Message.user(f"turn {turn}"))
        for step in range(random.randint(0, 3)):
            ids = [f"{turn}.{step}.{n}" for n in range(random.randint(1, 3))]
            history.append(Message("assistant", tuple(ToolUseBlock(i, "t", {}) for i in ids)))
            results = (
                ToolResultBlock(i, "r" * random.choice([0, 5_000]), is_error=False) for i in ids
            )
            history.append(Message("user", tuple(results)))
        history.append(Message("assistant", Message.user("answer").content))
    for upto in [n for n, message in enumerate(history) if is_boundary(message)]:
        compacted = Stored(upto=upto, shortened=random.randint(0, len(history)), summary="so far")
        view = view_of(history, compacted)
        assert_valid(view)
        assert size(view) <= size(history) + 400
        assert [shortened(shortened(m)) for m in view] == [shortened(m) for m in view]


def size(messages: Sequence[Message]) -> int:
    blocks = [block for message in messages for block in message.content]
    return sum(len(getattr(b, "text", "") or getattr(b, "content", "")) for b in blocks)
