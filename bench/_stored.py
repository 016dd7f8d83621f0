"""What stands in a store before a measurement begins: written as runs would have left it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Final

from wingman.api import AgentRecord
from wingman.conversation import Message, TextBlock, ToolResultBlock, ToolUseBlock, Usage
from wingman.events import Result
from wingman.store import (
    AgentSaved,
    Change,
    RunEnded,
    RunQueued,
    RunRecord,
    RunStarted,
    SessionRecord,
    SessionSaved,
    open_store,
)

__all__ = ["session_record", "store_all", "store_history", "store_queue", "store_sessions"]

NOW: Final = datetime(2025, 5, 17, 12, tzinfo=UTC)
USAGE: Final = Usage(100, 10)
TEXT: Final = "Some sentence of a usual length, as people and models say them all day long. " * 2

_AT_ONCE: Final = 500


async def store_all(database: Path | str, changes: Iterable[Change]) -> None:
    """Write these changes, in order."""
    async with open_store(database) as store:
        # Each is a call of its own: what is written together takes few statements.
        left = iter(changes)
        while commits := [store.write(change) for change in islice(left, _AT_ONCE)]:
            for commit in commits:
                await commit.wait()


def session_record(session_id: str, agent_id: str) -> SessionRecord:
    """A session, as it is when it is new."""
    return SessionRecord(
        id=session_id,
        work_dir="/",
        title=None,
        agent_id=agent_id,
        created_at=NOW,
        updated_at=NOW,
    )


async def store_sessions(database: Path | str, ids: Iterable[str], agent_id: str) -> None:
    """Sessions that have had one turn each."""
    await store_all(database, (c for id in ids for c in _session(id, agent_id, messages=2)))


async def store_history(database: Path | str, sessions: Mapping[str, tuple[str, int]]) -> None:
    """Sessions by id: the agent, and how many messages there are."""
    await store_all(
        database,
        (
            change
            for session_id, (agent_id, messages) in sessions.items()
            for change in _session(session_id, agent_id, messages)
        ),
    )


async def store_queue(database: Path | str, agent: AgentRecord, runs: int) -> None:
    """So many sessions with a queued run each."""

    def changes() -> Iterable[Change]:
        yield AgentSaved(agent)
        for number in range(runs):
            session_id = f"session-{number:06}"
            yield SessionSaved(session_record(session_id, agent.id))
            yield RunQueued(_run(f"run-{number:06}", session_id, agent.id, agent))

    await store_all(database, changes())


def _session(session_id: str, agent_id: str, messages: int) -> Iterable[Change]:
    """A session whose runs have four messages each, or two, if that is all."""
    yield SessionSaved(session_record(session_id, agent_id))
    size = 4 if messages >= 4 else 2
    for number in range(-(-messages // size)):
        run_id = f"run-{session_id}-{number:06}"
        yield RunQueued(_run(run_id, session_id, agent_id, None))
        yield RunStarted(session_id, run_id, NOW, Message.user(TEXT), 1_000 * (number + 1))
        yield RunEnded(
            session_id=session_id,
            run_id=run_id,
            status="completed",
            ended_at=NOW,
            steps=size // 2,
            usage=USAGE,
            messages=_answer(next(_calls), called=size == 4),
            result=Result(run_id, TEXT, "end_turn", size // 2, (), USAGE),
            session_usage=USAGE,
            last_event_id=1_000 * number + 1,
        )


_calls: Final = count()


def _answer(number: int, *, called: bool) -> tuple[Message, ...]:
    said = Message("assistant", (TextBlock(TEXT),))
    if not called:
        return (said,)
    call = ToolUseBlock(f"call_{number}", "bash", {"command": "ls -l"})
    result = ToolResultBlock(call.id, TEXT, is_error=False)
    return (Message("assistant", (call,)), Message("user", (result,)), said)


def _run(run_id: str, session_id: str, agent_id: str, agent: AgentRecord | None) -> RunRecord:
    return RunRecord(
        id=run_id,
        session_id=session_id,
        message=TEXT,
        agent_id=agent_id,
        agent=agent,
        created_at=NOW,
    )
