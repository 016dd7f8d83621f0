"""The store: what must last, and how it lasts.

    base.py            the protocol: changes in, whole values out
    memory.py          in memory: for tests, and for programs that need nothing to last
    ledger.py          what the one in memory keeps, in dicts
    sql.py             in a SQLite file: where it lives, and what is read from it
    call.py            the changes of one write, and the promise that they will be safe
    writer.py          group commit: one task that commits whatever is queued
    database.py        the file: opened, owned, brought up to date, written
    lock.py            a database has one owner
    batch.py           many changes in few statements, none overtaking another
    statements.py      what each change does to the tables; run_statements.py: those of runs
    schema.py          the tables
    versions.py        the way to them from an older database

It knows values (`conversation`, `events`, `agent`) and nothing of actors, of the run loop, or of
which changes make sense after which: it writes down what it is told, in order. Who may see a
credential, or how long a session is kept, is not its matter either.
"""

from pathlib import Path

from wingman.store.base import (
    AgentDeleted,
    AgentSaved,
    CallEnded,
    CeilingRaised,
    Chain,
    Change,
    Commit,
    Credential,
    CredentialDeleted,
    CredentialSaved,
    PendingStep,
    RunEnded,
    RunFailure,
    RunQueued,
    RunRecord,
    RunStarted,
    RunStatus,
    SessionDeleting,
    SessionErased,
    SessionPage,
    SessionRecord,
    SessionSaved,
    StepEnded,
    StepRecorded,
    Store,
)
from wingman.store.memory import MemoryStore

__all__ = [
    "AgentDeleted",
    "AgentSaved",
    "CallEnded",
    "CeilingRaised",
    "Chain",
    "Change",
    "Commit",
    "Credential",
    "CredentialDeleted",
    "CredentialSaved",
    "MemoryStore",
    "PendingStep",
    "RunEnded",
    "RunFailure",
    "RunQueued",
    "RunRecord",
    "RunStarted",
    "RunStatus",
    "SessionDeleting",
    "SessionErased",
    "SessionPage",
    "SessionRecord",
    "SessionSaved",
    "StepEnded",
    "StepRecorded",
    "Store",
    "open_store",
]

_IN_MEMORY = ("memory", ":memory:", "sqlite://", "sqlite:///:memory:")


def open_store(url: str | Path) -> Store:
    """The store that this URL means; it is open once it is entered.

    A path, or `sqlite:///relative.db`, or `sqlite:////absolute.db`: a SQLite file. `memory`, or any
    way to say that the database is in memory: a `MemoryStore`. Raises `StoreError` for others.
    """
    if url in _IN_MEMORY:
        return MemoryStore()
    from wingman.store.sql import SQLStore  # noqa: PLC0415  (SQLAlchemy: heavy, so only if needed)

    return SQLStore(url)
