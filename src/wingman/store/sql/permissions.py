"""What is read of permission requests. A page of them is found by the indices of the table."""

# ruff: noqa: S608  (what is put into these statements is constant)

import heapq
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias, get_args

import msgspec

from wingman.api import PermissionRequest, PermissionStatus
from wingman.store.listing import INPUT_BYTES
from wingman.store.records import PermissionPage
from wingman.store.sql.connection import Reading
from wingman.store.sql.reads import LAST
from wingman.store.sql.schema import PERMISSION, decode_texts

__all__ = ["grants", "permission", "permissions", "run_permissions"]

Row: TypeAlias = Sequence[Any]
"""A request's `seq`, whether its input is left out, and the rest of it."""

_LONG: Final = f"length(CAST(permissions.input AS BLOB)) > {INPUT_BYTES}"
_LISTED: Final = PERMISSION.select(input=f"CASE WHEN {_LONG} THEN NULL ELSE permissions.input END")
_SELECT: Final = f"SELECT permissions.seq, coalesce({_LONG}, false), {_LISTED} FROM permissions"

# As in `run_pages`: the indices are said by name, and the requests are the outer loop.
_SHOWN: Final = (
    "CROSS JOIN sessions ON sessions.id = permissions.session_id AND sessions.deleting = 0"
)
_NEWEST: Final = "permissions.seq < ? ORDER BY permissions.seq DESC"
_OF_ALL: Final = f"{_SELECT} NOT INDEXED {_SHOWN} WHERE {_NEWEST}"
_OF_STATUS: Final = (
    f"{_SELECT} INDEXED BY permissions_status {_SHOWN} WHERE permissions.status = ? AND {_NEWEST}"
)
_OF_SESSION: Final = (
    f"{_SELECT} INDEXED BY permissions_session_status {_SHOWN}"
    f" WHERE permissions.session_id = ? AND permissions.status = ? AND {_NEWEST}"
)


def permissions(
    connection: Reading,
    session_id: str | None,
    statuses: Sequence[PermissionStatus],
    limit: int,
    before: int | None,
) -> PermissionPage:
    """Up to `limit` requests, newest first: see `Store.permissions`."""
    page: list[PermissionRequest] = []
    oldest = None
    for seq, cut, *row in _rows(
        connection, session_id, statuses, LAST if before is None else before
    ):
        if len(page) == limit:
            return PermissionPage(tuple(page), oldest)
        request = PERMISSION.read(row)
        page.append(msgspec.structs.replace(request, cut=True) if cut else request)
        oldest = seq
    return PermissionPage(tuple(page), None)


def _rows(
    connection: Reading,
    session_id: str | None,
    statuses: Sequence[PermissionStatus],
    before: int,
) -> Iterable[Row]:
    """The rows of these requests, newest first, each read when it is asked for."""
    if not statuses and session_id is None:
        return connection.each(_OF_ALL, (before,))
    kinds = dict.fromkeys(statuses or get_args(PermissionStatus))
    if session_id is None:
        found = [connection.each(_OF_STATUS, (kind, before)) for kind in kinds]
    else:
        found = [connection.each(_OF_SESSION, (session_id, kind, before)) for kind in kinds]
    return heapq.merge(*found, key=_age)


def _age(row: Row) -> int:
    seq: int = row[0]
    return -seq


def permission(
    connection: Reading, session_id: str, permission_id: str
) -> PermissionRequest | None:
    query = (
        f"SELECT {PERMISSION.columns} FROM permissions {_SHOWN}"
        " WHERE permissions.id = ? AND permissions.session_id = ?"
    )
    row = connection.execute(query, (permission_id, session_id)).fetchone()
    return None if row is None else PERMISSION.read(row)


def run_permissions(connection: Reading, run_id: str) -> Sequence[PermissionRequest]:
    query = (
        f"SELECT {PERMISSION.columns} FROM permissions INDEXED BY permissions_run {_SHOWN}"
        " WHERE permissions.run_id = ? ORDER BY permissions.seq"
    )
    return tuple([PERMISSION.read(row) for row in connection.execute(query, (run_id,))])


def grants(connection: Reading, session_id: str) -> frozenset[tuple[str, str]]:
    query = (
        "SELECT DISTINCT permissions.action, permissions.always"
        f" FROM permissions INDEXED BY permissions_always {_SHOWN}"
        " WHERE permissions.session_id = ? AND permissions.decision = 'always'"
    )
    found: set[tuple[str, str]] = set()
    for action, always in connection.execute(query, (session_id,)):
        found.update((action, resource) for resource in decode_texts(always))
    return frozenset(found)
