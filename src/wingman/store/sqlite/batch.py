"""A batch of changes, written a kind at a time: the same as one by one, with fewer statements."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import attrs

from wingman.store.changes import (
    AgentDeleted,
    AgentSaved,
    CallEnded,
    CeilingRaised,
    Change,
    CredentialDeleted,
    CredentialSaved,
    HistoryCompacted,
    McpServerDeleted,
    McpServerSaved,
    PermissionAsked,
    PermissionResolved,
    RunEnded,
    RunQueued,
    RunStarted,
    RunSteered,
    SessionDeleting,
    SessionErased,
    SessionSaved,
    StepEnded,
    StepRecorded,
)
from wingman.store.sqlite.permission_statements import (
    ASK_PERMISSION,
    CANCEL_PERMISSIONS,
    RESOLVE_PERMISSION,
)
from wingman.store.sqlite.run_statements import (
    COMPACT,
    END_CALL,
    END_RUN,
    END_STEP,
    QUEUE_RUN,
    RECORD_STEP,
    SAVE_VERSION,
    START_RUN,
    STEER_RUN,
)
from wingman.store.sqlite.statements import (
    DELETE_AGENT,
    DELETE_CREDENTIAL,
    DELETE_MCP_SERVER,
    ERASE_SESSION,
    MARK_SESSION,
    RAISE_CEILING,
    SAVE_AGENT,
    SAVE_CREDENTIAL,
    SAVE_MCP_SERVER,
    SAVE_SESSION,
    Row,
    Statement,
)

__all__ = ["STATEMENT_TEXTS", "Connection", "write_in_order", "write_together"]


@attrs.frozen
class Write:
    """How one kind of change is written. `about` gives the ids of what it depends on.

    `repeats`: many about the same thing may share a statement, since all it does is to append.
    """

    about: Callable[[Any], tuple[str, ...]]
    statements: tuple[Statement, ...]
    repeats: bool = False


def _about_session(change: Any) -> tuple[str, ...]:
    return (change.session_id,)


def _about_both(change: Any) -> tuple[str, ...]:
    return (change.session_id, change.run_id)


def _about_request(change: PermissionAsked | PermissionResolved) -> tuple[str, ...]:
    return (change.request.session_id, change.request.run_id)


_WRITES: Mapping[type[Change], Write] = {
    AgentSaved: Write(lambda change: (change.agent.id,), (SAVE_AGENT,)),
    AgentDeleted: Write(lambda change: (change.agent_id,), (DELETE_AGENT,)),
    CredentialSaved: Write(lambda change: (change.provider,), (SAVE_CREDENTIAL,)),
    CredentialDeleted: Write(lambda change: (change.provider,), (DELETE_CREDENTIAL,)),
    McpServerSaved: Write(lambda change: (change.name,), (SAVE_MCP_SERVER,)),
    McpServerDeleted: Write(lambda change: (change.name,), (DELETE_MCP_SERVER,)),
    SessionSaved: Write(lambda change: (change.session.id,), (SAVE_SESSION,)),
    RunQueued: Write(
        lambda change: (change.run.session_id, change.run.id),
        (SAVE_VERSION, QUEUE_RUN),
        repeats=True,
    ),
    RunStarted: Write(_about_both, START_RUN),
    CeilingRaised: Write(_about_session, (RAISE_CEILING,)),
    StepRecorded: Write(_about_both, RECORD_STEP),
    PermissionAsked: Write(_about_request, ASK_PERMISSION, repeats=True),
    PermissionResolved: Write(_about_request, RESOLVE_PERMISSION),
    CallEnded: Write(_about_both, (END_CALL,), repeats=True),
    StepEnded: Write(_about_both, END_STEP),
    HistoryCompacted: Write(_about_both, COMPACT),
    RunSteered: Write(_about_both, (STEER_RUN,)),
    RunEnded: Write(_about_both, (*END_RUN, CANCEL_PERMISSIONS)),
    SessionDeleting: Write(_about_session, (MARK_SESSION,)),
    SessionErased: Write(_about_session, ERASE_SESSION),
}
"""How each kind of change is written, in the order in which a wave writes them.

The order is that of a session's life, so that most batches are one wave.
"""

_RANK = {kind: rank for rank, kind in enumerate(_WRITES)}

_MOST_ROWS = 64
"""Rows of one statement, at most. SQLite takes 32,766 parameters, and a run's row has 21."""

STATEMENT_TEXTS = 512
"""How many prepared statements a connection should keep: each statement in each of its sizes."""

Wave: TypeAlias = Mapping[type[Change], Sequence[Change]]
"""Changes that may be written a kind at a time, in the order of `_WRITES`."""


def write_in_order(connection: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Write these changes to the letter, one after the other."""
    for change in changes:
        _write(connection, {type(change): (change,)})


def write_together(connection: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Write these changes with few statements.

    Where all of them can be written, the tables come to hold what `write_in_order` leaves in them.
    Where one cannot, this raises, and perhaps for another one: then only the other way will tell.
    """
    for wave in _waves(changes):
        _write(connection, wave)


def _waves(changes: Iterable[Change]) -> Iterator[Wave]:
    """Sort changes into waves, each ending before one that would overtake an earlier change."""
    wave: dict[type[Change], list[Change]] = {}
    reached: dict[str, int] = {}
    for change in changes:
        kind = type(change)
        rank, write = _RANK[kind], _WRITES[kind]
        ids = write.about(change)
        room = rank if write.repeats else rank - 1
        if any(reached.get(id, -1) > room for id in ids):
            yield wave
            wave, reached = {}, {}
        wave.setdefault(kind, []).append(change)
        reached.update(dict.fromkeys(ids, rank))
    yield wave


class Connection(sqlite3.Connection):
    """A connection that remembers what it has found out: `nothing_waits` for a person."""

    nothing_waits = False


def _write(connection: sqlite3.Connection, wave: Wave) -> None:
    for kind, write in _WRITES.items():
        if changes := wave.get(kind):
            if kind is PermissionAsked and isinstance(connection, Connection):
                connection.nothing_waits = False
            for statement in write.statements:
                if statement.needs and not _is_needed(connection, statement.needs):
                    continue
                rows = [row for change in changes for row in statement.rows(change)]
                _execute(connection, statement, rows)


def _is_needed(connection: sqlite3.Connection, query: str) -> bool:
    """Whether the query finds a row. That it finds none is true until somebody is asked again."""
    if isinstance(connection, Connection) and connection.nothing_waits:
        return False
    found = bool(connection.execute(query).fetchall())
    if isinstance(connection, Connection):
        connection.nothing_waits = not found
    return found


def _execute(connection: sqlite3.Connection, statement: Statement, rows: Sequence[Row]) -> None:
    begin = 0
    while begin < len(rows):
        end = begin + _size(len(rows) - begin)
        values = [value for row in rows[begin:end] for value in row]
        connection.execute(_text(statement, end - begin), values)
        begin = end


def _size(rows: int) -> int:
    """How many of so many rows go first. Powers of two, so that few statements are prepared."""
    return min(1 << (rows.bit_length() - 1), _MOST_ROWS)


@lru_cache(STATEMENT_TEXTS)
def _text(statement: Statement, rows: int) -> str:
    row = "(" + ", ".join("?" * len(statement.columns.split(","))) + ")"
    return (
        f"WITH change ({statement.columns}) AS (VALUES {', '.join([row] * rows)}) {statement.sql}"
    )
