"""A thousand sessions leave memory, and come back as they were."""

import gc
import weakref
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import trio

from session_kit import agent, live_of, opened
from wingman import Message, Runtime, Session
from wingman.events import Done
from wingman.providers import Request, ToolCalls
from wingman.session import LiveSession

MANY = 1000


def speak(request: Request) -> object:
    """A question gets a tool call first; the rest, and its result, an echo."""
    text = request.messages[-1].text
    return ToolCalls(("say", {"text": text})) if text.startswith("?") else text or "done"


async def test_a_thousand_sessions_leave_nothing_in_memory_and_come_back_as_they_were(
    tmp_path: Path,
) -> None:
    helper = agent(speak)  # type: ignore[arg-type]
    async with opened(helper, store=tmp_path / "w.db") as runtime:
        directory = runtime._host.active._directory
        tasks = trio.lowlevel.current_statistics().tasks_living
        sessions: list[Session] = []
        before: dict[str, tuple[Sequence[Message], object]] = {}
        last_ids: dict[str, int] = {}
        lives: weakref.WeakSet[LiveSession] = weakref.WeakSet()

        async def begin(number: int) -> None:
            session = await runtime.create_session(helper, title=f"{number}")
            sessions.append(session)
            await session.run(f"? {number}")

        async with trio.open_nursery() as nursery:
            for number in range(MANY):
                nursery.start_soon(begin, number)

        async def remember(session: Session) -> None:
            before[session.id] = await _seen(runtime, session)
            live = live_of(runtime, session.id)
            last_ids[session.id] = live.channel.last_id
            lives.add(live)

        await _all(sessions, remember)
        assert len(directory) == len(runtime._root.services.system.snapshot()) == MANY
        for cell in list(directory._cells.values()):
            cell.request_passivation()
        del cell
        with trio.fail_after(10):
            while len(directory):
                await trio.lowlevel.checkpoint()
        gc.collect()
        assert list(lives) == []
        assert runtime._root.services.system.snapshot() == []
        assert list(runtime._host.active.all()) == []
        assert trio.lowlevel.current_statistics().tasks_living <= tasks

        async def come_back(session: Session) -> None:
            result = await session.run("again")
            assert result.response == "again"
            history, shown = await _seen(runtime, session)
            old_history, old_shown = before[session.id]
            assert history[: len(old_history)] == old_history
            assert [message.text for message in history[len(old_history) :]] == ["again", "again"]
            assert shown == old_shown
            channel = live_of(runtime, session.id).channel
            events = channel.read(channel.start)
            assert isinstance(events[-1].event, Done)
            assert min(event.id for event in events) > last_ids[session.id]

        await _all(sessions, come_back)


async def _all(sessions: list[Session], do: Callable[[Session], Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:
        for session in sessions:
            nursery.start_soon(do, session)


async def _seen(runtime: Runtime, session: Session) -> tuple[Sequence[Message], object]:
    """A session's history, and what is shown of it that a run does not change."""
    record = await runtime.describe(session.id)
    history = record.history
    return history, (record.title, record.work_dir, record.agent_id, record.created_at)
