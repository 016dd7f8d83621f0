"""What a database's connection can do, as the shared SQL needs it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from wingman.store.sql.statements import Row, Statement

__all__ = ["Reading", "Rows", "Writing"]


class Rows(Protocol):
    """What a query has found."""

    def __iter__(self) -> Iterator[Any]: ...

    def fetchone(self) -> Any:
        """The next row; None where there is none."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""


class Reading(Protocol):
    """A connection that reads. The text of a query is SQLite's, with `?` for each value."""

    def execute(self, text: str, values: Sequence[Any] = ..., /) -> Rows:
        """Have the database do this; what it finds may be in memory at once."""

    def each(self, text: str, values: Sequence[Any] = ..., /) -> Iterable[Any]:
        """The rows of a query, of which whoever asks may take a few, and each may be long.

        They come from the database as they are taken. Several queries may be read side by side.
        """


class Writing(Reading, Protocol):
    """A connection that writes, within a transaction."""

    nothing_waits: bool
    """What was found out, and holds until a person is asked: no request is `pending`."""

    def change(self, statement: Statement, rows: Sequence[Row], /) -> None:
        """Put these rows through a statement, in their order, as the table `change`."""
