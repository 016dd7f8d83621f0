"""What is read: the SELECTs, and the values in their rows.

Each function takes a connection that sees the database as of one moment.
"""

# ruff: noqa: S608  (what is put into these statements is constant)

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from wingman.api import AgentRecord, Credential
from wingman.conversation import Message
from wingman.store.listing import MESSAGE_BYTES, PAGE_CHARS, WHOLE_RESULT, listed
from wingman.store.records import (
    HistoryPage,
    ListedRun,
    PendingStep,
    RunPage,
    RunRecord,
    RunStatus,
    SessionPage,
    SessionRecord,
)
from wingman.store.sqlite.schema import (
    AGENT,
    RUN,
    SESSION,
    UNFINISHED,
    decode_credential,
    decode_message,
    decode_result,
    decode_step,
)

__all__ = [
    "agent",
    "agents",
    "credentials",
    "deleting",
    "history_page",
    "pending_step",
    "run",
    "run_by_request",
    "run_messages",
    "run_page",
    "runs",
    "session",
    "session_with_history",
    "session_with_queue",
    "sessions",
    "sessions_with_queue",
]

# What a list reads of a run: no image, no agent, and of long texts the beginning. That of its
# message is read as bytes: SQLite takes a NUL for the end of a text.
_LISTED = RUN.select(
    message="''",
    result=f"CASE WHEN length(runs.result) <= {WHOLE_RESULT} THEN runs.result END",
    agent="NULL",
    images="NULL",
)
_MESSAGE = f"substr(CAST(runs.message AS BLOB), 1, {MESSAGE_BYTES})"
_LONG_RESULT = f"CASE WHEN length(runs.result) > {WHOLE_RESULT} THEN runs.result END"

_SHOWN_RUNS = "runs JOIN sessions ON sessions.id = runs.session_id AND sessions.deleting = 0"


def _column(connection: sqlite3.Connection, query: str, *values: Any) -> Sequence[Any]:
    return tuple(value for (value,) in connection.execute(query, values))


# --- agents and credentials -----------------------------------------------------------------------


def agents(connection: sqlite3.Connection) -> Sequence[AgentRecord]:
    rows = connection.execute(f"SELECT {AGENT.columns} FROM agents ORDER BY seq")
    return tuple(map(AGENT.read, rows))


def agent(connection: sqlite3.Connection, agent_id: str) -> AgentRecord | None:
    query = f"SELECT {AGENT.columns} FROM agents WHERE id = ?"
    row = connection.execute(query, (agent_id,)).fetchone()
    return None if row is None else AGENT.read(row)


def credentials(connection: sqlite3.Connection) -> Mapping[str, Credential]:
    rows = connection.execute("SELECT provider, credential FROM credentials")
    return {provider: decode_credential(value) for provider, value in rows}


# --- sessions -------------------------------------------------------------------------------------


def sessions(connection: sqlite3.Connection, limit: int, before: int | None) -> SessionPage:
    query = (
        f"SELECT seq, {SESSION.columns} FROM sessions"
        " WHERE deleting = 0 AND (? IS NULL OR seq < ?) ORDER BY seq DESC LIMIT ?"
    )
    rows = connection.execute(query, (before, before, limit + 1)).fetchall()
    page = rows[:limit]
    return SessionPage(
        tuple(SESSION.read(row[1:]) for row in page),
        page[-1][0] if len(rows) > limit else None,
    )


def session(connection: sqlite3.Connection, session_id: str) -> SessionRecord | None:
    query = f"SELECT {SESSION.columns} FROM sessions WHERE id = ? AND deleting = 0"
    row = connection.execute(query, (session_id,)).fetchone()
    return None if row is None else SESSION.read(row)


def session_with_history(
    connection: sqlite3.Connection, session_id: str
) -> tuple[SessionRecord, Sequence[Message]] | None:
    found = session(connection, session_id)
    if found is None:
        return None
    query = "SELECT message FROM history WHERE session_id = ? ORDER BY seq"
    return found, tuple(map(decode_message, _column(connection, query, session_id)))


