"""What is read at a start: what an earlier process has left, many runs in few statements."""

# ruff: noqa: S608  (what is put into these statements is constant)

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from wingman.conversation import Message
from wingman.store.listing import CUT_OFF_CHARS
from wingman.store.records import CutRun, RunRecord, SessionRecord
from wingman.store.sql.connection import Reading
from wingman.store.sql.reads import SHOWN_RUNS, pending_step
from wingman.store.sql.schema import RUN, SESSION, decode_message

__all__ = ["cut_off", "queues", "sessions_with_queue"]

# What is asked for is the outer loop, and each of it is found by an index.
_SESSIONS: Final = (
    f"SELECT {SESSION.columns} FROM json_each(?) AS asked"
    " CROSS JOIN sessions ON sessions.id = asked.value AND sessions.deleting = 0"
    " ORDER BY asked.key"
)
_QUEUED: Final = (
    f"SELECT {RUN.columns} FROM json_each(?) AS asked"
    " CROSS JOIN runs INDEXED BY runs_session_status"
    " ON runs.session_id = asked.value AND runs.status IN ('waiting', 'queued') ORDER BY runs.seq"
)
_RUNNING: Final = (
    f"SELECT {RUN.columns}, {SESSION.columns} FROM {SHOWN_RUNS}"
    " WHERE runs.status = 'running' ORDER BY runs.seq LIMIT ?"
)
_RUN_COLUMNS: Final = len(RunRecord.__struct_fields__)


def sessions_with_queue(connection: Reading) -> Mapping[str, int]:
    query = (
        f"SELECT runs.session_id, count(*) FROM {SHOWN_RUNS}"
        " WHERE runs.status IN ('waiting', 'queued')"
        " GROUP BY runs.session_id ORDER BY min(runs.seq)"
    )
    return dict(connection.execute(query).fetchall())


def queues(
    connection: Reading, session_ids: Sequence[str]
) -> Sequence[tuple[SessionRecord, Sequence[RunRecord]]]:
    asked = (msgspec.json.encode(session_ids).decode(),)
    found: dict[str, tuple[SessionRecord, list[RunRecord]]] = {}
    for row in connection.execute(_SESSIONS, asked):
        session = SESSION.read(row)
        found[session.id] = session, []
    for row in connection.execute(_QUEUED, asked):
        run = RUN.read(row)
        if run.session_id in found:
            found[run.session_id][1].append(run)
    return tuple((session, tuple(queue)) for session, queue in found.values())


def cut_off(connection: Reading, limit: int) -> Sequence[CutRun]:
    found: list[CutRun] = []
    size = 0
    query = "SELECT message FROM history WHERE run_id = ? ORDER BY seq"
    for row in connection.each(_RUNNING, (limit,)):
        run, session = RUN.read(row[:_RUN_COLUMNS]), SESSION.read(row[_RUN_COLUMNS:])
        messages: list[Message] = []
        for (text,) in connection.execute(query, (run.id,)):
            messages.append(decode_message(text))
            size += len(text)
        found.append(CutRun(session, run, pending_step(connection, run.id), tuple(messages)))
        if size >= CUT_OFF_CHARS:
            break
    return tuple(found)
