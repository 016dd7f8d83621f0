"""The store: what must last, behind a narrow protocol.

Writes are values. `store.write(*changes)` takes them in order and returns at once with a `Commit`;
`await commit.wait()` returns when they are safe, and raises `StoreError` if they are not. The
changes of one call are committed together or not at all, and calls are committed in the order
they were made; how many share one commit is the store's own affair. What builds on an earlier
write is written on the same `Chain`.

Reads see what is committed. They return whole values, never rows. They raise `StoreUnavailable`
where the storage cannot be read just now, and `StoreError` for what is there and damaged.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

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

__all__ = ["Chain", "Commit", "Store"]


class Commit(Protocol):
    """The promise that some changes will be safe."""

    @property
    def safe(self) -> bool:
        """Whether they are: then nothing needs to be waited for."""

    async def wait(self) -> None:
        """Return when the changes are safe; raise `StoreError` if they could not be made so.

        `StoreUnavailable` is the storage's doing: the same changes may be written later. Any other
        `StoreError` is the changes' own fault.
        """

    def then(self, callback: Callable[[StoreError | None], None]) -> None:
        """Have `callback` called once: with None when the changes are safe, or with the failure.

        It is called in the event loop's thread, synchronously, before any task that waits for this
        commit runs; at once, if the matter is settled already. What it raises is logged.
        """


class Chain:
    """Changes that build on each other: once one of them fails, the later ones fail, too.

    Give it to `Store.write`. `failure` is why the chain has ended, and None as long as all is well.
    """

    __slots__ = ("broken", "failure", "last")

    def __init__(self) -> None:
        self.failure: StoreError | None = None
        self.last: Commit | None = None
        """What was written last; the store keeps it here, until it is settled."""
        self.broken: StoreError | None = None
        """The store's own note of the failure, made where it commits: ahead of `failure`."""

    async def settled(self) -> None:
        """Return when everything written on this chain so far is safe, or has failed."""
        if self.last is None:
            await trio.lowlevel.checkpoint()
        else:
            with suppress(StoreError):
                await self.last.wait()


class Store(Protocol):
    """Where sessions live when no process does. An async context manager: it opens and closes.

    Closing commits what was written. `async with` raises `StoreLocked` or `StoreTooNew`.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    @property
    def name(self) -> str:
        """Where it is, as people are told: a path, an address without a password, or `memory`."""

    @property
    def nodes(self) -> Nodes | None:
        """The processes that share this store; None: it has one owner, who owns all sessions."""

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        """Take these changes, in order, to be committed together. Never blocks.

        With a `chain`: if an earlier change of it has failed, or fails, these are not applied and
        fail with the same reason. Writes without a chain depend on nothing, and writes of
        different chains do not touch each other.
        """

    @property
    def failure(self) -> StoreUnavailable | None:
        """Why the store cannot be written just now; None: it is well."""

    async def wait_until_well(self) -> None:
        """Return when `failure` is None. The store finds that out by itself."""

    async def agents(self) -> Sequence[AgentRecord]:
        """All agents, oldest first."""

    async def agent(self, agent_id: str) -> AgentRecord | None:
        """One agent."""

    async def credentials(self) -> Mapping[str, Credential]:
        """All credentials, by provider."""

    async def mcp_servers(self) -> Mapping[str, McpServer]:
        """All MCP servers, by name."""

    async def find_pass(self, hash: str) -> Pass | None:
        """What is kept of the secret with this hash."""

    async def sessions(self, limit: int, before: int | None = None) -> SessionPage:
        """Up to `limit` (≥ 1) sessions, newest first, after the page whose `next` is `before`."""

    async def session(self, session_id: str) -> SessionRecord | None:
        """One session; None also for one that is being deleted."""

    async def session_with_history(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[Message]] | None:
        """One session and its history, as of one moment."""

    async def history_page(
        self, session_id: str, after: int = 0, until: int | None = None
    ) -> HistoryPage | None:
        """Some of a session's history, about a megabyte, after the page whose `next` is `after`.

        `until` is the `last` of the first page: then the pages make up the history as it was when
        that one was read. None: there is no such session (any more).
        """

    async def message_page(
        self, session_id: str, limit: int, before: int | None = None
    ) -> MessagePage | None:
        """Up to `limit` (≥ 1) messages, the last of a history, or those before the page whose
        `next` is `before`. They are fewer where they have more than about a megabyte.

        None: there is no such session.
        """

    async def session_with_queue(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[RunRecord]] | None:
        """One session and its runs that are `waiting` or `queued`, in order of admission, as of one
        moment."""

    async def queues(
        self, session_ids: Sequence[str]
    ) -> Sequence[tuple[SessionRecord, Sequence[RunRecord]]]:
        """Several sessions as `session_with_queue` has them, in this order, as of one moment.

        Those that are not there are left out.
        """

    async def sessions_with_queue(self) -> Mapping[str, int]:
        """How many runs that are `waiting` or `queued` each session has, in the order of their
        oldest such run.

        Sessions without one, and those that are being deleted, are not among them.
        """

    async def cut_off(self, limit: int) -> Sequence[CutRun]:
        """Up to `limit` (≥ 1) runs that are `running`, oldest first, with what they have left.

        They are fewer where they have left many megabytes, and none only where none is running.
        """

    async def deleting(self) -> Sequence[str]:
        """The ids of the sessions that are marked as deleted and not yet erased."""

    async def run_messages(self, run_id: str) -> Sequence[Message]:
        """What one run added to the history, in order; its user's message is the first."""

    async def runs(
        self,
        session_id: str | None = None,
        statuses: Sequence[RunStatus] = (),
        limit: int | None = None,
    ) -> Sequence[RunRecord]:
        """Runs, in the order of their admission; with `limit`, only the newest so many of them."""

    async def run_page(
        self,
        session_id: str | None,
        statuses: Sequence[Status],
        limit: int,
        before: int | None = None,
        cancelling: Collection[str] = (),
    ) -> RunPage:
        """Up to `limit` (≥ 1) runs, newest first, after the page whose `next` is `before`.

        With `statuses`, only those that have one of them. `cancelling` are the ids of the runs that
        have the status `cancelling`, which no store knows by itself, and have no other one.
        """

    async def run(self, session_id: str | None, run_id: str) -> RunRecord | None:
        """One run of one session, or of whichever session it is."""

    async def run_by_request(self, session_id: str, request_id: str) -> RunRecord | None:
        """The run that was admitted under this request id."""

    async def pending_step(self, run_id: str) -> PendingStep | None:
        """The step of this run that is recorded and not ended; None if there is none."""

    async def permissions(
        self,
        session_id: str | None,
        statuses: Sequence[PermissionStatus],
        limit: int,
        before: int | None = None,
    ) -> PermissionPage:
        """Up to `limit` (≥ 1) requests, newest first, after the page whose `next` is `before`.

        With `statuses`, only those that have one of them. An `input` of more than 16 KiB of JSON is
        left out, and the request is `cut`.
        """

    async def permission(self, session_id: str, permission_id: str) -> PermissionRequest | None:
        """One request of one session, whole."""

    async def run_permissions(self, run_id: str) -> Sequence[PermissionRequest]:
        """All requests of one run, whole, in the order in which they were asked."""

    async def grants(self, session_id: str) -> frozenset[tuple[str, str]]:
        """The actions and resources that were answered with `always` in a session."""
