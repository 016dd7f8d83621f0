"""RunStream: the events of one run, each once and in order, whatever happens to connections.

The message is sent with a `request_id`, so that it may be sent again. Its answer is the run's
events with their ids. Where that breaks, the session's events are followed from the last id, those
of other runs left out. Where what comes next is not held any more, or the run has ended meanwhile,
the rest is made of what is stored: text, tool calls and their results, and the end.
"""

import logging
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import anyio

from wingman.api import Accepted, MessageBody, PermissionRequest, SessionView
from wingman.client.answers import error_named
from wingman.client.exchange import Broken, Exchange, NotOpen, Request
from wingman.client.frames import INCLUDE, Frame, Frames
from wingman.client.given import Given, Rest
from wingman.client.permissions import some_permissions
from wingman.client.run import Run
from wingman.conversation import Message, ToolResultBlock
from wingman.errors import BadAnswer, Unreachable, WingmanError
from wingman.events import Done, Error, Event, PermissionRequested, Result, events_of

if TYPE_CHECKING:
    from wingman.face import AnyRunStream

__all__ = ["RunStream"]

logger = logging.getLogger("wingman.client")

_STOP_SECONDS: Final = 10.0
_ASK_SECONDS: Final = 10.0  # how often a silent session is asked whether the run is still there
_CUT: Final = ("shutting_down", "resync", "crashed")


