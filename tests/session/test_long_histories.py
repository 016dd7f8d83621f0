"""A session with a long history is opened in slices: others have their turn in between."""

from collections.abc import Iterable
from typing import Any

import pytest
import trio

from session_kit import agent, assert_valid, live_of
from wingman import Runtime
from wingman.conversation import (
    NO_USAGE,
    Block,
    Message,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.run import history as rules
from wingman.store import MemoryStore, StepEnded

TURNS = 1_000


def _turn(number: int) -> Iterable[Message]:
    use = ToolUseBlock(f"t{number}", "say", {"text": f"{number}"})
    yield Message("user", (TextBlock(f"? {number}"),))
    yield Message("assistant", (use,))
    yield Message("user", (ToolResultBlock(use.id, f"{number}", is_error=False),))
    yield Message("assistant", (TextBlock(f"! {number}"),))


class _Longest(trio.abc.Instrument):
    """The most messages of a history that were looked at in one step of a task."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.longest = self.all = self._now = 0
        for name in ("_answered", "_new_calls"):
            monkeypatch.setattr(rules, name, self._counted(getattr(rules, name)))

    def _counted(self, look: Any) -> Any:
        def counted(message: Message, known: Any) -> tuple[Block, ...]:
            self._now += 1
            blocks: tuple[Block, ...] = look(message, known)
            return blocks

        return counted

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.longest, self.all = max(self.longest, self._now), self.all + self._now
        self._now = 0


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "with calls that repeat"])
async def test_others_have_their_turn_while_a_long_history_is_taken(
    monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    store = MemoryStore()
    helper = agent(lambda request: "Here.")
    async with Runtime(store, agents=[helper]) as runtime:
        session = await runtime.create_session(helper)
        first = await session.run("?")
    stored = [message for number in range(TURNS) for message in _turn(number if whole else 0)]
    change = StepEnded(session.id, first.run_id, tuple(stored), 1, NO_USAGE, 9)
    await store.write(change).wait()

    counts = _Longest(monkeypatch)
    async with Runtime(store, agents=[helper]) as runtime:
        trio.lowlevel.add_instrument(counts)
        result = await (await runtime.session(session.id)).run("and now?")
        trio.lowlevel.remove_instrument(counts)
        live = live_of(runtime, session.id)
        assert live.history is not None
        assert_valid(live.history)
        assert live.tool_ids == {use.id for message in stored for use in message.tool_uses}
    assert result.response == "Here."
    assert counts.all == len(stored) + 2
    assert counts.longest <= 512