def history_page(
    connection: sqlite3.Connection, session_id: str, after: int, until: int | None
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
    for seq, text in connection.execute(query, (session_id, after, until)):
        messages.append(decode_message(text))
        size += len(text)
        if size >= PAGE_CHARS:
            return HistoryPage(found, tuple(messages), seq if seq < until else None, until)
    return HistoryPage(found, tuple(messages), None, until)


def session_with_queue(
    connection: sqlite3.Connection, session_id: str
) -> tuple[SessionRecord, Sequence[RunRecord]] | None:
    found = session(connection, session_id)
    if found is None:
        return None
    query = (
        f"SELECT {RUN.columns} FROM runs"
        f" WHERE session_id = ? AND status = 'queued' AND {UNFINISHED} ORDER BY seq"
    )
    return found, tuple(map(RUN.read, connection.execute(query, (session_id,))))


def sessions_with_queue(connection: sqlite3.Connection) -> Sequence[str]:
    query = (
        f"SELECT runs.session_id FROM {_SHOWN_RUNS} WHERE status = 'queued' AND {UNFINISHED}"
        " GROUP BY runs.session_id ORDER BY min(runs.seq)"
    )
    return _column(connection, query)


def deleting(connection: sqlite3.Connection) -> Sequence[str]:
    return _column(connection, "SELECT id FROM sessions WHERE deleting ORDER BY seq")


# --- runs -----------------------------------------------------------------------------------------


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
        if {"queued", "running"}.issuperset(statuses):
            terms.append(UNFINISHED)
    return " AND ".join(terms), values


def runs(
    connection: sqlite3.Connection,
    session_id: str | None,
    statuses: Sequence[RunStatus],
    limit: int | None,
) -> Sequence[RunRecord]:
    where, values = _where(session_id, statuses)
    query = f"SELECT {RUN.columns} FROM {_SHOWN_RUNS} WHERE {where} ORDER BY runs.seq DESC LIMIT ?"
    rows = connection.execute(query, (*values, -1 if limit is None else limit)).fetchall()
    return tuple(map(RUN.read, reversed(rows)))


def run_page(
    connection: sqlite3.Connection,
    session_id: str | None,
    statuses: Sequence[RunStatus],
    limit: int,
    before: int | None,
) -> RunPage:
    where, values = _where(session_id, statuses)
    if before is not None:
        where += " AND runs.seq < ?"
        values.append(before)
    query = (
        f"SELECT runs.seq, {_MESSAGE}, {_LONG_RESULT}, {_LISTED} FROM {_SHOWN_RUNS}"
        f" WHERE {where} ORDER BY runs.seq DESC LIMIT ?"
    )
    page: list[ListedRun] = []
    oldest = None
    # One by one: a row may have a result of many megabytes, of which little is kept.
    for seq, message, result, *row in connection.execute(query, (*values, limit + 1)):
        if len(page) == limit:
            return RunPage(tuple(reversed(page)), oldest)
        page.append(listed(RUN.read(row), message, result))
        oldest = seq
    return RunPage(tuple(reversed(page)), None)


def run(connection: sqlite3.Connection, session_id: str, run_id: str) -> RunRecord | None:
    query = f"SELECT {RUN.columns} FROM {_SHOWN_RUNS} WHERE runs.session_id = ? AND runs.id = ?"
    row = connection.execute(query, (session_id, run_id)).fetchone()
    return None if row is None else RUN.read(row)


def run_by_request(
    connection: sqlite3.Connection, session_id: str, request_id: str
) -> RunRecord | None:
    query = (
        f"SELECT {RUN.columns} FROM {_SHOWN_RUNS} WHERE runs.session_id = ? AND runs.request_id = ?"
    )
    row = connection.execute(query, (session_id, request_id)).fetchone()
    return None if row is None else RUN.read(row)


def run_messages(connection: sqlite3.Connection, run_id: str) -> Sequence[Message]:
    query = (
        "SELECT history.message FROM history"
        " JOIN sessions ON sessions.id = history.session_id AND sessions.deleting = 0"
        " WHERE history.run_id = ? ORDER BY history.seq"
    )
    return tuple(map(decode_message, _column(connection, query, run_id)))


def pending_step(connection: sqlite3.Connection, run_id: str) -> PendingStep | None:
    query = (
        f"SELECT pending.value FROM {_SHOWN_RUNS} JOIN pending ON pending.run_id = runs.id"
        " WHERE pending.run_id = ? ORDER BY pending.seq"
    )
    values = _column(connection, query, run_id)
    if not values:
        return None
    step = decode_step(values[0])
    results = tuple(map(decode_result, values[1:]))
    return PendingStep(step.step, step.message, step.usage, results, step.cost)
