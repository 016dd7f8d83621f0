"""A batch of changes, written a kind at a time: the same as one by one, with fewer statements."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    PassIssued,
    PassTaken,
    PermissionAsked,
    PermissionResolved,
    RunEnded,
    RunQueued,
    RunStarted,
    RunSteered,
    SessionClaimed,
    SessionDeleting,
    SessionErased,
    SessionReleased,
    SessionSaved,
    StepEnded,
    StepRecorded,
)
from wingman.store.sql.connection import Writing
from wingman.store.sql.passes import ISSUE_PASS, TAKE_PASS
from wingman.store.sql.permission_statements import (
    ASK_PERMISSION,
    CANCEL_PERMISSIONS,
    RESOLVE_PERMISSION,
)
from wingman.store.sql.run_statements import (
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
from wingman.store.sql.statements import (
    CLAIM_SESSION,
    DELETE_AGENT,
    DELETE_CREDENTIAL,
    DELETE_MCP_SERVER,
    ERASE_SESSION,
    MARK_SESSION,
    RAISE_CEILING,
    RELEASE_SESSION,
    SAVE_AGENT,
    SAVE_CREDENTIAL,
    SAVE_MCP_SERVER,
    SAVE_SESSION,
    Statement,
)

__all__ = ["write_calls", "write_in_order", "write_together", "written_sessions"]


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
    AgentSaved: Write(lambda change: (change.agent.id,), SAVE_AGENT),
    AgentDeleted: Write(lambda change: (change.agent_id,), (DELETE_AGENT,)),
    CredentialSaved: Write(lambda change: (change.provider,), (SAVE_CREDENTIAL,)),
    CredentialDeleted: Write(lambda change: (change.provider,), (DELETE_CREDENTIAL,)),
    McpServerSaved: Write(lambda change: (change.name,), (SAVE_MCP_SERVER,)),
    McpServerDeleted: Write(lambda change: (change.name,), (DELETE_MCP_SERVER,)),
    PassIssued: Write(lambda change: (change.hash,), ISSUE_PASS),
    PassTaken: Write(lambda change: (change.hash,), (TAKE_PASS,)),
    SessionSaved: Write(lambda change: (change.session.id,), (SAVE_SESSION,)),
    SessionClaimed: Write(_about_session, (CLAIM_SESSION,)),
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
    SessionReleased: Write(_about_session, (RELEASE_SESSION,)),
}
"""How each kind of change is written, in the order in which a wave writes them.

The order is that of a session's life, so that most batches are one wave.
"""

_RANK = {kind: rank for rank, kind in enumerate(_WRITES)}

Wave: TypeAlias = Mapping[type[Change], Sequence[Change]]
"""Changes that may be written a kind at a time, in the order of `_WRITES`."""


_OF_NO_SESSION = frozenset(
    {
        AgentSaved,
        AgentDeleted,
        CredentialSaved,
        CredentialDeleted,
        McpServerSaved,
        McpServerDeleted,
        PassIssued,
        PassTaken,
        # Who owns a session is found out by the statement itself.
        SessionClaimed,
        SessionReleased,
    }
)


def written_sessions(calls: Iterable[tuple[Change, ...]]) -> frozenset[str]:
    """The ids of the sessions that these changes write to."""
    return frozenset(
        _WRITES[type(change)].about(change)[0]
        for changes in calls
        for change in changes
        if type(change) not in _OF_NO_SESSION
    )


def write_calls(connection: Writing, calls: Sequence[tuple[Change, ...]]) -> None:
    """Write the changes of these calls: those of one to the letter, those of many together."""
    if len(calls) == 1:
        write_in_order(connection, calls[0])
    else:
        write_together(connection, (change for changes in calls for change in changes))


def write_in_order(connection: Writing, changes: Iterable[Change]) -> None:
    """Write these changes to the letter, one after the other."""
    for change in changes:
        _write(connection, {type(change): (change,)})


def write_together(connection: Writing, changes: Iterable[Change]) -> None:
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


def _write(connection: Writing, wave: Wave) -> None:
    for kind, write in _WRITES.items():
        if changes := wave.get(kind):
            if kind is PermissionAsked:
                connection.nothing_waits = False
            for statement in write.statements:
                if statement.needs and not _is_needed(connection, statement.needs):
                    continue
                rows = [row for change in changes for row in statement.rows(change)]
                connection.change(statement, rows)


def _is_needed(connection: Writing, query: str) -> bool:
    """Whether the query finds a row. That it finds none is true until somebody is asked again."""
    if connection.nothing_waits:
        return False
    found = bool(connection.execute(query).fetchall())
    connection.nothing_waits = not found
    return found
