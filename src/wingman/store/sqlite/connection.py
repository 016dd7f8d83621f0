"""A connection to a SQLite file, with what the shared SQL needs beside the driver's own."""

import hashlib
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from wingman.store.sql import Row, Statement

__all__ = ["STATEMENT_TEXTS", "Connection"]

_MOST_ROWS = 64
"""Rows of one statement, at most. SQLite takes 32,766 parameters, and a run's row has 23."""

STATEMENT_TEXTS = 512
"""How many prepared statements a connection should keep: each statement in each of its sizes."""


class Connection(sqlite3.Connection):
    """The driver's connection: it reads as it is, and writes the rows of changes."""

    nothing_waits = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.create_function("sha256", 1, _sha256, deterministic=True)  # an old version's step
        self.create_function("this_node", 0, _nobody)  # the file has one owner

    each = sqlite3.Connection.execute  # SQLite looks for a row when it is asked for

    def change(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Put these rows through a statement, in their order."""
        begin = 0
        while begin < len(rows):
            end = begin + _size(len(rows) - begin)
            values = [value for row in rows[begin:end] for value in row]
            self.execute(_text(statement, end - begin), values)
            begin = end


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _nobody() -> None:
    return None


def _size(rows: int) -> int:
    """How many of so many rows go first. Powers of two, so that few statements are prepared."""
    return min(1 << (rows.bit_length() - 1), _MOST_ROWS)


@lru_cache(STATEMENT_TEXTS)
def _text(statement: Statement, rows: int) -> str:
    row = "(" + ", ".join("?" * len(statement.columns.split(","))) + ")"
    return (
        f"WITH change ({statement.columns}) AS (VALUES {', '.join([row] * rows)}) {statement.sql}"
    )
