"""The store in a SQLite file.

    store.py             SQLStore: its face
    database.py          the file: opened, brought up to date, written, closed
    ownership.py         a database has one owner
    batch.py             many changes in few statements, none overtaking another
    statements.py        what each change does to the tables; run_statements.py: those of runs
    schema.py            the tables
    versions.py          the way to them from an older database

It knows nothing of group commit, nor which changes make sense after which.
"""

from wingman.store.sqlite.database import Synchronous
from wingman.store.sqlite.store import SQLStore

__all__ = ["SQLStore", "Synchronous"]
