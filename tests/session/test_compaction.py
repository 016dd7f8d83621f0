"""A session that grows beyond its model's window goes on, and what it is shown stays in order."""

from collections.abc import Sequence

import attrs
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
from session_kit import assert_sendable, assert_valid, live_of, opened
from wingman import Agent, tool
from wingman.conversation import (
    Block,
    Message,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.events import Compacted, Done, Error, Event
from wingman.providers import Part, Request, TextDelta
from wingman.providers.anthropic import anthropic_body
from wingman.providers.gemini import gemini_body
from wingman.providers.ollama import ollama_body
from wingman.providers.openai import chat_body, responses_body
from wingman.run import view_of
from wingman.session import Run
from wingman.store import MemoryStore
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
    if rate <= 0.25:
        assert play.provider.refused == []


FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
    autojump_clock: MockClock, script: list[Turn], window: int, rate: float
) -> None:
    await played(script, window, rate, may_fail=True)
