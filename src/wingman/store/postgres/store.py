"""PostgresStore: sessions in a PostgreSQL database."""

from types import TracebackType
from typing import Final, Self

from wingman.store.nodes import Nodes
from wingman.store.postgres.address import Address
from wingman.store.postgres.database import BUSY_TIMEOUT, Database
from wingman.store.postgres.nodes import PostgresNodes
from wingman.store.sql import DatabaseStore
from wingman.store.writer import PROBE_EVERY

__all__ = ["PostgresStore"]

_BEAT_EVERY: Final = 0.5
"""Seconds after which a node that has written nothing lets the others see that it lives."""


class PostgresStore(DatabaseStore):
    """The store in a PostgreSQL database, or a schema of it, which other processes may have open
    as well: each is a node, and a session is written by the node that owns it.

    `url` is `postgresql://user@host/database`, with the options of libpq; what it leaves out is in
    libpq's environment. `busy_timeout` is how many seconds a commit waits for a lock that another
    session has on the tables, and `probe_every` how many lie between two looks whether a database
    that failed can be written.
    """

    _database: Database

    def __init__(
        self,
        url: str,
        *,
        busy_timeout: float = BUSY_TIMEOUT,
        probe_every: float = PROBE_EVERY,
    ) -> None:
        database = Database(Address.of(url), busy_timeout)
        super().__init__(database, probe_every, _BEAT_EVERY)
        self._nodes = PostgresNodes(
            database,
            self._read,
            lambda: self.write().wait(),
            lambda reason: self._readers.give_up(reason),
        )

    @property
    def nodes(self) -> Nodes:
        """The processes that have this database open."""
        return self._nodes

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            await self._nodes.open()
        except BaseException:
            await self.__aexit__(None, None, None)  # noqa: ASYNC102 bounds itself
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._nodes.close()
        await super().__aexit__(kind, value, traceback)  # noqa: ASYNC102 bounds itself