class RunStream:
    """One run, as a stream of its events, `Done` the last. `result` is there when it is over.

    A run that fails raises its error from the iteration. Leaving the block early cancels the run.
    """

    def __init__(self, exchange: Exchange, session_id: str, body: MessageBody) -> None:
        self._exchange = exchange
        self._session_id = session_id
        self._body = body
        self._waiting = exchange.waiting(self._message())
        self._run: Run | None = None
        self._taken = False  # the server may have taken the message, and not said so
        self._frames: Frames | None = None
        self._following = False  # the session's events are read, not the message's answer
        self._stored = False  # the run has ended: what is left of it is in the store
        self._cursor: int | None = None
        self._given = Given()
        self._rest: Rest = self._given.begin()
        self._asked = 0.0
        self._pending: deque[Event] = deque()
        self._failure: Broken | WingmanError | None = None  # met, and not yet dealt with
        self._over = False

    async def __aenter__(self) -> Self:
        try:
            while self._run is None or self._frames is None:
                try:
                    await self._connect()
                except (Broken, WingmanError) as error:
                    await self._again(error)
        except BaseException:
            await self._leave(quiet=True)  # noqa: ASYNC102 it shields itself
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave(quiet=kind is not None)  # noqa: ASYNC102 it shields itself

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._pending:
            if self._over:
                raise StopAsyncIteration
            await self._more()
        event = self._pending.popleft()
        if isinstance(event, Done | Error):
            self._over = True
            self.run.settle(event)
        if isinstance(event, Error):
            self.run.outcome()
        return event

    @property
    def run(self) -> Run:
        """The run itself: its id, its status, its cancel."""
        if self._run is None:
            raise RuntimeError("the stream is not open: use it with `async with`")
        return self._run

    @property
    def result(self) -> Result:
        """What the run came to. Raises what it failed with, and `RunFailed` before its end."""
        return self.run.outcome()

    # --- connecting ----------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Open the stream that goes on where the last one broke."""
        self._following = self._cursor is not None and not self._stored
        self._rest = self._given.begin()
        if self._following:
            self._frames = Frames(await self._exchange.open(self._events()))
            self._waiting.connected()
            return
        # A refusal says nothing of an earlier try, whose answer was lost.
        before, self._taken = self._taken, True  # also where this is cancelled before an answer
        try:
            self._frames = frames = Frames(await self._exchange.open(self._message()))
            self._waiting.connected()
            self._know(self._named(frames))
        except Broken as broken:
            self._taken = before or broken.sent
            raise
        except WingmanError as error:
            self._taken = before or isinstance(error, BadAnswer)  # a proxy does not know
            if error.run_id is not None:
                self._know(error.run_id)
            raise

    def _named(self, frames: Frames) -> str:
        """The run that the stream is of. A message has one, however often it is sent."""
        run_id = frames.run_id
        if run_id is None or (self._run is not None and self._run.id != run_id):
            raise BadAnswer(
                f"The stream is not of the message's run: does a proxy stand between? - at "
                f"{self._message()}"
            )
        return run_id

    def _know(self, run_id: str) -> None:
        if self._run is None:
            self._run = Run(self._exchange, self._session_id, run_id)

    async def _again(self, error: Broken | WingmanError) -> None:
        """Wait until it is time to connect again, or raise what is in the way."""
        await self._close()
        if self._run is not None and isinstance(error, WingmanError):
            error.run_id = self._run.id
        failure = self._exchange.passing(self._message(), error)
        if self._run is not None:
            failure.run_id = self._run.id
        await self._waiting.again(failure)

    # --- reading -------------------------------------------------------------------------------

    async def _more(self) -> None:
        """Take what comes next, over a new connection if need be."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            await self._again(failure)
        try:
            if self._frames is None:
                await self._connect()
            await self._receive()
        except (Broken, WingmanError) as error:
            self._failure = error  # first comes what has come before it
        except BaseException:
            # What has come and was not taken would be lost: who reads on does so from the cursor.
            await self._close()  # noqa: ASYNC102 it shields itself
            raise

    async def _receive(self) -> None:
        frames = None if self._frames is None else await self._frames.receive()
        if frames is None:
            raise Broken("the stream ended before the run did", sent=True)
        self._waiting.alive()
        for frame in frames:
            await self._take(frame)
            if self._frames is None:
                return
        if self._following and not self._pending:
            await self._ask_whether_it_ended()

    async def _take(self, frame: Frame) -> None:
        if frame.id is not None:
            if frame.name == "resync":
                await self._read()
                return
            if self._cursor is not None and frame.id <= self._cursor:
                return
            self._cursor = frame.id
            if self._following and frame.run_id != self.run.id:
                return
            self._give(frame.event)
        elif isinstance(frame.event, Error):
            await self._cut(frame.event)
        elif (event := self._rest.of(frame.event)) is not None:
            self._give(event)

    def _give(self, event: Event) -> None:
        self._waiting.progress()
        if isinstance(event, PermissionRequested) and self._given.asked(event.id):
            return
        self.run.begun()
        self._given.note(event)
        self._pending.append(event)

    async def _cut(self, error: Error) -> None:
        """The stream is cut; or it was of a run that had failed, and this is how."""
        if error.code == "session_deleted":
            raise error_named(error.code, error.message, self.run.id)
        if error.code not in _CUT:
            await self.run.describe()
            if self.run.ended:
                self._give(error)
                return
        if error.code == "resync":
            self._cursor = self._cursor or 0  # the session says what it still has
        raise Broken(error.message, sent=True)

    async def _read(self) -> None:
        """What comes next is not held any more: give what is stored of it, and go on from there.

        While a run is in flight, the history's last message that a user has sent is the run's own:
        so it counts only where the run was in flight before the history was read, and is after.
        """
        request = Request.to("GET", "/sessions/{session_id}", session_id=self._session_id)
        while True:
            queued = self.run.status == "queued"
            session = await self._exchange.ask(request, SessionView)
            await self.run.describe()
            if not queued or self.run.status == "queued" or self.run.ended:
                break
        if self.run.ended:
            await self._read_the_end()
        elif queued:
            self._cursor = max(self._cursor or 0, session.last_event_id)
        else:
            for event in self._given.rest(events_of(_last_turn(session.history or ()))):
                self._give(event)
            async for asked in some_permissions(self._exchange, self._session_id, ("pending",)):
                if asked.run_id == self.run.id:
                    self._give(_requested(asked))
            self._cursor = max(self._cursor or 0, session.last_event_id)

    async def _ask_whether_it_ended(self) -> None:
        """A session that is silent may have told the run's end while nobody listened."""
        now = anyio.current_time()
        if now - self._asked < _ASK_SECONDS:
            return
        self._asked = now
        await self.run.describe()
        if self.run.ended:
            await self._read_the_end()

    async def _read_the_end(self) -> None:
        """The run has ended: the message's answer, asked for again, is what is stored of it."""
        self._stored = True
        await self._close()

    # --- leaving -------------------------------------------------------------------------------

    async def _leave(self, quiet: bool) -> None:
        """Close the stream, and cancel the run if it has not ended. Bounded, and shielded.

        That the run could not be cancelled is raised, or logged if another error is on its way.
        """
        ended = self._run is not None and self._run.ended
        await self._close(drain=ended and not self._following)
        if ended or not (self._run or self._taken):
            return
        failure: WingmanError | NotOpen | None = None
        with anyio.move_on_after(_STOP_SECONDS, shield=True) as scope:
            try:
                await self._stop()
            except (WingmanError, NotOpen) as error:
                failure = error
        if scope.cancelled_caught:
            failure = Unreachable("The run was not cancelled in time; it may go on.", 0)
        if failure is None:
            return
        logger.warning("session %s: a run was not cancelled: %s", self._session_id, failure)
        if not quiet:
            raise failure

    async def _close(self, *, drain: bool = False) -> None:
        frames, self._frames = self._frames, None
        if frames is not None:
            await frames.aclose(drain=drain)

    async def _stop(self) -> None:
        if self._run is None:
            # Whether the message was taken only the server knows: it is asked with the message
            # itself, which it takes once.
            request = self._message(form="message", headers={"prefer": "respond-async"})
            self._know((await self._exchange.ask(request, Accepted)).run_id)
        await self.run.cancel()

    # --- requests ------------------------------------------------------------------------------

    def _message(
        self, form: str = "message/stream", headers: dict[str, str] | None = None
    ) -> Request:
        return Request.to(
            "POST",
            f"/sessions/{{session_id}}/{form}",
            query={"include": INCLUDE} if form.endswith("stream") else None,
            body=self._body,
            headers=headers,
            session_id=self._session_id,
        )

    def _events(self) -> Request:
        return Request.to(
            "GET",
            "/sessions/{session_id}/events",
            query={"include": INCLUDE},
            headers={"last-event-id": str(self._cursor)},
            session_id=self._session_id,
        )


def _requested(request: PermissionRequest) -> PermissionRequested:
    return PermissionRequested(
        request.id,
        request.run_id,
        request.tool_use_id,
        request.tool,
        request.action,
        request.resources,
        request.always,
    )


def _last_turn(history: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages from the last one on that a user has sent, and no tool."""
    for index in range(len(history) - 1, -1, -1):
        message = history[index]
        if message.role == "user" and any(
            not isinstance(block, ToolResultBlock) for block in message.content
        ):
            return history[index:]
    return ()


if TYPE_CHECKING:  # the types prove that it has the face
    _FACE: type[AnyRunStream] = RunStream
