"""A connection to PostgreSQL, which is given the shared SQL."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg import pq

from wingman.store.postgres.dialect import arrays, change_text, chunks, translated_text
from wingman.store.postgres.text import escaped, load_escaped
from wingman.store.sql import Row, Rows, Statement

__all__ = ["Connection"]

T = TypeVar("T")

_FIRST_ROWS: Final = 32
_MOST_ROWS: Final = 512
_MANY_CHARS: Final = 250_000
"""Rows that are fetched at once, at first and at most; they grow no more where they are long."""


class Connection:
    """The driver's connection, in autocommit: transactions are begun by name."""

    def __init__(self, real: psycopg.Connection) -> None:
        self.real = real
        self.nothing_waits = False
        self._cursors = 0
        real.prepare_threshold = 1
        load_escaped(real)

    def execute(self, text: str, values: Sequence[Any] = ()) -> Rows:
        """Have the database do this; what it finds is in memory at once."""
        return self.real.execute(translated_text(text), _kept(values))

    def each(self, text: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a query, fetched in parts as they are taken. Within a transaction."""
        self._cursors += 1
        name = b"c%d" % self._cursors
        query = b"DECLARE %b NO SCROLL CURSOR FOR %b" % (name, translated_text(text))
        self.real.execute(query, _kept(values))
        count = _FIRST_ROWS
        while True:
            rows = self.real.execute(b"FETCH FORWARD %d FROM %b" % (count, name)).fetchall()
            yield from rows
            if len(rows) < count:
                return
            if sum(len(value) for row in rows for value in row if _is_long(value)) < _MANY_CHARS:
                count = min(2 * count, _MOST_ROWS)

    def change(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Put these rows through a statement, in their order."""
        if rows:
            text = change_text(statement)
            for chunk in chunks(rows):
                self.real.execute(text, arrays(chunk))

    def row(self, query: bytes, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The one row that a query of PostgreSQL's own finds; one without values if it has none."""
        return self.real.execute(query, values).fetchone() or ()

    # --- transactions -----------------------------------------------------------------------------

    def begin(self, how: bytes) -> None:
        """Begin a transaction."""
        self._cursors = 0
        self.real.execute(b"BEGIN ISOLATION LEVEL " + how)

    def together(self, work: Callable[[], T]) -> T:
        """Do what sends statements, and wait only for the answers that it asks for, and at its end.

        Of what fails the first is raised: the driver would log the others.
        """
        failure: Exception | None = None
        try:
            with self.real.pipeline():
                try:
                    done = work()
                except Exception as error:
                    failure = error
        except Exception as error:
            raise failure or error from None
        if failure is not None:
            raise failure
        return done

    def commit(self) -> None:
        """End the transaction, and keep what was done in it."""
        self.real.execute(b"COMMIT")

    def roll_back(self) -> bool:
        """Undo what has failed. False: the connection is lost, and nobody knows what is undone."""
        self.nothing_waits = False
        with suppress(psycopg.Error):
            if self.real.info.transaction_status == pq.TransactionStatus.IDLE:
                self.real.execute(b"BEGIN")
            # The driver's own: it forgets what it takes for prepared, as a pipeline that fails
            # prepares nothing from there on.
            self.real.rollback()
            return not self.real.closed
        self.real.close()
        return False


def _kept(values: Sequence[Any]) -> Sequence[Any]:
    return [escaped(value) if isinstance(value, str) else value for value in values]


def _is_long(value: Any) -> bool:
    return isinstance(value, str | bytes)
