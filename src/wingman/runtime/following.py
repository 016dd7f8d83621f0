"""Following: a session's events, from run to run, for a program."""

from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from wingman.api import SessionView
from wingman.errors import SessionDeleted, ShuttingDown, StreamLagged
from wingman.face import Followed, News, Resynced
from wingman.run import BATCH, Reader
from wingman.under_trio import require_trio

__all__ = ["Following"]


class Following:
    """A session's events, as they come: `async with` it, and iterate.

    Where events are not held any more it gives the session itself (`Resynced`) and goes on from
    there. Raises `SessionDeleted` where the session is, and `ShuttingDown` at the runtime's end.
    """

    def __init__(
        self,
        session_id: str,
        follow: Callable[[], Awaitable[Reader]],
        read: Callable[[], Awaitable[SessionView]],
    ) -> None:
        self._session_id = session_id
        self._follow = follow
        self._read = read
        self._reader: Reader | None = None
        self._batch: deque[Followed] = deque()

    async def __aenter__(self) -> Self:
        require_trio()
        reader = await self._follow()
        self._reader = await reader.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._reader is not None:
            await self._reader.__aexit__(kind, value, traceback)  # noqa: ASYNC102 never waits

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> News:
        reader = self._reader
        if reader is None:
            raise RuntimeError("the session is not followed: use it with `async with`")
        if not self._batch:
            try:
                batch = await reader.receive(BATCH)
            except StreamLagged as lagged:
                session = await self._read()
                reader.cursor = max(session.last_event_id, lagged.resume_at)
                return Resynced(session)
            if not batch:
                raise self._closed(reader.closed)
            self._batch.extend(Followed(one.id, one.run_id, one.event) for one in batch)
        return self._batch.popleft()

    def _closed(self, reason: str | None) -> Exception:
        if reason == "deleted":
            return SessionDeleted(f"Session {self._session_id} was deleted.")
        if reason == "shutting_down":
            return ShuttingDown("The runtime is shutting down.")
        return StopAsyncIteration()
