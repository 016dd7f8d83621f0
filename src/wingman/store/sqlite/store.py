"""SQLStore: sessions in a SQLite file, for as long as the disk lives."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
import trio
from sqlalchemy import Connection, Select, func, make_url, select, text
from sqlalchemy.exc import ArgumentError

from wingman.agent import AgentRecord
from wingman.conversation import Message, ToolResultBlock
from wingman.errors import StoreError, StoreUnavailable
from wingman.store.changes import Change
from wingman.store.protocol import Chain, Commit
from wingman.store.records import (
    Credential,
    PendingStep,
    RunRecord,
    RunStatus,
    SessionPage,
    SessionRecord,
)
from wingman.store.sqlite.database import READERS, Database, Synchronous
from wingman.store.sqlite.run_statements import RecordedStep
from wingman.store.sqlite.schema import (
    UNFINISHED,
    agents,
    credentials,
    history,
    pending,
    runs,
    sessions,
)
from wingman.store.writer import Writer

__all__ = ["CLOSE_TIMEOUT", "SQLStore"]

CLOSE_TIMEOUT = 10.0
"""Seconds that leaving the store may take to commit what is queued, and again to close the file."""

T = TypeVar("T")

_AGENT = [agents.c[name] for name in AgentRecord.__struct_fields__]
_SESSION = [sessions.c[name] for name in SessionRecord.__struct_fields__]
_RUN = [runs.c[name] for name in RunRecord.__struct_fields__]
_SHOWN = sessions.c.deleting == 0
_STEP = msgspec.json.Decoder(RecordedStep)
_RESULT = msgspec.json.Decoder(ToolResultBlock)


class SQLStore:
    """The store in a database. An async context manager: it owns the file while it is entered.

    `url` is a path or `sqlite:///…`. What is written is committed by one task (`writer.Writer`);
    reads have connections of their own and see what is committed. Changes that nobody has awaited
    wait in memory, bounded by the number of runs, since each run awaits its commit when a step is
    recorded and when it ends.

    Leaving it commits what was written, whatever is cancelled around it, within `CLOSE_TIMEOUT`,
    and closes the file within as much again; else it raises `StoreError`.
    """

    def __init__(self, url: str | Path, *, synchronous: Synchronous = "full") -> None:
        if synchronous not in ("full", "normal"):
            raise ValueError(f'synchronous is "full" or "normal", not {synchronous!r}')
        self._database = Database(_path(url), synchronous)
        self._writer = Writer(self._database.commit)
        self._readers = trio.CapacityLimiter(READERS)
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await trio.to_thread.run_sync(self._database.open)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            nursery = await stack.enter_async_context(trio.open_nursery())
            self._writer = Writer(self._database.commit)
            self._writer.start(nursery)
            stack.push_async_callback(self._flush)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The nursery is not told of the exception: it would wrap it in a group.
        await self._exit.aclose()

    async def _flush(self) -> None:
        with trio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await self._writer.close()
            return
        self._writer.give_up()

    async def _close(self) -> None:
        if not self._writer.given_up:
            with trio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await trio.to_thread.run_sync(self._database.close, abandon_on_cancel=True)
                return
        # The file stays locked: a thread may still be writing to it.
        raise StoreError(
            f"{self._database.path} could not be closed within {CLOSE_TIMEOUT:g} s: "
            "what was not acknowledged may not be there."
        )

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        """Queue these changes, to be committed together; raise `StoreError` if it is not open."""
        return self._writer.submit(changes, chain)

    @property
    def failure(self) -> StoreUnavailable | None:
        return None

    async def wait_until_well(self) -> None:
        await trio.lowlevel.checkpoint()

    # --- agents and credentials -------------------------------------------------------------------

    async def agents(self) -> Sequence[AgentRecord]:
        return await self._all(AgentRecord, select(*_AGENT).order_by(agents.c.seq))

    async def agent(self, agent_id: str) -> AgentRecord | None:
        return await self._one(AgentRecord, select(*_AGENT).where(agents.c.id == agent_id))

    async def credentials(self) -> Mapping[str, Credential]:
        query = select(credentials.c.provider, credentials.c.credential)
        rows = await self._read(lambda connection: connection.execute(query).all())
        return {row.provider: row.credential for row in rows}

    # --- sessions ---------------------------------------------------------------------------------

    async def sessions(self, limit: int, before: int | None = None) -> SessionPage:
        query = select(sessions.c.seq, *_SESSION).where(_SHOWN).order_by(sessions.c.seq.desc())
        if before is not None:
            query = query.where(sessions.c.seq < before)
        rows = await self._read(lambda connection: connection.execute(query.limit(limit + 1)).all())
        page = rows[:limit]
        return SessionPage(
            tuple(SessionRecord(**_without_seq(row)) for row in page),
            page[-1].seq if len(rows) > limit else None,
        )

    async def session(self, session_id: str) -> SessionRecord | None:
        return await self._one(SessionRecord, _session(session_id))

    async def session_with_history(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[Message]] | None:
        messages = (
            select(history.c.message)
            .where(history.c.session_id == session_id)
            .order_by(history.c.seq)
        )

        def read(connection: Connection) -> tuple[SessionRecord, Sequence[Message]] | None:
            row = connection.execute(_session(session_id)).mappings().one_or_none()
            if row is None:
                return None
            return SessionRecord(**row), tuple(connection.execute(messages).scalars())

        return await self._read(read)

    async def session_with_queue(
        self, session_id: str
    ) -> tuple[SessionRecord, Sequence[RunRecord]] | None:
        queued = (
            select(*_RUN)
            .where(runs.c.session_id == session_id, runs.c.status == "queued", UNFINISHED)
            .order_by(runs.c.seq)
        )

        def read(connection: Connection) -> tuple[SessionRecord, Sequence[RunRecord]] | None:
            row = connection.execute(_session(session_id)).mappings().one_or_none()
            if row is None:
                return None
            found = connection.execute(queued).mappings()
            return SessionRecord(**row), tuple(RunRecord(**each) for each in found)

        return await self._read(read)

    async def sessions_with_queue(self) -> Sequence[str]:
        query = (
            select(runs.c.session_id)
            .join(sessions, sessions.c.id == runs.c.session_id)
            .where(_SHOWN, runs.c.status == "queued", UNFINISHED)
            .group_by(runs.c.session_id)
            .order_by(func.min(runs.c.seq))
        )
        return await self._read(lambda connection: tuple(connection.execute(query).scalars()))

    async def deleting(self) -> Sequence[str]:
        query = select(sessions.c.id).where(text("deleting")).order_by(sessions.c.seq)
        return await self._read(lambda connection: tuple(connection.execute(query).scalars()))

    # --- runs -------------------------------------------------------------------------------------

    async def run_messages(self, run_id: str) -> Sequence[Message]:
        query = (
            select(history.c.message)
            .join(sessions, sessions.c.id == history.c.session_id)
            .where(_SHOWN, history.c.run_id == run_id)
            .order_by(history.c.seq)
        )
        return await self._read(lambda connection: tuple(connection.execute(query).scalars()))

    async def runs(
        self,
        session_id: str | None = None,
        statuses: Sequence[RunStatus] = (),
        limit: int | None = None,
    ) -> Sequence[RunRecord]:
        query = _runs().order_by(runs.c.seq.desc()).limit(limit)
        if session_id is not None:
            query = query.where(runs.c.session_id == session_id)
        if statuses:
            query = query.where(runs.c.status.in_(statuses))
            if {"queued", "running"}.issuperset(statuses):
                query = query.where(UNFINISHED)
        return (await self._all(RunRecord, query))[::-1]

    async def run(self, session_id: str, run_id: str) -> RunRecord | None:
        return await self._one(
            RunRecord, _runs().where(runs.c.session_id == session_id, runs.c.id == run_id)
        )

    async def run_by_request(self, session_id: str, request_id: str) -> RunRecord | None:
        return await self._one(
            RunRecord,
            _runs().where(runs.c.session_id == session_id, runs.c.request_id == request_id),
        )

    async def pending_step(self, run_id: str) -> PendingStep | None:
        query = (
            select(pending.c.kind, pending.c.value)
            .join(runs, runs.c.id == pending.c.run_id)
            .join(sessions, sessions.c.id == runs.c.session_id)
            .where(_SHOWN, pending.c.run_id == run_id)
            .order_by(pending.c.seq)
        )
        return await self._read(lambda connection: _pending(connection.execute(query).all()))

    # --- how it reads -----------------------------------------------------------------------------

    async def _all(self, record: Callable[..., T], query: Select[Any]) -> Sequence[T]:
        def read(connection: Connection) -> Sequence[T]:
            return tuple(record(**row) for row in connection.execute(query).mappings())

        return await self._read(read)

    async def _one(self, record: Callable[..., T], query: Select[Any]) -> T | None:
        found = await self._all(record, query)
        return found[0] if found else None

    async def _read(self, read: Callable[[Connection], T]) -> T:
        """Read in a thread, from a snapshot."""

        def work() -> T:
            with self._database.snapshot() as connection:
                return read(connection)

        return await trio.to_thread.run_sync(work, limiter=self._readers)


def _session(session_id: str) -> Select[Any]:
    return select(*_SESSION).where(_SHOWN, sessions.c.id == session_id)


def _runs() -> Select[Any]:
    return select(*_RUN).join(sessions, sessions.c.id == runs.c.session_id).where(_SHOWN)


def _without_seq(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name != "seq"}


def _pending(rows: Sequence[Any]) -> PendingStep | None:
    if not rows:
        return None
    step = _STEP.decode(rows[0].value)
    results = tuple(_RESULT.decode(row.value) for row in rows[1:])
    return PendingStep(step.step, step.message, step.usage, results, step.cost)


def _path(url: str | Path) -> Path:
    """The file that a URL, or a path, names; symbolic links are followed, so that one lock holds.

    Errors do not repeat the URL: there may be a password in it.
    """
    if isinstance(url, str) and "://" in url:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise StoreError(
                "The database's URL is not one: it looks like sqlite:///path."
            ) from error
        if parsed.get_backend_name() != "sqlite":
            raise StoreError(
                f"Wingman keeps its sessions in SQLite, not yet in {parsed.get_backend_name()}: "
                "give a path, or sqlite:///path."
            )
        if parsed.query or parsed.host or not parsed.database:
            raise StoreError("A SQLite URL names a file and nothing else: sqlite:///path.")
        url = parsed.database
    return Path(url).expanduser().resolve()
