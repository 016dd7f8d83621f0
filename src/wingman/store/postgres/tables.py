"""The tables in a schema of PostgreSQL: whether they are ours, and how they are brought up to date.

The steps are those of SQLite's versions, so that one number means the same tables in both.
"""

from typing import Final

from wingman.errors import StoreError, StoreTooNew
from wingman.store.postgres.connection import Connection
from wingman.store.postgres.node import make_table
from wingman.store.sql import versions

__all__ = ["bring_up_to_date", "check_server"]

_OLDEST: Final = 13

_SERVER: Final = b"""
SELECT pg_backend_pid(), pg_is_in_recovery(), current_schema(), current_setting('search_path')"""

# The server keeps an idle connection, and notices within 20 s that this machine is gone. All that
# Wingman looks for has an index: SQLite is told so by name, and PostgreSQL, which guesses without
# statistics and with those of one huge session, by the last three.
_SETTINGS: Final = b"""
SELECT set_config(given.name, given.value, false)
FROM (VALUES ('idle_session_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
    ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '3'), ('tcp_keepalives_count', '3'),
    ('tcp_user_timeout', '15000'), ('jit', 'off'), ('enable_seqscan', 'off'),
    ('cursor_tuple_fraction', '0.001')
) AS given (name, value)
WHERE current_setting(given.name, true) IS NOT NULL"""


def check_server(connection: Connection, name: str) -> None:
    """Raise `StoreError` where this server, or this database, cannot be used.

    It also sets what the connection needs.
    """
    info = connection.real.info
    if info.server_version < _OLDEST * 10_000:
        raise StoreError(f"{name}: PostgreSQL {_OLDEST} or later is needed.")
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            f"{name} has the encoding {encoding}, and Wingman needs UTF8: "
            "make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        )
    process, is_replica, schema, search_path = connection.row(_SERVER)
    if process != info.backend_pid:
        raise StoreError(
            f"{name}: there is a connection pooler before the server, such as PgBouncer. It may "
            "give this connection's lock to others. Give Wingman the address of PostgreSQL itself: "
            "it keeps six connections, and opens no more."
        )
    if is_replica:
        raise StoreError(f"{name} is a replica, which takes no writes: give the primary's address.")
    if schema is None:
        raise StoreError(
            f"{name}: no schema of the search_path ({search_path}) is there. "
            "Make it first: CREATE SCHEMA."
        )
    connection.real.execute(_SETTINGS)


# Nodes that start together: the first one makes the tables, and the others wait for it.
_ONE_AT_A_TIME: Final = b"""
SELECT pg_advisory_xact_lock(hashtext('wingman tables'), oid::bigint::bit(32)::int)
FROM pg_namespace WHERE nspname = current_schema()"""

_VERSION_TABLE: Final = b"CREATE TABLE wingman (version bigint NOT NULL)"
_OURS: Final = b"SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


def bring_up_to_date(connection: Connection, name: str) -> None:
    """Take the steps that are missing, all or none.

    Raises `StoreTooNew`, or `StoreError` where the schema has tables of the same names.
    """
    newest = len(versions.STEPS)
    if _checked_version(connection, name) == newest:
        return
    connection.begin(b"READ COMMITTED")
    try:
        connection.real.execute(b"SET LOCAL statement_timeout = 0")  # it may take its time
        connection.real.execute(b"SET LOCAL lock_timeout = 0")
        connection.real.execute(_ONE_AT_A_TIME)
        version = _checked_version(connection, name)  # another node may have been faster
        if version < newest:
            _take_steps(connection, version)
        connection.commit()
    except BaseException:
        connection.roll_back()
        raise


def _take_steps(connection: Connection, version: int) -> None:
    for step in versions.STEPS[version:]:
        step(connection)
    if version == 0:
        connection.real.execute(_VERSION_TABLE)
        connection.real.execute(b"INSERT INTO wingman VALUES (0)")
    make_table(connection)
    connection.real.execute(b"UPDATE wingman SET version = %s", (len(versions.STEPS),))


def _checked_version(connection: Connection, name: str) -> int:
    version = _version(connection, name)
    newest = len(versions.STEPS)
    if version > newest:
        raise StoreTooNew(
            f"{name} was written by a later Wingman (its version is {version}, this one knows "
            f"{newest}): use that one."
        )
    return version


_MADE_FIRST: Final = frozenset(
    {"agents", "credentials", "history", "nodes", "pending", "runs", "sessions"}
)


def _version(connection: Connection, name: str) -> int:
    """The version of the tables; 0: there are none."""
    tables = {table for (table,) in connection.real.execute(_OURS).fetchall()}
    if "wingman" in tables:
        return int(connection.row(b"SELECT version FROM wingman")[0])
    if foreign := sorted(tables & _MADE_FIRST):
        raise StoreError(
            f"{name} has tables that are not Wingman's ({', '.join(foreign)}): "
            "give Wingman a database, or a schema, of its own."
        )
    return 0
