"""The store in a SQLite file.

    store.py             SQLStore: its face
    database.py          the file: opened, brought up to date, written, read, closed
    files.py             which file it is, whether it is ours, whether it is still the same
    ownership.py         a database has one owner
    failures.py          what SQLite raises, as Wingman's own errors
    batch.py             many changes in few statements, none overtaking another
    statements.py        what each change does to the tables; run_statements.py: those of runs,
                         permission_statements.py: those of permission requests
    reads.py             what is read
    leftovers.py         what is read at a start: queues, and runs that were cut off
    run_pages.py         what is read of runs for a list of them
    permissions.py       what is read of permission requests
    schema.py            the tables
    versions.py          the way to them from an older database

All SQL is text that goes straight to the driver. The statements that matter take the rows of many
changes at once, with `UPDATE … FROM` a table of values; the layers that write SQL for one cannot
say that, and cost more than SQLite itself does. The same text, up to its placeholders and the types
of those values, is what PostgreSQL's driver would be given.

It knows nothing of the event loop but in `store.py`, nor of which changes share a commit.
"""

from wingman.store.sqlite.database import Synchronous
from wingman.store.sqlite.store import SQLStore

__all__ = ["SQLStore", "Synchronous"]
