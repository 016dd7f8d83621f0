"""What all stores in a database share: the tables, the SQL, and the store's face over them.

    store.py             DatabaseStore: the face, over a `Database` of SQLite or PostgreSQL
    connection.py        what a database's connection can do
    batch.py             many changes in few statements, none overtaking another
    statements.py        what each change does to the tables; run_statements.py: those of runs,
                         permission_statements.py: those of permission requests
    reads.py             what is read
    leftovers.py         what is read at a start: queues, and runs that were cut off
    run_pages.py         what is read of runs for a list of them
    passes.py            secrets that open something for a time
    permissions.py       what is read of permission requests
    schema.py            the tables
    versions.py          the way to them from an older database

All SQL is text that goes straight to the driver. The statements that matter take the rows of many
changes at once, with `UPDATE … FROM` a table of values; the layers that write SQL for one cannot
say that, and cost more than the database itself does.

The text is what SQLite is given. PostgreSQL says a few of its words otherwise, and knows no index
by name: `postgres/dialect.py` has the list. So a statement, a query or a step of the schema is
written once, and whoever adds one keeps to what the list can say.

It knows no driver, no file and no server, and nothing of which changes share a commit.
"""

import wingman.store.sql.versions as versions
from wingman.store.sql.batch import write_calls, written_sessions
from wingman.store.sql.connection import Reading, Rows, Writing
from wingman.store.sql.statements import Row, Statement
from wingman.store.sql.store import Database, DatabaseStore, Reader

__all__ = [
    "Database",
    "DatabaseStore",
    "Reader",
    "Reading",
    "Row",
    "Rows",
    "Statement",
    "Writing",
    "versions",
    "write_calls",
    "written_sessions",
]
