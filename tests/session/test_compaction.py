"""A session that grows beyond its model's window goes on, and what it is shown stays in order."""

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from compaction_kit import Windowed, grows
from pictures import block, plain
from provider_rules import (
    check_anthropic,
    check_chat,
    check_gemini,
    check_ollama,
    check_responses,
)
from session.test_every_checkpoint import Counter
from session_kit import FaultyStore, assert_sendable, assert_valid, live_of, opened
from wingman import Agent, Runtime, Session, tool
from wingman.conversation import (
    Block,
    Message,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.errors import ContextTooLong
from wingman.events import Compacted, Done, Error, Event
from wingman.providers import Part, Request, TextDelta
from wingman.providers.anthropic import anthropic_body
from wingman.providers.gemini import gemini_body
from wingman.providers.ollama import ollama_body
from wingman.providers.openai import chat_body, responses_body
from wingman.run import view_of
from wingman.session import Run
from wingman.store import HistoryCompacted, MemoryStore
from wingman.tools import ToolOutput

PNG = block(plain())

PROVIDERS = [
    (lambda request: anthropic_body(request, "m"), check_anthropic),
    (lambda request: responses_body(request, "gpt-5"), check_responses),
    (lambda request: chat_body(request, "m", "openai-compatible"), check_chat),
    (lambda request: gemini_body(request, "gemini-3-pro-preview"), check_gemini),
    (lambda request: ollama_body(request, "m"), check_ollama),
]


@tool
def look(size: int, images: int = 0) -> ToolOutput:
    """Give so many characters, and so many images."""
    return ToolOutput("r" * size, images=(PNG,) * images)


@attrs.frozen
class Turn:
    """What a user says, in characters, and what the model does: each step's calls, as sizes and
    images of their results; then its answer."""

    said: int
    images: int
    steps: list[list[tuple[int, int]]]
    thinks: bool
    answers: int


def turns(longest: int, images: int) -> st.SearchStrategy[list[Turn]]:
    """Turns in which no single thing is longer."""
    sizes = st.one_of(st.integers(1, longest), st.integers(1, 50))
    call = st.tuples(sizes, st.integers(0, images))
    steps = st.lists(st.lists(call, min_size=1, max_size=2), max_size=4)
    turn = st.builds(Turn, sizes, st.integers(0, images), steps, st.booleans(), sizes)
    return st.lists(turn, min_size=2, max_size=8)


async def events_of(run: Run) -> list[Event]:
    """All that the run has published, when it has ended."""
    events: list[Event] = []
    async with run.reader() as reader:
        while not events or not isinstance(events[-1], Done | Error):
            events += [published.event for published in await reader.receive()]
    return events


class Play:
    """A model that does what the turns say."""

    def __init__(self, played: Sequence[Turn], window: int, rate: float) -> None:
        self.provider = Windowed(window, self.answer, rate=rate, max_tokens=window // 8)
        self.agent = Agent("player", provider=self.provider, tools=[look])
        self.number = 0
        self.left: list[list[Part | Block]] = []

    def begin(self, turn: Turn) -> None:
        self.left = []
        for calls in turn.steps:
            self.number += 1
            uses = [
                ToolUseBlock(f"t{self.number}_{i}", "look", {"size": size, "images": images})
                for i, (size, images) in enumerate(calls)
            ]
            thought = [ThinkingBlock("Hm.", "c2ln", "scripted")] if turn.thinks else []
            self.left.append([*thought, *uses])
        self.left.append([TextDelta("a" * turn.answers)])

    def answer(self, request: Request) -> Sequence[Part | Block]:
        return self.left.pop(0)


async def played(script: Sequence[Turn], window: int, rate: float, *, may_fail: bool) -> None:
    store = MemoryStore()
    play = Play(script, window, rate)
    session_id, compactions, asked = None, 0, 0
    before: Sequence[Message] = ()
    for part in (script[: len(script) // 2], script[len(script) // 2 :]):
        async with opened(play.agent, store=store) as runtime:
            if session_id is None:
                session = await runtime.create_session(play.agent)
                session_id = session.id
            else:
                session = await runtime.session(session_id)
            for turn in part:
                play.begin(turn)
                stored = await session.history()
                run = await session.submit("u" * turn.said, images=[PNG] * turn.images)
                events = await events_of(run)
                if run.status == "failed":
                    assert may_fail, run.record.error
                    assert run.record.error is not None
                    assert run.record.error.code == "context_too_long", run.record.error
                history = await session.history()
                assert history[: len(stored)] == stored  # nothing of it is gone or changed
                assert_valid(history)
                told = [event for event in events if isinstance(event, Compacted)]
                compactions += len(told)
                for request in play.provider.requests[asked:]:
                    assert_sendable(request.messages)
                    for body, check in PROVIDERS:
                        check(body(request))
                    if not told:
                        assert grows(before, request.messages)
                    before = request.messages
                asked = len(play.provider.requests)
                live = live_of(runtime, session.id)
                assert live.history == list(history)
                view = live.view.follow(live.history)
                kept = live.view.compacted
                assert view == (list(history) if kept is None else view_of(history, kept))
                assert not any(isinstance(b, ToolResultBlock) for b in view[0].content)
    if rate <= 0.25 and not may_fail:
        assert play.provider.refused == []


FEW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FEW
@given(turns(2_000, 0), st.sampled_from([4_000, 8_000]), st.sampled_from([0.1, 0.25, 0.4, 1.0]))
async def test_a_session_of_small_messages_never_fails_for_its_length(
    autojump_clock: MockClock, script: list[Turn], window: int, rate: float
) -> None:
    await played(script, window, rate, may_fail=False)


@FEW
@given(turns(20_000, 2), st.sampled_from([3_000, 16_000]), st.sampled_from([0.1, 0.25, 1.0]))
async def test_what_cannot_fit_fails_alone_and_all_that_is_sent_is_valid(
    script: list[Turn], window: int, rate: float
) -> None:
    await played(script, window, rate, may_fail=True)


LONG = "x" * 1_500


async def filled(runtime: Runtime, agent: Agent, turns: int = 8) -> Session:
    session = await runtime.create_session(agent)
    for _ in range(turns):
        await session.run(LONG)
    return session


@pytest.mark.parametrize(
    "summary",
    [
        lambda request: [TextDelta(" \n")],
        lambda request: [TextDelta("s" * 100_000)],
        lambda request: 1 / 0,
    ],
    ids=["empty", "huge", "failing"],
)
async def test_a_summary_that_is_of_no_use_does_not_end_the_run(summary: Any) -> None:
    provider = Windowed(4_000, lambda request: [TextDelta("Yes.")], summary=summary)
    agent = Agent("a", provider=provider)
    async with opened(agent) as runtime:
        session = await filled(runtime, agent, 20)
        compacted = live_of(runtime, session.id).view.compacted
        assert compacted is not None
        assert 0 < len(compacted.summary) < 5_000
        assert (await session.run("And now?")).response == "Yes."
    assert provider.refused == []


async def test_what_a_summary_uses_is_the_runs() -> None:
    provider = Windowed(4_000, lambda request: [TextDelta("Yes.")])
    agent = Agent("a", provider=provider)
    async with opened(agent) as runtime:
        session = await filled(runtime, agent, 20)
        used = live_of(runtime, session.id).journal.usage
    asked = [*provider.requests, *provider.summaries]
    assert provider.summaries
    assert used.input_tokens == sum(map(provider.tokens_of, asked))
    assert used.output_tokens == 7 * len(asked)


async def test_one_message_that_cannot_fit_fails_with_sizes_and_the_session_goes_on() -> None:
    provider = Windowed(4_000, lambda request: [TextDelta("Yes.")])
    agent = Agent("a", provider=provider)
    async with opened(agent) as runtime:
        session = await filled(runtime, agent, 3)
        asked = len(provider.refused)
        with pytest.raises(ContextTooLong, match=r"\d tokens"):
            await session.run("y" * 20_000)
        assert len(provider.refused) <= asked + 2
        await session.compact()
        assert (await session.run("And now?")).response == "Yes."


@pytest.mark.parametrize("rate", [0.25, 1.0])
async def test_a_window_that_nobody_knows_is_learnt_of_the_refusal(rate: float) -> None:
    provider = Windowed(4_000, lambda request: [TextDelta("Yes.")], rate=rate, tells=False)
    agent = Agent("a", provider=provider)
    async with opened(agent) as runtime:
        session = await filled(runtime, agent, 16)
        assert live_of(runtime, session.id).view.compacted is not None
    assert provider.refused


async def test_on_demand_all_but_the_last_turn_is_summarised_if_that_gains() -> None:
    provider = Windowed(100_000, lambda request: [TextDelta("Yes.")])
    agent = Agent("a", provider=provider)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        assert "nothing to compact" in str((await session.compact()).detail)
        await session.run("Hi.")
        await session.run("Hi again.")
        assert "stays as it is" in str((await session.compact()).detail)
        for _ in range(3):
            await session.run(LONG)
        before = await session.history()
        assert "is compacted" in str((await session.compact("Names.")).detail)
        assert "Names." in provider.summaries[-1].messages[0].text
        assert "nothing to compact" in str((await session.compact()).detail)
        assert await session.history() == before
        await session.run("Go on.")
        assert len(provider.requests[-1].messages) == 3
        assert_sendable(provider.requests[-1].messages)


async def test_cut_at_any_step_of_the_scheduler_the_view_is_the_old_or_the_new_one(
    autojump_clock: MockClock,
) -> None:
    outcomes = set()
    for step in range(1, 60):
        store = MemoryStore()
        provider = Windowed(4_000, lambda request: [TextDelta("Yes.")])
        agent = Agent("a", provider=provider)
        async with opened(agent, store=store) as runtime:
            session = await filled(runtime, agent, 7)
            live = live_of(runtime, session.id)
            old = live.view.compacted
            run = await session.submit(LONG)
            counter = Counter(step, run.request_cancel)
            trio.lowlevel.add_instrument(counter)
            await run.wait()
            trio.lowlevel.remove_instrument(counter)
            shown = live.view.follow(live.history or [])
            stored = (await store.session(session.id)).compacted
            outcomes.add((run.status, stored != old))
            assert live.view.compacted in (old, stored)
            assert_valid(await session.history())
            assert (await session.run("And now?")).response == "Yes."
            assert_sendable(provider.requests[-1].messages)
            assert shown
    assert ("completed", True) in outcomes
    assert ("cancelled", False) in outcomes


@pytest.mark.parametrize("all_the_same", [False, True], ids=["refused", "kept all the same"])
async def test_a_compaction_that_is_not_recorded_is_what_the_store_has(
    all_the_same: bool, autojump_clock: MockClock
) -> None:
    store = FaultyStore(1, HistoryCompacted, all_the_same=all_the_same)
    provider = Windowed(4_000, lambda request: [TextDelta("Yes.")])
    agent = Agent("a", provider=provider)
    async with opened(agent, store=store) as runtime:
        session = await filled(runtime, agent, 7)
        run = await session.submit(LONG)
        await run.wait()
        assert store.failures == 0
        assert (await session.run("And now?")).response == "Yes."
        live, stored = live_of(runtime, session.id), await store.session(session.id)
        assert stored is not None
        assert live.view.compacted == stored.compacted
        assert_valid(await session.history())
        assert_sendable(provider.requests[-1].messages)


async def test_a_session_of_many_turns_is_never_refused_and_goes_on_over_restarts() -> None:
    store = MemoryStore()
    provider = Windowed(8_000, lambda request: [TextDelta("Yes. " * 20)])
    agent = Agent("a", provider=provider)
    session_id = ""
    for start in range(0, 300, 30):
        async with opened(agent, store=store) as runtime:
            if not session_id:
                session_id = (await runtime.create_session(agent)).id
            session = await runtime.session(session_id)
            for turn in range(start, start + 30):
                said = f"{turn}: " + LONG[: 100 + turn * 7 % 1_000]
                assert (await session.run(said)).response.startswith("Yes.")
                assert provider.requests[-1].messages[-1].text.endswith(said)
                assert_sendable(provider.requests[-1].messages)
            history = await session.history()
            assert len(history) == 2 * (start + 30)
    assert provider.refused == []
    assert 5 < len(provider.summaries) < 60
