"""Sessions, runs and streams for programs that wait."""

from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from wingman.api import (
    Decision,
    OnAsk,
    OnBusy,
    PermissionAnswer,
    PermissionForm,
    PermissionRequest,
    Receipt,
    RunView,
    SessionView,
    Status,
)
from wingman.client.blocking.loop import Loop
from wingman.client.following import Following
from wingman.client.run import Run
from wingman.client.session import Session
from wingman.client.stream import RunStream
from wingman.conversation import HistoryPart, ImageBlock, Message
from wingman.events import Event, Result
from wingman.face import News

S = TypeVar("S", bound=RunStream | Following)

__all__ = ["SyncFollowing", "SyncRun", "SyncRunStream", "SyncSession"]


class SyncRun:
    """A run: queued, in flight, or ended. See `wingman.client.Run`."""

    def __init__(self, loop: Loop, run: Run) -> None:
        self._loop = loop
        self._run = run

    def __repr__(self) -> str:
        return repr(self._run)

    @property
    def id(self) -> str:
        """The run's ULID."""
        return self._run.id

    @property
    def session_id(self) -> str:
        """The session that it belongs to."""
        return self._run.session_id

    @property
    def ended(self) -> bool:
        """Whether it is over, as far as the server was asked."""
        return self._run.ended

    @property
    def status(self) -> Status:
        """Where it stands, as far as the server was asked."""
        return self._run.status

    def describe(self, wait: int = 0) -> RunView:
        """The run as it stands, after its end or after `wait` seconds (300 at most)."""
        return self._loop.call(partial(self._run.describe, wait))

    def wait(self) -> None:
        """Wait for the run's end. Interrupting this wait does not touch the run."""
        self._loop.call(self._run.wait)

    def result(self) -> Result:
        """Wait for the run's end and return what it came to; raise what it failed with."""
        return self._loop.call(self._run.result)

    def outcome(self) -> Result:
        """What it came to, once it has ended; raise what it failed with."""
        return self._run.outcome()

    def steer(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        request_id: str | None = None,
    ) -> "SyncRun":
        """Have this run read a message at its next step, as the user's words."""
        steer = partial(self._run.steer, message, images=images, request_id=request_id)
        return SyncRun(self._loop, self._loop.call(steer))

    def cancel(self) -> Receipt:
        """Cancel this run, queued or in flight, and no other; return when it has stopped."""
        return self._loop.call(self._run.cancel)

    def cancel_tool(self, tool_use_id: str) -> Receipt:
        """Cancel one of its tool calls: the model is told, the siblings and the run go on."""
        return self._loop.call(partial(self._run.cancel_tool, tool_use_id))


class _Stream(Generic[S]):
    """The block of an asynchronous stream: `with` it, and iterate what it gives."""

    def __init__(self, loop: Loop, stream: S) -> None:
        self._loop = loop
        self._stream = stream

    def __enter__(self) -> Self:
        self._loop.call(self._stream.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call(partial(self._stream.__aexit__, kind, value, traceback))

    def __iter__(self) -> Self:
        return self


class SyncRunStream(_Stream[RunStream]):
    """One run, as a stream of its events. See `wingman.client.RunStream`."""

    def __next__(self) -> Event:
        return next(self._loop.iterate(self._stream))

    @property
    def run(self) -> SyncRun:
        """The run itself: its id, its status, its cancel."""
        return SyncRun(self._loop, self._stream.run)

    @property
    def result(self) -> Result:
        """What the run came to. Raises what it failed with, and `RunFailed` before its end."""
        return self._stream.result


class SyncFollowing(_Stream[Following]):
    """A session's events, from run to run. See `wingman.client.Following`."""

    def __next__(self) -> News:
        return next(self._loop.iterate(self._stream))


class SyncSession:
    """A conversation with an agent, on a server. See `wingman.client.Session`."""

    def __init__(self, loop: Loop, session: Session) -> None:
        self._loop = loop
        self._session = session

    def __repr__(self) -> str:
        return repr(self._session)

    @property
    def id(self) -> str:
        """The session's ULID."""
        return self._session.id

    def run(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        max_steps: int | None = None,
        permissions: PermissionForm | None = None,
        on_ask: OnAsk | None = None,
        ask_timeout: float | None = None,
    ) -> Result:
        """Send a message, run the agent loop to its end, and return what it came to.

        Ctrl-C cancels the run.
        """
        run = partial(
            self._session.run,
            message,
            images=images,
            max_steps=max_steps,
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
        )
        return self._loop.call(run)

    def run_stream(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        max_steps: int | None = None,
        permissions: PermissionForm | None = None,
        on_ask: OnAsk | None = None,
        ask_timeout: float | None = None,
    ) -> SyncRunStream:
        """Send a message and follow its run: `with` it, iterate its events, see its result.

        Leaving the block early cancels the run.
        """
        stream = self._session.run_stream(
            message,
            images=images,
            max_steps=max_steps,
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
        )
        return SyncRunStream(self._loop, stream)

    def submit(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        max_steps: int | None = None,
        request_id: str | None = None,
        on_busy: OnBusy = "queue",
        permissions: PermissionForm | None = None,
        on_ask: OnAsk | None = None,
        ask_timeout: float | None = None,
        expect_run: str | None = None,
    ) -> SyncRun:
        """Send a message and return at once. The run goes on without its caller."""
        submit = partial(
            self._session.submit,
            message,
            images=images,
            max_steps=max_steps,
            request_id=request_id,
            on_busy=on_busy,
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
            expect_run=expect_run,
        )
        return SyncRun(self._loop, self._loop.call(submit))

    def compact(self, instructions: str = "") -> Result:
        """Have the history summarised but for its last turn."""
        return self._loop.call(partial(self._session.compact, instructions))

    def take_back(self, run: SyncRun | str) -> Receipt:
        """Take back a message that nobody has read, by its run."""
        run_id = run.id if isinstance(run, SyncRun) else run
        return self._loop.call(partial(self._session.take_back, run_id))

    def cancel(self, *, queued: bool = False) -> Receipt:
        """Cancel the run in flight (and, with `queued`, those waiting); say what has stopped."""
        return self._loop.call(partial(self._session.cancel, queued=queued))

    def messages(self, limit: int = 100, before: int | None = None) -> HistoryPart:
        """The last `limit` messages of the history, or of what comes before `before`."""
        return self._loop.call(partial(self._session.messages, limit, before))

    def history(self) -> Sequence[Message]:
        """The history as it is stored: whole steps only."""
        return self._loop.call(self._session.history)

    def describe(self) -> SessionView:
        """The session as it stands, with its history and its status."""
        return self._loop.call(self._session.describe)

    def permissions(self) -> Sequence[PermissionRequest]:
        """The requests that wait for an answer, newest first."""
        return self._loop.call(self._session.permissions)

    def permission(self, permission_id: str) -> PermissionRequest:
        """One request, whole. Raises `NotFound`."""
        return self._loop.call(partial(self._session.permission, permission_id))

    def answer(self, permission_id: str, answer: PermissionAnswer | Decision) -> PermissionRequest:
        """Answer a request; the first answer counts. See `wingman.client.Client.answer`."""
        return self._loop.call(partial(self._session.answer, permission_id, answer))

    def follow(self, after: int | None = None) -> SyncFollowing:
        """Its events, from now on or after the event `after`: `with` it, and iterate."""
        return SyncFollowing(self._loop, self._session.follow(after))
