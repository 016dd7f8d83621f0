"""What changes do to the tables: the rows they come as, and the SQL that these go through.

Each statement takes the rows of many changes at once, as the table `change`: between two
statements the thread gives up the interpreter and has to win it back from the event loop, which
costs far more than a statement. A change of a run or a session that is not there finds nothing to
join, and does nothing. Rows come out of VALUES in order, and CROSS JOIN keeps it
(https://www.sqlite.org/optoverview.html, 8.2).

Here are agents, credentials and sessions; runs are in `run_statements`, and permission requests in
`permission_statements`.
"""

# ruff: noqa: S608  (what is put into these statements is constant)

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeAlias

import attrs
import msgspec

from wingman.api import AgentRecord
from wingman.store.changes import (
    AgentSaved,
    SessionDeleting,
    SessionErased,
    SessionReleased,
    SessionSaved,
)

__all__ = [
    "CLAIM_SESSION",
    "DELETE_AGENT",
    "DELETE_CREDENTIAL",
    "DELETE_MCP_SERVER",
    "ERASE_SESSION",
    "MARK_SESSION",
    "RAISE_CEILING",
    "RELEASE_SESSION",
    "SAVE_AGENT",
    "SAVE_CREDENTIAL",
    "SAVE_MCP_SERVER",
    "SAVE_SESSION",
    "Row",
    "Statement",
    "as_json",
    "as_text",
]

Row: TypeAlias = tuple[str | int | float | None, ...]


@attrs.frozen
class Statement:
    """One statement over `change`, a table of these columns that holds the changes' rows.

    `needs`, where it is given, is a query: the statement is left out where that finds no row.
    """

    columns: str
    rows: Callable[[Any], Iterable[Row]]
    sql: str
    needs: str | None = None


def as_json(value: Any) -> str | None:
    """The text of a value that is kept as JSON; None stays NULL."""
    return None if value is None else msgspec.json.encode(value).decode()


def as_text(moment: datetime | None) -> str | None:
    """RFC 3339, as long as all others, so that text sorts as moments do; None stays NULL."""
    return None if moment is None else moment.isoformat(timespec="microseconds")


# --- agents, credentials, MCP servers -------------------------------------------------------------


def _agent_row(agent: AgentRecord) -> Row:
    return (
        agent.id,
        agent.name,
        agent.instructions,
        as_json(agent.tools),
        as_json(agent.provider),
        as_json(agent.output_schema),
        agent.max_steps,
        as_text(agent.created_at),
        as_text(agent.updated_at),
        as_json(agent.permissions),
        int(agent.instruction_files),
        as_json(agent.compaction),
        as_json(agent.toolsets),
    )


def _new_agent(change: AgentSaved) -> Iterable[Row]:
    if change.before is None:
        yield _agent_row(change.agent)


def _changed_agent(change: AgentSaved) -> Iterable[Row]:
    if change.before is not None:
        yield (*_agent_row(change.agent), as_text(change.before))


_AGENT_FIELDS = (
    "name",
    "instructions",
    "tools",
    "provider",
    "output_schema",
    "max_steps",
    "created_at",
    "updated_at",
    "permissions",
    "instruction_files",
    "compaction",
    "toolsets",
)
_AGENT = ", ".join(("id", *_AGENT_FIELDS))


def _set_agent(source: str) -> str:
    return ", ".join(f"{name} = {source}.{name}" for name in _AGENT_FIELDS)


SAVE_AGENT = (
    Statement(
        _AGENT,
        _new_agent,
        f"""
INSERT INTO agents ({_AGENT}) SELECT {_AGENT} FROM change WHERE true
ON CONFLICT (id) DO UPDATE SET {_set_agent("excluded")}""",
    ),
    Statement(
        f"{_AGENT}, before",
        _changed_agent,
        f"""
UPDATE agents SET {_set_agent("change")} FROM change
WHERE agents.id = change.id AND agents.updated_at = change.before""",
    ),
)

DELETE_AGENT = Statement(
    "id",
    lambda change: ((change.agent_id,),),
    "DELETE FROM agents WHERE id IN (SELECT id FROM change)",
)

