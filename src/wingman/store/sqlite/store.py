"""SQLStore: sessions in a SQLite file, for as long as the disk lives."""

from pathlib import Path

from wingman.store.sql import DatabaseStore
from wingman.store.sqlite.database import BUSY_TIMEOUT, Database, Synchronous
from wingman.store.sqlite.files import path_of
from wingman.store.writer import PROBE_EVERY

__all__ = ["SQLStore"]


class SQLStore(DatabaseStore):
    """The store in a SQLite file, which it owns while it is entered.

    `url` is a path or `sqlite:///…`. `busy_timeout` is how many seconds a commit waits for another
    program's lock on the database, and `probe_every` how many lie between two looks whether a disk
    that failed can be written.
    """

    _database: Database

    def __init__(
        self,
        url: str | Path,
        *,
        synchronous: Synchronous = "full",
        busy_timeout: float = BUSY_TIMEOUT,
        probe_every: float = PROBE_EVERY,
    ) -> None:
        if synchronous not in ("full", "normal"):
            raise ValueError(f'synchronous is "full" or "normal", not {synchronous!r}')
        super().__init__(Database(path_of(url), synchronous, busy_timeout), probe_every)
