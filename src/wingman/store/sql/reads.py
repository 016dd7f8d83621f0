"""What is read: the SELECTs, and the values in their rows.

Each function takes a connection that sees the database as of one moment.
"""

# ruff: noqa: S608  (what is put into these statements is constant)

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from wingman.api import AgentRecord, Credential, McpServer
from wingman.conversation import Message
from wingman.store.listing import PAGE_CHARS
from wingman.store.records import (
    HistoryPage,
    MessagePage,
    PendingStep,
    RunRecord,
    RunStatus,
    SessionPage,
    SessionRecord,
)
from wingman.store.results import restored
from wingman.store.sql.connection import Reading
from wingman.store.sql.schema import (
    AGENT,
    RUN,
    SESSION,
    decode_credential,
    decode_mcp_server,
    decode_message,
    decode_result,
    decode_step,
)

__all__ = [
    "LAST",
    "SHOWN_RUNS",
    "agent",
    "agents",
    "credentials",
    "deleting",
    "history_page",
    "message_page",
    "pending_step",
    "run",
    "run_by_request",
    "run_messages",
    "runs",
    "session",
    "session_with_history",
    "session_with_queue",
    "sessions",
]

SHOWN_RUNS = "runs JOIN sessions ON sessions.id = runs.session_id AND sessions.deleting = 0"
"""The runs that are shown: those of sessions that are not being deleted."""

LAST: Final = 2**63 - 1
"""What no row's `seq` comes up to, and no number of rows."""


def _column(connection: Reading, query: str, *values: Any) -> Sequence[Any]:
    return tuple(value for (value,) in connection.execute(query, values))


_MESSAGES_OF_RUN: Final = "SELECT message FROM history WHERE run_id = ? ORDER BY seq"
_WHOLE_RUN: Final = f"runs.result_cut, {RUN.columns}"


def _messages(connection: Reading, query: str, id: str) -> Sequence[Message]:
    """The messages that this query finds.

    In a loop of Python's own: between two rounds the interpreter goes to the event loop where that
    waits for it, and within a function in C, as `map` in `tuple` is, it does not.
    """
    return tuple([decode_message(text) for (text,) in connection.execute(query, (id,))])


# --- agents and credentials -----------------------------------------------------------------------


def agents(connection: Reading) -> Sequence[AgentRecord]:
    rows = connection.execute(f"SELECT {AGENT.columns} FROM agents ORDER BY seq")
    return tuple(map(AGENT.read, rows))


def agent(connection: Reading, agent_id: str) -> AgentRecord | None:
    query = f"SELECT {AGENT.columns} FROM agents WHERE id = ?"
    row = connection.execute(query, (agent_id,)).fetchone()
    return None if row is None else AGENT.read(row)


def credentials(connection: Reading) -> Mapping[str, Credential]:
    rows = connection.execute("SELECT provider, credential FROM credentials ORDER BY seq")
    return {provider: decode_credential(value) for provider, value in rows}


def mcp_servers(connection: Reading) -> Mapping[str, McpServer]:
    rows = connection.execute("SELECT name, server FROM mcp_servers ORDER BY seq")
    return {name: decode_mcp_server(value) for name, value in rows}


# --- sessions -------------------------------------------------------------------------------------


def sessions(connection: Reading, limit: int, before: int | None) -> SessionPage:
    query = (
        f"SELECT seq, {SESSION.columns} FROM sessions"
        " WHERE deleting <> 1 AND seq < ? ORDER BY seq DESC LIMIT ?"  # nearly all: so it is guessed
    )
    rows = connection.execute(query, (LAST if before is None else before, limit + 1)).fetchall()
    page = rows[:limit]
    return SessionPage(
        tuple(SESSION.read(row[1:]) for row in page),
        page[-1][0] if len(rows) > limit else None,
    )


def session(connection: Reading, session_id: str) -> SessionRecord | None:
    query = f"SELECT {SESSION.columns} FROM sessions WHERE id = ? AND deleting = 0"
    row = connection.execute(query, (session_id,)).fetchone()
    return None if row is None else SESSION.read(row)


def session_with_history(
    connection: Reading, session_id: str
) -> tuple[SessionRecord, Sequence[Message]] | None:
    found = session(connection, session_id)
    if found is None:
        return None
    query = "SELECT message FROM history WHERE session_id = ? ORDER BY seq"
    return found, _messages(connection, query, session_id)