SAVE_CREDENTIAL = Statement(
    "provider, credential",
    lambda change: ((change.provider, as_json(change.credential)),),
    """
INSERT INTO credentials (provider, credential)
SELECT provider, credential FROM change WHERE true
ON CONFLICT (provider) DO UPDATE SET credential = excluded.credential""",
)

DELETE_CREDENTIAL = Statement(
    "provider",
    lambda change: ((change.provider,),),
    "DELETE FROM credentials WHERE provider IN (SELECT provider FROM change)",
)

SAVE_MCP_SERVER = Statement(
    "name, server",
    lambda change: ((change.name, as_json(change.server)),),
    """
INSERT INTO mcp_servers (name, server) SELECT name, server FROM change WHERE true
ON CONFLICT (name) DO UPDATE SET server = excluded.server""",
)

DELETE_MCP_SERVER = Statement(
    "name",
    lambda change: ((change.name,),),
    "DELETE FROM mcp_servers WHERE name IN (SELECT name FROM change)",
)

# --- sessions -------------------------------------------------------------------------------------


def _session_row(change: SessionSaved) -> Iterable[Row]:
    session = change.session
    yield (
        session.id,
        session.work_dir,
        session.title,
        session.agent_id,
        as_text(session.created_at),
        as_text(session.updated_at),
        session.last_event_id,
        session.event_ceiling,
        as_json(session.usage),
        as_json(session.permissions),
        session.label,
        int(change.is_new),
    )


def _session_id(change: SessionDeleting | SessionErased | SessionReleased) -> Iterable[Row]:
    return ((change.session_id,),)


_SESSION = """id, work_dir, title, agent_id, created_at, updated_at,
    last_event_id, event_ceiling, usage, permissions, label"""

SAVE_SESSION = Statement(
    f"{_SESSION}, is_new",
    _session_row,
    f"""
INSERT INTO sessions ({_SESSION}) SELECT {_SESSION} FROM change
WHERE is_new = 1 OR EXISTS (SELECT 1 FROM sessions WHERE sessions.id = change.id)
ON CONFLICT (id) DO UPDATE SET work_dir = excluded.work_dir, title = excluded.title,
    agent_id = excluded.agent_id, updated_at = excluded.updated_at,
    permissions = excluded.permissions""",
)

# Where a database has one owner, `this_node()` is NULL. Who owns a new session says the column's
# default.
CLAIM_SESSION = Statement(
    "session_id, former",
    lambda change: ((change.session_id, change.former),),
    """
UPDATE sessions SET node = this_node() FROM change
WHERE sessions.id = change.session_id
    AND (sessions.node IS NULL OR sessions.node = change.former)""",
)

RELEASE_SESSION = Statement(
    "session_id",
    _session_id,
    """
UPDATE sessions SET node = NULL FROM change
WHERE sessions.id = change.session_id AND sessions.node = this_node()""",
)

RAISE_CEILING = Statement(
    "session_id, event_ceiling",
    lambda change: ((change.session_id, change.event_ceiling),),
    """
UPDATE sessions SET event_ceiling = change.event_ceiling
FROM change WHERE sessions.id = change.session_id""",
)

MARK_SESSION = Statement(
    "session_id",
    _session_id,
    "UPDATE sessions SET deleting = 1 WHERE id IN (SELECT session_id FROM change)",
)

ERASE_SESSION = tuple(
    Statement("session_id", _session_id, sql)
    for sql in (
        """
DELETE FROM pending WHERE run_id IN (
    SELECT runs.id FROM change CROSS JOIN runs ON runs.session_id = change.session_id)""",
        "DELETE FROM permissions WHERE session_id IN (SELECT session_id FROM change)",
        "DELETE FROM history WHERE session_id IN (SELECT session_id FROM change)",
        "DELETE FROM compactions WHERE session_id IN (SELECT session_id FROM change)",
        "DELETE FROM runs WHERE session_id IN (SELECT session_id FROM change)",
        # Of agents' versions those go that no run has any more: there are few, and an index tells.
        """
DELETE FROM agent_versions WHERE NOT EXISTS (
    SELECT 1 FROM runs WHERE runs.agent = agent_versions.hash)""",
        "DELETE FROM sessions WHERE id IN (SELECT session_id FROM change)",
    )
)
