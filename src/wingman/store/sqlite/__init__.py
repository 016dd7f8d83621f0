"""The store in a SQLite file.

    store.py        SQLStore: its face
    database.py     the file: opened, brought up to date, written, read, closed
    connection.py   a connection, which writes the rows of changes
    files.py        which file it is, whether it is ours, whether it is still the same
    ownership.py    a database has one owner
    failures.py     what SQLite raises, as Wingman's own errors

The tables and the SQL are those of `wingman.store.sql`, and go to SQLite as they stand.

It knows nothing of the event loop but in `store.py`, nor of which changes share a commit.
"""

from wingman.store.sqlite.database import Synchronous
from wingman.store.sqlite.store import SQLStore

__all__ = ["SQLStore", "Synchronous"]
