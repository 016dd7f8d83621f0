"""DatabaseStore: the face of a store whose rows are in a database."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

import attrs
import trio

from wingman.api import (
    AgentRecord,
    Credential,
    McpServer,
    PermissionRequest,
    PermissionStatus,
    Status,
)
from wingman.conversation import Message
from wingman.errors import StoreError, StoreUnavailable
from wingman.store.changes import Change
from wingman.store.nodes import Nodes
from wingman.store.protocol import Chain, Commit
from wingman.store.readers import Readers
from wingman.store.records import (
    CutRun,
    HistoryPage,
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
from wingman.store.sql import leftovers, passes, permissions, reads, run_pages
from wingman.store.sql.connection import Reading
from wingman.store.writer import Writer
from wingman.under_trio import require_trio

__all__ = ["CLOSE_TIMEOUT", "READERS", "Database", "DatabaseStore", "Reader"]

CLOSE_TIMEOUT = 10.0
"""Seconds that leaving the store may take to commit what is queued and to close the database."""

READERS: Final = 4
"""Threads that read at the same time."""

T = TypeVar("T")


class Reader(Protocol):
    """A connection that reads, on a thread of its own."""

    def read(self, query: Callable[[Reading], T]) -> T:
        """What `query` finds in the database as of one moment."""

    def close(self) -> None:
        """Let it go."""


class Database(Protocol):
    """Where the rows are. But for `reader`, all is called on the thread that writes.

    `name` is what errors call it. The rest is `Disk`'s of `wingman.store.writer`.
    """

    @property
    def name(self) -> str: ...

    def open(self) -> None: ...

    def commit(self, calls: Sequence[tuple[Change, ...]]) -> None: ...

    def probe(self) -> None: ...

    def close(self) -> None: ...

    def reader(self) -> Reader:
        """A connection that reads, for the thread that calls this."""


class DatabaseStore:
    """The store in a database. An async context manager: it owns the database while it is entered.

    What is written is committed by one thread (`Writer`); a few
    others read (`Readers`), and see what is committed. All of them live as long as the store is
    open. Changes that nobody has awaited wait in memory, bounded by the number of runs, since each
    run awaits its commit when a step is recorded and when it ends.

    Leaving it commits what was written, whatever is cancelled around it, and closes the database,
    all within `CLOSE_TIMEOUT`; else it raises `StoreError`, and the database stays locked until the
    thread that hangs comes back.
    """

    def __init__(
        self, database: Database, probe_every: float, beat_every: float | None = None
    ) -> None:
        self._database = database
        self._probe_every = probe_every
        self._beat_every = beat_every
        self._exit = AsyncExitStack()
        self._make_threads()

    def _make_threads(self) -> None:
        self._readers = Readers(READERS, self._database.reader)
        disk = _Disk(self._database, self._readers)
        self._writer = Writer(disk, self._probe_every, self._beat_every)

    async def __aenter__(self) -> Self:
        require_trio()
        self._make_threads()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await self._writer.open()
            await self._readers.open()
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    async def _close(self) -> None:
        self._readers.close()
        with trio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await self._writer.close()
            return
        self._writer.give_up()
        raise StoreError(
            f"{self._database.name} could not be closed within {CLOSE_TIMEOUT:g} s: "
            "what was not acknowledged may not be there."
        )

    @property
    def name(self) -> str:
        """Where the database is, without a password."""
        return self._database.name

    @property
    def nodes(self) -> Nodes | None:
        """The processes that share it; None: it has one owner."""
        return None

    # --- writing ----------------------------------------------------------------------------------

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        """Queue these changes, to be committed together.

        Raises `StoreUnavailable` if the store is not open.
        """
        return self._writer.submit(changes, chain)

    @property
    def failure(self) -> StoreUnavailable | None:
        """Why the database cannot be written just now; None: it is well.

        It is for ever where the database is not the same any more.
        """
        return self._writer.failure

    async def wait_until_well(self) -> None:
        await self._writer.wait_until_well()

    # --- reading ----------------------------------------------------------------------------------

    async def agents(self) -> Sequence[AgentRecord]:
        return await self._read(reads.agents)

    async def agent(self, agent_id: str) -> AgentRecord | None:
        return await self._read(lambda connection: reads.agent(connection, agent_id))

    async def credentials(self) -> Mapping[str, Credential]:
        return await self._read(reads.credentials)

    async def mcp_servers(self) -> Mapping[str, McpServer]:
        return await self._read(reads.mcp_servers)

    async def find_pass(self, hash: str) -> Pass | None:
        return await self._read(lambda connection: passes.find_pass(connection, hash))

    async def sessions(self, limit: int, before: int | None = None) -> SessionPage:
        return await self._read(lambda connection: reads.sessions(connection, limit, before))

    async def session(self, session_id: str) -> SessionRecord | None:
        return await self._read(lambda connection: reads.session(connection, session_id))

    async def session_with_history(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[Message]] | None:
        return await self._read(
            lambda connection: reads.session_with_history(connection, session_id)
        )

    async def history_page(
        self, session_id: str, after: int = 0, until: int | None = None
    ) -> HistoryPage | None:
        return await self._read(
            lambda connection: reads.history_page(connection, session_id, after, until)
        )

    async def message_page(
        self, session_id: str, limit: int, before: int | None = None
    ) -> MessagePage | None:
        return await self._read(
            lambda connection: reads.message_page(connection, session_id, limit, before)
        )

    async def session_with_queue(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[RunRecord]] | None:
        return await self._read(lambda connection: reads.session_with_queue(connection, session_id))

    async def queues(
        self, session_ids: Sequence[str]
    ) -> Sequence[tuple[SessionRecord, Sequence[RunRecord]]]:
        return await self._read(lambda connection: leftovers.queues(connection, session_ids))

    async def sessions_with_queue(self) -> Mapping[str, int]:
        return await self._read(leftovers.sessions_with_queue)

    async def cut_off(self, limit: int) -> Sequence[CutRun]:
        return await self._read(lambda connection: leftovers.cut_off(connection, limit))

    async def deleting(self) -> Sequence[str]:
        return await self._read(reads.deleting)

    async def run_messages(self, run_id: str) -> Sequence[Message]:
        return await self._read(lambda connection: reads.run_messages(connection, run_id))

    async def runs(
        self,
        session_id: str | None = None,
        statuses: Sequence[RunStatus] = (),
        limit: int | None = None,
    ) -> Sequence[RunRecord]:
        return await self._read(
            lambda connection: reads.runs(connection, session_id, statuses, limit)
        )

    async def run_page(
        self,
        session_id: str | None,
        statuses: Sequence[Status],
        limit: int,
        before: int | None = None,
        cancelling: Collection[str] = (),
    ) -> RunPage:
        return await self._read(
            lambda connection: run_pages.run_page(
                connection, session_id, statuses, limit, before, cancelling
            )
        )

    async def run(self, session_id: str | None, run_id: str) -> RunRecord | None:
        return await self._read(lambda connection: reads.run(connection, session_id, run_id))

    async def run_by_request(self, session_id: str, request_id: str) -> RunRecord | None:
        return await self._read(
            lambda connection: reads.run_by_request(connection, session_id, request_id)
        )

    async def pending_step(self, run_id: str) -> PendingStep | None:
        return await self._read(lambda connection: reads.pending_step(connection, run_id))

    async def permissions(
        self,
        session_id: str | None,
        statuses: Sequence[PermissionStatus],
        limit: int,
        before: int | None = None,
    ) -> PermissionPage:
        return await self._read(
            lambda connection: permissions.permissions(
                connection, session_id, statuses, limit, before
            )
        )

    async def permission(self, session_id: str, permission_id: str) -> PermissionRequest | None:
        return await self._read(
            lambda connection: permissions.permission(connection, session_id, permission_id)
        )

    async def run_permissions(self, run_id: str) -> Sequence[PermissionRequest]:
        return await self._read(lambda connection: permissions.run_permissions(connection, run_id))

    async def grants(self, session_id: str) -> frozenset[tuple[str, str]]:
        return await self._read(lambda connection: permissions.grants(connection, session_id))

    async def _read(self, query: Callable[[Reading], T]) -> T:
        require_trio()
        return await self._readers.run(lambda reader: reader.read(query))


@attrs.frozen
class _Disk:
    """The database, as the writer's thread sees it. It is closed after those who read."""

    database: Database
    readers: Readers[Reader]

    def open(self) -> None:
        self.database.open()

    def commit(self, calls: Sequence[tuple[Change, ...]]) -> None:
        self.database.commit(calls)

    def probe(self) -> None:
        self.database.probe()

    def close(self) -> None:
        self.readers.dismiss()
        self.database.close()
