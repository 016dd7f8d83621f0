"""What is read of runs for a list of them: a page, found by the indices of the table.

However many runs there are, a page reads the rows that it shows, and few others: those of each
status lie in an index in the order of `seq`, and pages of several statuses are merged from them.
"""

# ruff: noqa: S608  (what is put into these statements is constant)

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias, get_args

import msgspec

from wingman.api import Status
from wingman.store.listing import MESSAGE_BYTES, listed
from wingman.store.records import ListedRun, RunPage, RunStatus
from wingman.store.results import WHOLE_RESULT
from wingman.store.sql.connection import Reading
from wingman.store.sql.reads import LAST
from wingman.store.sql.schema import RUN

__all__ = ["run_page"]

Row: TypeAlias = Sequence[Any]
"""A run's `seq`, its id, the beginning of its message, whether of its result only what is short is
kept, a long result, and the rest of it."""

_SHORT: Final = f"runs.result_cut = 1 OR length(runs.result) <= {WHOLE_RESULT}"
# What a list reads of a run: no image, no agent, no rules, and of long texts the beginning. That of
# its message is read as bytes: SQLite takes a NUL for the end of a text.
_LISTED: Final = RUN.select(
    message="''",
    result=f"CASE WHEN {_SHORT} THEN runs.result END",
    agent="NULL",
    images="NULL",
    permissions="NULL",
)
_MESSAGE: Final = f"substr(CAST(runs.message AS BLOB), 1, {MESSAGE_BYTES})"
_RESULT: Final = f"runs.result_cut, CASE WHEN {_SHORT} THEN NULL ELSE runs.result END"
_SELECT: Final = f"SELECT runs.seq, runs.id, {_MESSAGE}, {_RESULT}, {_LISTED} FROM runs"

# Which index is used is said by name: SQLite guesses another one where statistics of the tables
# tell it that nearly all runs have this status. CROSS JOIN: the runs are the outer loop.
_SHOWN: Final = "CROSS JOIN sessions ON sessions.id = runs.session_id AND sessions.deleting = 0"
_NEWEST: Final = "runs.seq < ? ORDER BY runs.seq DESC"
_OF_ALL: Final = f"{_SELECT} NOT INDEXED {_SHOWN} WHERE {_NEWEST}"
_OF_STATUS: Final = f"{_SELECT} INDEXED BY runs_status {_SHOWN} WHERE runs.status = ? AND {_NEWEST}"
_OF_SESSION: Final = (
    f"{_SELECT} INDEXED BY runs_session_status {_SHOWN}"
    f" WHERE runs.session_id = ? AND runs.status = ? AND {_NEWEST}"
)
# These are few: as many as are being cancelled just now. They are found by their ids and sorted,
# and the plus keeps a database from going through all runs in this order.
_OF_IDS: Final = (
    f"{_SELECT} {_SHOWN} WHERE runs.id IN (SELECT value FROM json_each(?))"
    " AND runs.session_id = coalesce(?, runs.session_id) AND runs.seq < ?"
    " ORDER BY +runs.seq DESC LIMIT ?"
)


def run_page(
    connection: Reading,
    session_id: str | None,
    statuses: Sequence[Status],
    limit: int,
    before: int | None,
    cancelling: Collection[str],
) -> RunPage:
    """Up to `limit` runs, newest first: see `Store.run_page`."""
    before = LAST if before is None else before
    page: list[ListedRun] = []
    oldest = None
    # One by one: a row may have a result of many megabytes, of which little is kept.
    for seq, _, message, result_cut, result, *row in _rows(
        connection, session_id, statuses, limit, before, cancelling
    ):
        if len(page) == limit:
            return RunPage(tuple(page), oldest)
        page.append(listed(RUN.read(row), message, result, result_cut=bool(result_cut)))
        oldest = seq
    return RunPage(tuple(page), None)


def _rows(
    connection: Reading,
    session_id: str | None,
    statuses: Sequence[Status],
    limit: int,
    before: int,
    cancelling: Collection[str],
) -> Iterable[Row]:
    """The rows of these runs, newest first, each read when it is asked for."""
    if not statuses and session_id is None:
        return connection.each(_OF_ALL, (before,))
    found: list[Iterable[Row]] = []
    for status in dict.fromkeys(statuses or get_args(RunStatus)):
        if status == "cancelling":
            ids = msgspec.json.encode(list(cancelling)).decode()
            values = (ids, session_id, before, limit + 1)
            found.append(connection.each(_OF_IDS, values))
        elif session_id is None:
            rows = connection.each(_OF_STATUS, (status, before))
            found.append(_without(rows, cancelling))
        else:
            rows = connection.each(_OF_SESSION, (session_id, status, before))
            found.append(_without(rows, cancelling if statuses else ()))
    return heapq.merge(*found, key=_age)


def _age(row: Row) -> int:
    seq: int = row[0]
    return -seq


def _without(rows: Iterable[Row], ids: Collection[str]) -> Iterator[Row]:
    return (row for row in rows if row[1] not in ids)
