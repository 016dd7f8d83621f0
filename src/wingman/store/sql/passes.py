"""Passes: secrets that open something for a time: what is kept of them, written and read."""

# ruff: noqa: S608  (what is put into these statements is constant)

from wingman.store.changes import MOST_PASSES
from wingman.store.records import Pass
from wingman.store.sql.connection import Reading
from wingman.store.sql.schema import PASS
from wingman.store.sql.statements import Statement, as_text

__all__ = ["ISSUE_PASS", "TAKE_PASS", "find_pass"]

ISSUE_PASS = (
    Statement(
        "hash, ends_at",
        lambda change: ((change.hash, as_text(change.ends_at)),),
        "INSERT INTO passes (hash, ends_at) SELECT hash, ends_at FROM change",
    ),
    Statement(
        "issued_at",
        lambda change: ((as_text(change.issued_at),),),
        f"""
DELETE FROM passes WHERE ends_at <= (SELECT max(issued_at) FROM change)
    OR seq <= (SELECT max(seq) FROM passes) - {MOST_PASSES}""",
    ),
)

TAKE_PASS = Statement(
    "hash, taken_by",
    lambda change: ((change.hash, change.taken_by),),
    """
UPDATE passes SET taken_by = change.taken_by
FROM change WHERE passes.hash = change.hash AND passes.taken_by IS NULL""",
)


def find_pass(connection: Reading, hash: str) -> Pass | None:
    query = f"SELECT {PASS.columns} FROM passes WHERE hash = ?"
    row = connection.execute(query, (hash,)).fetchone()
    return None if row is None else PASS.read(row)
