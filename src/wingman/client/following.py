"""Following: a session's events, from run to run, whatever happens to connections."""

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from wingman.api import SessionView
from wingman.client.answers import error_named
from wingman.client.exchange import Broken, Exchange, Request
from wingman.client.frames import INCLUDE, Frame, Frames
from wingman.errors import WingmanError
from wingman.events import Error
from wingman.face import Followed, News, Resynced

if TYPE_CHECKING:
    from wingman.face import AnyFollowing

__all__ = ["Following"]


class Following:
    """A session's events, as they come: `async with` it, and iterate.

    A connection that breaks is made again, also over a server's restart, and each event is given
    once. Where events are not held any more, the session is read and given (`Resynced`), and what
    follows goes on from there. Raises `SessionDeleted` where the session is.
    """

    def __init__(self, exchange: Exchange, session_id: str, after: int | None) -> None:
        self._exchange = exchange
        self._session_id = session_id
        self._cursor = after
        self._waiting = exchange.waiting(self._events())
        self._frames: Frames | None = None
        self._pending: deque[News] = deque()
        self._failure: Broken | WingmanError | None = None

    async def __aenter__(self) -> Self:
        while self._frames is None:
            try:
                await self._connect()
            except (Broken, WingmanError) as error:
                await self._again(error)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()  # noqa: ASYNC102 it shields itself

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> News:
        while not self._pending:
            await self._more()
        return self._pending.popleft()

    async def _connect(self) -> None:
        self._frames = Frames(await self._exchange.open(self._events()))
        self._waiting.connected()

    async def _more(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            await self._again(failure)
        try:
            if self._frames is None:
                if self._cursor is None:
                    # Nothing had come that says where to go on from.
                    await self._read()
                await self._connect()
            frames = None if self._frames is None else await self._frames.receive()
            if frames is None:
                raise Broken("the stream ended", sent=True)
            self._waiting.alive()
            for frame in frames:
                await self._take(frame)
        except (Broken, WingmanError) as error:
            self._failure = error  # first comes what has come before it
        except BaseException:
            # What has come and was not taken would be lost: who reads on does so from the cursor.
            await self._close()  # noqa: ASYNC102 it shields itself
            raise

    async def _take(self, frame: Frame) -> None:
        if frame.name == "resync":
            await self._read()
        elif frame.id is not None:
            if self._cursor is None or frame.id > self._cursor:
                self._cursor = frame.id
                self._waiting.progress()
                self._pending.append(Followed(frame.id, frame.run_id, frame.event))
        elif isinstance(frame.event, Error):
            if frame.event.code == "session_deleted":
                raise error_named(frame.event.code, frame.event.message)
            raise Broken(frame.event.message, sent=True)

    async def _read(self) -> None:
        request = Request.to("GET", "/sessions/{session_id}", session_id=self._session_id)
        session = await self._exchange.ask(request, SessionView)
        self._cursor = session.last_event_id
        self._waiting.progress()
        self._pending.append(Resynced(session))

    async def _again(self, error: Broken | WingmanError) -> None:
        """Wait until it is time to connect again, or raise what is in the way."""
        await self._close()
        failure = self._exchange.passing(self._events(), error)
        await self._waiting.again(failure)

    async def _close(self) -> None:
        frames, self._frames = self._frames, None
        if frames is not None:
            await frames.aclose()

    def _events(self) -> Request:
        return Request.to(
            "GET",
            "/sessions/{session_id}/events",
            query={"include": INCLUDE},
            headers={} if self._cursor is None else {"last-event-id": str(self._cursor)},
            session_id=self._session_id,
        )


if TYPE_CHECKING:  # the types prove that it has the face
    _FACE: type[AnyFollowing] = Following
