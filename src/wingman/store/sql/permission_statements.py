"""What changes do to the tables, of permission requests: see `statements`."""

# ruff: noqa: S608  (what is put into these statements is constant)

from collections.abc import Iterable
from typing import Final

from wingman.store.changes import PermissionAsked, PermissionResolved
from wingman.store.sql.run_statements import THE_RUN
from wingman.store.sql.statements import Row, Statement, as_json, as_text

__all__ = ["ASK_PERMISSION", "CANCEL_PERMISSIONS", "RESOLVE_PERMISSION"]

_IDENTITY: Final = ("id", "session_id", "run_id")
_VALUES: Final = (
    "tool_use_id",
    "tool",
    "action",
    "resources",
    "always",
    "input",
    "status",
    "decision",
    "message",
    "created_at",
    "expires_at",
    "resolved_at",
    "schema",
)
_PERMISSION: Final = ", ".join((*_IDENTITY, *_VALUES))


def _row(change: PermissionAsked | PermissionResolved) -> Iterable[Row]:
    request = change.request
    yield (
        request.id,
        request.session_id,
        request.run_id,
        request.tool_use_id,
        request.tool,
        request.action,
        as_json(request.resources),
        as_json(request.always),
        as_json(request.input),
        request.status,
        request.decision,
        request.message,
        as_text(request.created_at),
        as_text(request.expires_at),
        as_text(request.resolved_at),
        as_json(request.schema),
    )


def _ids(change: PermissionAsked | PermissionResolved) -> Iterable[Row]:
    request = change.request
    return ((request.id, request.session_id, request.run_id),)


_THE_PERMISSION: Final = """permissions.id = change.id AND permissions.run_id = change.run_id
    AND permissions.session_id = change.session_id AND permissions.status = 'pending'"""

ASK_PERMISSION: Final = (
    Statement(
        _PERMISSION,
        _row,
        # A WHERE must stand before ON CONFLICT: else its ON is taken for that of the join.
        f"""
INSERT INTO permissions ({_PERMISSION})
SELECT {", ".join(f"change.{name}" for name in (*_IDENTITY, *_VALUES))}
FROM change CROSS JOIN runs ON {THE_RUN} WHERE true ON CONFLICT (id) DO NOTHING""",
    ),
    Statement(
        "id, session_id, run_id",
        _ids,
        f"""
UPDATE runs SET status = 'waiting' FROM change WHERE {THE_RUN}
    AND EXISTS (SELECT 1 FROM permissions WHERE {_THE_PERMISSION})""",
    ),
)

RESOLVE_PERMISSION: Final = (
    Statement(
        _PERMISSION,
        _row,
        f"""
UPDATE permissions SET {", ".join(f"{name} = change.{name}" for name in _VALUES)}
FROM change WHERE {_THE_PERMISSION}""",
    ),
    Statement(
        "id, session_id, run_id",
        _ids,
        f"""
UPDATE runs SET status = 'running' FROM change WHERE {THE_RUN} AND runs.status = 'waiting'
    AND NOT EXISTS (
        SELECT 1 FROM permissions WHERE permissions.run_id = runs.id
            AND permissions.status = 'pending')""",
    ),
)

CANCEL_PERMISSIONS: Final = Statement(
    "session_id, run_id, ended_at",
    lambda change: ((change.session_id, change.run_id, as_text(change.ended_at)),),
    """
UPDATE permissions INDEXED BY permissions_pending
SET status = 'cancelled', resolved_at = change.ended_at
FROM change WHERE permissions.run_id = change.run_id
    AND permissions.session_id = change.session_id AND permissions.status = 'pending'""",
    # Every run ends, and hardly one waits then: that none does at all is told by an empty index.
    needs="""
SELECT 1 FROM permissions INDEXED BY permissions_pending WHERE status = 'pending' LIMIT 1""",
)