def history_page(
    connection: Reading, session_id: str, after: int, until: int | None
) -> HistoryPage | None:
    found = session(connection, session_id)
    if found is None:
        return None
    if until is None:
        query = "SELECT coalesce(max(seq), 0) FROM history WHERE session_id = ?"
        (until,) = connection.execute(query, (session_id,)).fetchone()
    query = (
        "SELECT seq, message FROM history WHERE session_id = ? AND seq > ? AND seq <= ?"
        " ORDER BY seq"
    )
    messages: list[Message] = []
    size = 0
    for seq, text in connection.each(query, (session_id, after, until)):
        messages.append(decode_message(text))
        size += len(text)
        if size >= PAGE_CHARS:
            return HistoryPage(found, tuple(messages), seq if seq < until else None, until)
    return HistoryPage(found, tuple(messages), None, until)


def message_page(
    connection: Reading, session_id: str, limit: int, before: int | None
) -> MessagePage | None:
    if session(connection, session_id) is None:
        return None
    query = "SELECT seq, message FROM history WHERE session_id = ? AND seq < ? ORDER BY seq DESC"
    messages: list[Message] = []
    size, oldest = 0, None
    for seq, text in connection.each(query, (session_id, LAST if before is None else before)):
        if len(messages) == limit or size >= PAGE_CHARS:
            return MessagePage(tuple(reversed(messages)), oldest)
        messages.append(decode_message(text))
        size, oldest = size + len(text), seq
    return MessagePage(tuple(reversed(messages)), None)


def session_with_queue(
    connection: Reading, session_id: str
) -> tuple[SessionRecord, Sequence[RunRecord]] | None:
    found = session(connection, session_id)
    if found is None:
        return None
    query = (
        f"SELECT {RUN.columns} FROM runs INDEXED BY runs_session_status"
        " WHERE session_id = ? AND status IN ('waiting', 'queued') ORDER BY seq"
    )
    return found, tuple(map(RUN.read, connection.execute(query, (session_id,))))


def deleting(connection: Reading) -> Sequence[str]:
    return _column(connection, "SELECT id FROM sessions WHERE deleting ORDER BY seq")


# --- runs -----------------------------------------------------------------------------------------


def _whole(connection: Reading, row: Sequence[Any]) -> RunRecord:
    """The run in this row, with its whole result: if it is kept in short, from its messages."""
    result_cut, *columns = row
    record = RUN.read(columns)
    if not result_cut or record.result is None:
        return record
    messages = _messages(connection, _MESSAGES_OF_RUN, record.id)
    return msgspec.structs.replace(record, result=restored(record.result, messages))


def _where(session_id: str | None, statuses: Sequence[RunStatus]) -> tuple[str, list[Any]]:
    """The condition for these runs, and its values."""
    terms: list[str] = ["true"]
    values: list[Any] = []
    if session_id is not None:
        terms.append("runs.session_id = ?")
        values.append(session_id)
    if statuses:
        terms.append(f"runs.status IN ({', '.join('?' * len(statuses))})")
        values += statuses
    return " AND ".join(terms), values


def runs(
    connection: Reading,
    session_id: str | None,
    statuses: Sequence[RunStatus],
    limit: int | None,
) -> Sequence[RunRecord]:
    where, values = _where(session_id, statuses)
    query = f"SELECT {_WHOLE_RUN} FROM {SHOWN_RUNS} WHERE {where} ORDER BY runs.seq DESC LIMIT ?"
    rows = connection.execute(query, (*values, LAST if limit is None else limit)).fetchall()
    return tuple([_whole(connection, row) for row in reversed(rows)])


def run(connection: Reading, session_id: str | None, run_id: str) -> RunRecord | None:
    query = (
        f"SELECT {_WHOLE_RUN} FROM {SHOWN_RUNS} WHERE runs.id = ?"
        " AND runs.session_id = coalesce(?, runs.session_id)"
    )
    row = connection.execute(query, (run_id, session_id)).fetchone()
    return None if row is None else _whole(connection, row)


def run_by_request(connection: Reading, session_id: str, request_id: str) -> RunRecord | None:
    query = (
        f"SELECT {_WHOLE_RUN} FROM {SHOWN_RUNS} WHERE runs.session_id = ? AND runs.request_id = ?"
    )
    row = connection.execute(query, (session_id, request_id)).fetchone()
    return None if row is None else _whole(connection, row)


def run_messages(connection: Reading, run_id: str) -> Sequence[Message]:
    query = (
        "SELECT history.message FROM history"
        " JOIN sessions ON sessions.id = history.session_id AND sessions.deleting = 0"
        " WHERE history.run_id = ? ORDER BY history.seq"
    )
    return _messages(connection, query, run_id)


def pending_step(connection: Reading, run_id: str) -> PendingStep | None:
    query = (
        f"SELECT pending.value FROM {SHOWN_RUNS} JOIN pending ON pending.run_id = runs.id"
        " WHERE pending.run_id = ? ORDER BY pending.seq"
    )
    values = _column(connection, query, run_id)
    if not values:
        return None
    step = decode_step(values[0])
    results = tuple(map(decode_result, values[1:]))
    return PendingStep(step.step, step.message, step.usage, results, step.cost)
