"""Cancelled at each of its checkpoints in turn, a run always leaves its session in order."""

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from session_kit import (
    TOOLS,
    assert_ends,
    assert_sendable,
    assert_valid,
    idle,
    live_of,
    opened,
)
from wingman import Agent, Limits, Message
from wingman.conversation import ThinkingBlock, ToolUseBlock
from wingman.events import Text, Thinking, ToolResult
from wingman.providers import Finished, Part, Request, TextDelta, ThinkingDelta, Transport

SECONDS = st.sampled_from([0.0, 1.0, 2.0, 5.0])
CALLS: st.SearchStrategy[tuple[str, dict[str, object]]] = st.one_of(
    st.builds(lambda s: ("wait", {"seconds": s}), SECONDS),
    st.builds(lambda s: ("stubborn", {"seconds": s}), st.sampled_from([0.0, 1.0])),
    st.just(("fail", {"text": "broken"})),
    st.just(("nosuch", {})),
)


@attrs.frozen
class Inference:
    """One scripted inference: thinking, text in pieces, parallel calls; and the pauses."""

    thinking: str
    text: list[str]
    calls: list[tuple[str, dict[str, object]]]
    pause: float

    def parts(self, number: int) -> list[Part]:
        parts: list[Part] = []
        if self.thinking:
            parts += [
                ThinkingDelta(self.thinking),
                ThinkingBlock(self.thinking, signature="signed", provider="scripted"),
            ]
        parts += [TextDelta(piece) for piece in self.text]
        parts += [
            ToolUseBlock(f"toolu_{number}_{i}", name, input)
            for i, (name, input) in enumerate(self.calls)
        ]
        return [*parts, Finished("tool_use" if self.calls else "end_turn")]


def inferences(min_calls: int, max_calls: int) -> st.SearchStrategy[Inference]:
    return st.builds(
        Inference,
        st.sampled_from(["", "hm"]),
        st.lists(st.sampled_from(["a", "bc", "def"]), min_size=1, max_size=2),
        st.lists(CALLS, min_size=min_calls, max_size=max_calls),
        st.sampled_from([0.0, 1.0]),
    )


SCRIPTS = st.tuples(
    st.lists(inferences(1, 3), max_size=2), inferences(0, 0).map(lambda last: [last])
).map(lambda pair: pair[0] + pair[1])


class Counter(trio.abc.Instrument):
    """Calls back at the n-th step of the scheduler from now."""

    def __init__(self, steps: int, then: object) -> None:
        self.left = steps
        self._then = then

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            assert callable(self._then)
            self._then()


class Speaking:
    """A provider that speaks a script once, with pauses, and then answers in one word."""

    id = "scripted"
    model = "scripted"

    def __init__(self, script: list[Inference]) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.said: list[str] = []

    async def stream(self, request: Request, transport: Transport):  # type: ignore[no-untyped-def]
        self.requests.append(request)
        number = len(self.requests) - 1
        if number >= len(self.script) or request.messages[-1].text.endswith("again"):
            yield TextDelta("next")
            yield Finished("end_turn")
            return
        inference = self.script[number]
        for part in inference.parts(number):
            await trio.sleep(inference.pause)
            yield part
            if isinstance(part, TextDelta):
                self.said.append(part.text)


async def cut_at(step: int, script: list[Inference], limits: Limits) -> bool:
    """Run the script, cancel it at a step of the scheduler, look; whether it was still running."""
    provider = Speaking(script)
    agent = Agent("speaker", provider=provider, tools=TOOLS)
    async with opened(agent, limits=limits) as runtime:
        session = await runtime.create_session(agent)
        live = live_of(runtime, session.id)
        tasks = trio.lowlevel.current_statistics().tasks_living
        run = await session.submit("go")
        counter = Counter(step, run.request_cancel)
        trio.lowlevel.add_instrument(counter)
        await run.wait()
        trio.lowlevel.remove_instrument(counter)
        cut = run._live is not None and run._live.state.cut_by is not None
        result = run.outcome()
        assert idle(runtime)
        history = await session.history()
        check_history(history, run.status == "cancelled", provider)
        assert (await session.run("again")).response == "next"
        for request in provider.requests:
            assert_sendable(request.messages)
        assert len(await session.history()) == len(history) + 2
        again = [r.id for r in await runtime.store.runs(session.id)]
        assert_ends(live.channel.read(0), again)
        check_events(live.channel.read(0), result.run_id, history)
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert (runtime._root.services.system.dead_letters, live.runs, live.current) == (
            0,
            {},
            None,
        )
        assert [info.restarts for info in runtime._root.services.system.snapshot()] == [0]
    return cut


def check_history(history: object, cancelled: bool, provider: Speaking) -> None:
    messages: list[Message] = list(history)  # type: ignore[call-overload]
    assert_valid(messages)
    assert "".join(m.text for m in messages if m.role == "assistant") == "".join(provider.said)
    cut = [m for m in messages if m.cut_short is not None]
    assert all(m.cut_short == "cancelled" for m in cut)
    assert len(cut) <= 1
    if cut:
        assert cancelled


def check_events(events: object, run_id: str, history: object) -> None:
    """What readers saw of the run is what the history holds."""
    seen = [p.event for p in events if p.run_id == run_id]  # type: ignore[attr-defined]
    messages: list[Message] = list(history)  # type: ignore[call-overload]
    text = "".join(e.text for e in seen if isinstance(e, Text))
    assert text == "".join(m.text for m in messages if m.role == "assistant")
    thought = "".join(e.text for e in seen if isinstance(e, Thinking))
    blocks = [b for m in messages for b in m.content]
    assert thought == "".join(b.thinking for b in blocks if isinstance(b, ThinkingBlock))
    answered = [e.tool_use_id for e in seen if isinstance(e, ToolResult)]
    assert sorted(answered) == sorted(use.id for m in messages for use in m.tool_uses)


@settings(max_examples=40, deadline=None)
@given(
    SCRIPTS,
    st.sampled_from([1, 16]),
    st.sampled_from([3.0, 1000.0]),
    st.sampled_from([2, 50]),
)
def test_a_run_that_is_cancelled_anywhere_leaves_its_session_in_order(
    script: list[Inference], parallel: int, seconds: float, steps: int
) -> None:
    limits = Limits(parallel_tools=parallel, tool_seconds=seconds, steps=steps)
    step = 1
    while trio.run(cut_at, step, script, limits, clock=MockClock(autojump_threshold=0)):
        step += 1
    # The provider alone has a checkpoint for each of its parts.
    assert step > sum(len(inference.parts(0)) for inference in script[:steps])
