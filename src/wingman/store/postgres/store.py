"""PostgresStore: sessions in a PostgreSQL database."""

from wingman.store.postgres.address import Address
from wingman.store.postgres.database import BUSY_TIMEOUT, Database
from wingman.store.sql import DatabaseStore
from wingman.store.writer import PROBE_EVERY

__all__ = ["PostgresStore"]


class PostgresStore(DatabaseStore):
    """The store in a PostgreSQL database, or a schema of it, which it owns while it is entered.

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
        super().__init__(Database(Address.of(url), busy_timeout), probe_every)
