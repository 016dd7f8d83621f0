"""The store: what must last, and how it lasts.

    protocol.py     Store, Commit, Chain: changes in, whole values out
    records.py      what is kept, and read: runs, sessions, credentials
    listing.py      what a list shows of a run, and of a permission request
    results.py      what is kept of a long result beside its run's messages
    changes.py      what can be written
    call.py         the changes of one write, and the promise that they will be safe
    nodes.py        the processes that share a store, and which of them owns a session
    writer.py       group commit: one thread that commits whatever is queued
    disk.py         where it commits
    readers.py      the threads that read
    threads.py      how those threads are started, and tell the event loop something
    memory/         the store in memory: for tests, and for programs that need nothing to last
    sql/            what all stores in a database share: the tables, the SQL, the face
    sqlite/         the store in a SQLite file
    postgres/       the store in a PostgreSQL database

It knows values (`conversation`, `events`, `agent`) and nothing of actors, of the run loop, or of
which changes make sense after which: it writes down what it is told, in order. Who may see a
credential, or how long a session is kept, is not its matter either.
"""

from pathlib import Path

from wingman.errors import StoreError
from wingman.store.changes import (
    MOST_PASSES,
    AgentDeleted,
    AgentSaved,
    CallEnded,
    CeilingRaised,
    Change,
    CredentialDeleted,
    CredentialSaved,
    HistoryCompacted,
    McpServerDeleted,
    McpServerSaved,
    PassIssued,
    PassTaken,
    PermissionAsked,
    PermissionResolved,
    RunEnded,
    RunQueued,
    RunStarted,
    RunSteered,
    SessionClaimed,
    SessionDeleting,
    SessionErased,
    SessionReleased,
    SessionSaved,
    StepEnded,
    StepRecorded,
)
from wingman.store.memory import MemoryStore
from wingman.store.nodes import KINDS, Node, Nodes, NodeTerms, Ownership, Unowned
from wingman.store.protocol import Chain, Commit, Store
from wingman.store.records import (
    Compacted,
    CutRun,
    HistoryPage,
    ListedRun,
    MessagePage,
    Pass,
    PendingStep,
    PermissionPage,
    RunPage,
    RunRecord,
    RunStatus,
    SessionPage,
    SessionRecord,
)

__all__ = [
    "KINDS",
    "MOST_PASSES",
    "AgentDeleted",
    "AgentSaved",
    "CallEnded",
    "CeilingRaised",
    "Chain",
    "Change",
    "Commit",
    "Compacted",
    "CredentialDeleted",
    "CredentialSaved",
    "CutRun",
    "HistoryCompacted",
    "HistoryPage",
    "ListedRun",
    "McpServerDeleted",
    "McpServerSaved",
    "MemoryStore",
    "MessagePage",
    "Node",
    "NodeTerms",
    "Nodes",
    "Ownership",
    "Pass",
    "PassIssued",
    "PassTaken",
    "PendingStep",
    "PermissionAsked",
    "PermissionPage",
    "PermissionResolved",
    "RunEnded",
    "RunPage",
    "RunQueued",
    "RunRecord",
    "RunStarted",
    "RunStatus",
    "RunSteered",
    "SessionClaimed",
    "SessionDeleting",
    "SessionErased",
    "SessionPage",
    "SessionRecord",
    "SessionReleased",
    "SessionSaved",
    "StepEnded",
    "StepRecorded",
    "Store",
    "Unowned",
    "open_store",
]

_POSTGRESQL = ("postgresql://", "postgres://")
_IN_MEMORY = ("memory", ":memory:", "sqlite://", "sqlite:///:memory:")


def open_store(url: str | Path) -> Store:
    """The store that this URL means; it is open once it is entered.

    A path, or `sqlite:///relative.db`, or `sqlite:////absolute.db`: a SQLite file.
    `postgresql://user@host/database`: a PostgreSQL database, with the extra `postgres`. `memory`,
    or any way to say that the database is in memory: a `MemoryStore`. Raises `StoreError` for
    others.
    """
    if url in _IN_MEMORY:
        return MemoryStore()
    if isinstance(url, str) and url.startswith(_POSTGRESQL):
        return _in_postgresql(url)
    from wingman.store.sqlite import SQLStore  # noqa: PLC0415  (heavy, so only if needed)

    return SQLStore(url)


def _in_postgresql(url: str) -> Store:
    try:
        from wingman.store.postgres import PostgresStore  # noqa: PLC0415  (heavy, and an extra)
    except ImportError as error:
        raise StoreError(
            "A PostgreSQL database needs its driver: pip install 'wingman-runtime[postgres]'."
        ) from error
    return PostgresStore(url)
