"""The store in a PostgreSQL database.

    store.py        PostgresStore: its face
    database.py     the database: opened, written, read, closed, and found again when it was lost
    connection.py   a connection, which is given the shared SQL
    dialect.py      the shared SQL in PostgreSQL's words
    text.py         text with NUL characters, which PostgreSQL does not take
    tables.py       whether the server and its tables can be used; the steps to today's tables
    node.py         what this process is among those that share it; what became of its last commit
    nodes.py        all of them, and who owns which session
    notices.py      what one of them tells all others
    dial.py         a new connection where one was lost
    address.py      which database a URL means
    failures.py     what PostgreSQL and its driver raise, as Wingman's own errors

The tables and the SQL are those of `wingman.store.sql`. The driver is psycopg, synchronous, on
the store's own threads: its asynchronous face is tied to asyncio, and the threads are there anyway.
A commit is a pipeline: its statements go out together, and one answer comes back.

It knows nothing of the event loop, nor of which changes share a commit.
"""

from wingman.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
