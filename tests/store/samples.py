"""Values to write, short to make."""

from datetime import UTC, datetime, timedelta

from wingman.api import AgentRecord, PermissionRequest, ProviderConfig
from wingman.conversation import Message, TextBlock, ToolResultBlock, ToolUseBlock, Usage
from wingman.events import Result, ToolCallResult
from wingman.store import (
    CallEnded,
    PermissionAsked,
    PermissionResolved,
    RunEnded,
    RunQueued,
    RunRecord,
    RunStarted,
    SessionRecord,
    SessionSaved,
    StepEnded,
    StepRecorded,
    Store,
)

NOON = datetime(2025, 5, 17, 12, 0, tzinfo=UTC)
USAGE = Usage(120, 30, cache_read_tokens=100)


def moment(seconds: float = 0) -> datetime:
    return NOON + timedelta(seconds=seconds)


def agent(id: str = "a1", name: str = "Ada", at: float = 0) -> AgentRecord:
    return AgentRecord(
        id=id,
        name=name,
        instructions="Be brief.",
        tools=("bash", "read_file"),
        provider=ProviderConfig("anthropic", "claude", temperature=0.1),
        output_schema={"type": "object", "properties": {"é": {"type": "number"}}},
        max_steps=7,
        created_at=moment(),
        updated_at=moment(at),
        toolsets=("git", "web"),
    )


def session(id: str = "s1", **fields: object) -> SessionRecord:
    values = {
        "work_dir": "/tmp/project",
        "title": None,
        "agent_id": "a1",
        "created_at": moment(),
        "updated_at": moment(),
    }
    return SessionRecord(id=id, **(values | fields))  # type: ignore[arg-type]


def run(id: str = "r1", session_id: str = "s1", **fields: object) -> RunRecord:
    values = {"message": "Hello", "agent_id": "a1", "agent": None, "created_at": moment()}
    return RunRecord(id=id, session_id=session_id, **(values | fields))  # type: ignore[arg-type]


def started(run_id: str = "r1", session_id: str = "s1", text: str = "Hello") -> RunStarted:
    return RunStarted(session_id, run_id, moment(1.5), Message.user(text), 1000)


ASKS = Message(
    "assistant",
    (TextBlock("Let me see."), ToolUseBlock("t1", "bash", {"command": "ls", "n": [1, 2.5, None]})),
)
ANSWER = ToolResultBlock("t1", "a\nb\x00c", is_error=False)


def recorded(run_id: str = "r1", session_id: str = "s1", step: int = 1) -> StepRecorded:
    return StepRecorded(session_id, run_id, step, ASKS, USAGE)


def call_ended(run_id: str = "r1", session_id: str = "s1", content: str = "a\nb\x00c") -> CallEnded:
    return CallEnded(session_id, run_id, ToolResultBlock("t1", content, is_error=False))


def request(
    id: str = "p1", run_id: str = "r1", session_id: str = "s1", **fields: object
) -> PermissionRequest:
    values = {
        "tool_use_id": "t1",
        "tool": "bash",
        "action": "bash",
        "resources": ("ls", "cat 'a\0é'"),
        "always": ("ls *",),
        "status": "pending",
        "created_at": moment(2),
        "input": {"command": "ls", "n": [1, 2.5, None]},
        "expires_at": moment(62),
    }
    return PermissionRequest(
        id=id,
        session_id=session_id,
        run_id=run_id,
        **(values | fields),  # type: ignore[arg-type]
    )


def asked(
    id: str = "p1", run_id: str = "r1", session_id: str = "s1", **fields: object
) -> PermissionAsked:
    return PermissionAsked(request(id, run_id, session_id, **fields))


def answered(
    id: str = "p1", run_id: str = "r1", session_id: str = "s1", **fields: object
) -> PermissionResolved:
    """A request as it is after a person said `once`, or what the fields say."""
    values = {"status": "allowed", "decision": "once", "resolved_at": moment(2.5)}
    return PermissionResolved(request(id, run_id, session_id, **(values | fields)))


def step_ended(run_id: str = "r1", session_id: str = "s1") -> StepEnded:
    return StepEnded(session_id, run_id, (ASKS, Message("user", (ANSWER,))), 1, USAGE, 9)


def ended(run_id: str = "r1", session_id: str = "s1", **fields: object) -> RunEnded:
    values = {
        "status": "completed",
        "ended_at": moment(3),
        "steps": 2,
        "usage": USAGE,
        "messages": (Message("assistant", (TextBlock("Hello yourself."),)),),
        "result": Result(
            run_id,
            "Hello yourself.",
            "end_turn",
            2,
            (ToolCallResult("t1", "bash", {"command": "ls"}, "a", is_error=False),),
            USAGE,
        ),
        "session_usage": USAGE + USAGE,
        "last_event_id": 12,
    }
    return RunEnded(session_id=session_id, run_id=run_id, **(values | fields))  # type: ignore[arg-type]


def admit(store: Store, run_id: str = "r1", session_id: str = "s1") -> None:
    """A session with one queued run."""
    store.write(SessionSaved(session(session_id)))
    store.write(RunQueued(run(run_id, session_id)))


def turn(run_id: str, session_id: str) -> tuple[RunQueued, RunStarted, RunEnded]:
    """What one text turn writes."""
    return (
        RunQueued(run(run_id, session_id)),
        started(run_id, session_id),
        ended(run_id, session_id),
    )
