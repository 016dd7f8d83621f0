"""The tools of the server, as a client is told of them, and those that answer at once."""

from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final, cast

import attrs
import msgspec
from msgspec import UNSET

from wingman.api import Receipt, SessionView
from wingman.errors import InvalidRequest, NotFound
from wingman.runtime import Runtime
from wingman.schemas import schema_of
from wingman.server.mcp.shown import (
    cut,
    shown_message,
    shown_progress,
    shown_question,
    shown_run,
    shown_session,
)
from wingman.server.mcp.values import (
    AgentRun,
    Cancel,
    GetSession,
    ListSessions,
    RunAgent,
    Sessions,
    ShownWhole,
    given,
)

__all__ = ["TOOLS", "listed", "look"]

# Characters of a history that one answer shows, and of a message at least.
_SHOWN: Final = 60_000
_SHOWN_OF_EACH: Final = 600
_MOST_QUESTIONS: Final = 20
_NAMED_AGENTS: Final = 30

_READS: Final = {"readOnlyHint": True, "openWorldHint": False}


@attrs.frozen
class McpTool:
    """A tool: what it takes, what it gives, and what a model is told of it."""

    title: str
    description: str
    takes: type[Any]
    gives: type[Any]
    annotations: Mapping[str, bool]


TOOLS: Final[Mapping[str, McpTool]] = MappingProxyType(
    {
        "run_agent": McpTool(
            "Run an agent",
            "Send a message to an agent and wait for its answer. The agent works with its own "
            "tools until it is done. Without `session` a new session is made; the result has its "
            "id: pass that as `session` to go on in the same conversation. If this call is "
            "cancelled, so is the run. Use `background` for work that takes more than a minute.",
            RunAgent,
            AgentRun,
            {"readOnlyHint": False, "destructiveHint": True, "openWorldHint": True},
        ),
        "list_sessions": McpTool(
            "List sessions",
            "List the agents' sessions, newest first, each with its title and its status.",
            ListSessions,
            Sessions,
            _READS,
        ),
        "get_session": McpTool(
            "Read a session",
            "Read a session: its status, its last run, what waits for a person's permission, and "
            "the last messages of its history, in order. Long texts are cut. `next_cursor` leads "
            "to the messages before these.",
            GetSession,
            ShownWhole,
            _READS,
        ),
        "cancel": McpTool(
            "Cancel a run",
            "Cancel what runs in a session, or one run. The answer comes when the work has really "
            "stopped, or after 5 s, and says what has stopped. Nothing is cancelled where nothing "
            "runs.",
            Cancel,
            Receipt,
            {
                "readOnlyHint": False,
                "destructiveHint": True,
                "idempotentHint": True,
                "openWorldHint": False,
            },
        ),
    }
)
"""All of them, by name."""


def listed(agents: Sequence[str]) -> list[dict[str, Any]]:
    """The tools as `tools/list` has them. `agents` are the names of those that can be run."""
    return [_listed(name, tool, agents) for name, tool in TOOLS.items()]


def _listed(name: str, tool: McpTool, agents: Sequence[str]) -> dict[str, Any]:
    description = tool.description
    if tool.takes is RunAgent:
        names = ", ".join(cut(one, 100) for one in agents[:_NAMED_AGENTS])
        more = f", and {len(agents) - _NAMED_AGENTS} more" if len(agents) > _NAMED_AGENTS else ""
        description += f" Agents: {names or 'none yet'}{more}."
    return {
        "name": name,
        "title": tool.title,
        "description": description,
        "inputSchema": _schema(cast("Hashable", tool.takes)),
        "outputSchema": _schema(cast("Hashable", tool.gives)),
        "annotations": {"title": tool.title, **tool.annotations},
    }


@cache
def _schema(kind: Any) -> dict[str, Any]:
    schema = schema_of(kind)
    return {word: value for word, value in schema.items() if word != "title"}


async def look(runtime: Runtime, asked: ListSessions | GetSession | Cancel) -> msgspec.Struct:
    """The result of a tool that answers at once."""
    match asked:
        case ListSessions():
            return await _sessions(runtime, asked)
        case GetSession():
            return await _session(runtime, asked)
        case Cancel():
            return await _cancel(runtime, asked)


async def _sessions(runtime: Runtime, asked: ListSessions) -> Sessions:
    page = await runtime.sessions(asked.limit, given(asked.cursor))
    shown = (shown_session(view, _agent(runtime, view)) for view in page.sessions)
    return Sessions(tuple(shown), _cursor(page.next))


async def _session(runtime: Runtime, asked: GetSession) -> ShownWhole:
    pages = await runtime.read_session(asked.session)
    messages = await runtime.session_messages(asked.session, asked.limit, given(asked.cursor))
    runs = await runtime.runs(asked.session, limit=1)
    questions = await runtime.permissions(asked.session, limit=_MOST_QUESTIONS)
    view = pages.view
    most = max(_SHOWN_OF_EACH, _SHOWN // asked.limit)
    return ShownWhole(
        **msgspec.structs.asdict(shown_session(view, _agent(runtime, view))),
        messages=tuple(shown_message(message, most) for message in messages),
        next_cursor=_cursor(messages.next),
        last_run=shown_run(runs[0]) if runs else UNSET,
        in_progress=UNSET if view.in_progress is None else shown_progress(view.in_progress),
        waits_for=tuple(map(shown_question, questions)) or UNSET,
    )


async def _cancel(runtime: Runtime, asked: Cancel) -> Receipt:
    session_id, run_id = given(asked.session), given(asked.run)
    if run_id is not None:
        if asked.queued:
            raise InvalidRequest("`queued` goes with a session alone - at `$.queued`")
        if session_id is None:
            session_id = (await runtime.describe_run(None, run_id)).session_id
        return await runtime.cancel_run(session_id, run_id)
    if session_id is None:
        raise InvalidRequest("Name a `session` or a `run` - at `$`")
    return await runtime.cancel(session_id, queued=asked.queued)


def _agent(runtime: Runtime, session: SessionView) -> str | None:
    """The name of a session's agent, or its id where there is no such agent any more."""
    if session.agent_id is None:
        return None
    try:
        return runtime.agents.get(session.agent_id).name
    except NotFound:
        return session.agent_id


def _cursor(next: int | None) -> Any:
    return UNSET if next is None else next
