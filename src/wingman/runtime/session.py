"""Session: the handle that a program holds on a session, and RunStream, on the events of a run."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import trio

from wingman.agent import Agent
from wingman.api import (
    Approver,
    Decision,
    OnAsk,
    OnBusy,
    PermissionAnswer,
    PermissionForm,
    PermissionRequest,
    Receipt,
    SessionView,
)
from wingman.conversation import HistoryPart, ImageBlock, Message
from wingman.events import Done, Error, Event, Result
from wingman.face import AnyRun, AnyRunStream, AnySession, answered
from wingman.given import listed, one
from wingman.run import BATCH, CALLERS, Limits, Published, Reader
from wingman.runtime.following import Following
from wingman.runtime.root import Root
from wingman.session import Run, RunRequest, SessionHost
from wingman.under_trio import require_trio

__all__ = ["RunStream", "Session"]

# How long a caller that was itself cancelled waits for its run to stop: longer than tools need
# to be killed, and not for ever.
_STOP_SECONDS = 10.0


class Session:
    """A conversation with an agent: it keeps the history and runs the agent loop.

    On its own it is an async context manager, lives in memory, and ends with its block:

        async with Session(agent, work_dir=".") as session:
            result = await session.run("What files are in this directory?")

    One of many, which may be durable, comes from a `Runtime` and needs no block.

    Where the agent's `permissions`, or those given here, say that a call needs an answer, `ask` is
    called: an async function that is given the `PermissionRequest`, and returns `"once"`,
    `"always"`, `"reject"` or a `PermissionAnswer`. Without it such calls are rejected at once.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        work_dir: str | Path = ".",
        limits: Limits | None = None,
        permissions: PermissionForm | None = None,
        ask: Approver | None = None,
    ) -> None:
        if not isinstance(agent, Agent):
            raise TypeError(f"a session needs an Agent, not {agent!r}")
        one("work_dir", work_dir, str | Path)
        one("limits", limits, Limits | None)
        self._agent = agent
        self._work_dir = work_dir
        self._limits = limits
        self._permissions = permissions
        self._ask = ask
        self._host: SessionHost | None = None
        self._id = ""
        self._root: Root | None = None

    @classmethod
    def attached(cls, host: SessionHost, session_id: str) -> Self:
        """The handle of a session that a runtime keeps."""
        session = cls.__new__(cls)
        session._host = host
        session._id = session_id
        session._root = None
        return session

    async def __aenter__(self) -> Self:
        require_trio()
        if self._host is None:
            root = Root(
                agents=[self._agent],
                limits=self._limits,
                idle_after=None,
                permissions=self._permissions,
                ask=self._ask,
                on_ask="reject" if self._ask is None else "wait",
            )
            await root.__aenter__()
            try:
                self._id = (await root.host.create(self._work_dir, None, self._agent.name)).id
            except BaseException:
                await root.__aexit__(None, None, None)  # noqa: ASYNC102 the host's affair
                raise
            self._root, self._host = root, root.host
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._root is not None:
            root, self._root, self._host = self._root, None, None
            await root.__aexit__(kind, value, traceback)  # noqa: ASYNC102 the host's affair

    def __repr__(self) -> str:
        return f"<Session {self._id or 'not entered'}>"

    @property
    def id(self) -> str:
        """The session's ULID."""
        if self._host is None:
            raise _not_open()
        return self._id

    async def run(
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

        Messages of several callers are taken one at a time, in order. When this call is cancelled,
        so is its run, tools and processes and all; the history stays valid. Raises `ProviderError`
        where the model's API failed, `MailboxFull` where too many messages wait, `WaitsForItself`
        in a tool of this very session. `permissions`, `on_ask` and `ask_timeout` as in `submit`.
        """
        run = await self._admit(
            message,
            images,
            max_steps,
            waits=True,
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
        )
        try:
            return await run.result()  # a message that is not taken has no other result
        finally:
            if not run.ended:
                await _stop(run)  # noqa: ASYNC102 it shields itself

    def run_stream(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        max_steps: int | None = None,
        permissions: PermissionForm | None = None,
        on_ask: OnAsk | None = None,
        ask_timeout: float | None = None,
    ) -> "RunStream":
        """Send a message and follow its run: `async with` it, iterate its events, see its result.

        Leaving the block early cancels the run.
        """
        admit = partial(
            self._admit,
            message,
            images,
            max_steps,
            waits=True,
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
        )
        return RunStream(admit)

    async def submit(
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
    ) -> Run:
        """Send a message and return at once: as soon as it is durable, if the store is.

        The run goes on without its caller. The same `request_id` gives the same run again.
        `permissions` are rules for this message alone, after all others. A call that needs an
        answer waits `ask_timeout` seconds at most, or is rejected with `on_ask="reject"`.
        """
        run = await self._admit(
            message,
            images,
            max_steps,
            request_id,
            on_busy,
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
        )
        await run.admitted()
        return run

    async def cancel(self, *, queued: bool = False, run: Run | str | None = None) -> Receipt:
        """Cancel the run in flight (and, with `queued`, those waiting); say what has stopped.

        Returns when everything has, or after 5 s with what has not. `run`, a handle or an id, names
        the run that is meant: where another one is in flight by now, nothing is cancelled, and
        `NotInFlight` says where it stands. `run.cancel()` cancels it also where it waits.
        """
        run_id = run.id if isinstance(run, Run) else run
        return await self._opened().runs.cancel(self._id, queued=queued, run_id=run_id)

    async def history(self) -> Sequence[Message]:
        """The history as it is stored: whole steps only."""
        return await self._opened().reader.history(self._id)

    async def messages(self, limit: int = 100, before: int | None = None) -> HistoryPart:
        """The last `limit` messages of the history, in order, or of what comes before `before`: the
        `next` of such a part. There are fewer where they have more than about a megabyte."""
        return await self._opened().reader.messages(self._id, limit, before)

    async def describe(self) -> SessionView:
        """The session as it stands, with its history and its status."""
        return await self._opened().reader.session(self._id)

    async def permissions(self) -> Sequence[PermissionRequest]:
        """The requests that wait for an answer, newest first."""
        page = await self._opened().permissions.list(self._id, ("pending",), 1000, None)
        return page.requests

    async def answer(
        self, permission_id: str, answer: PermissionAnswer | Decision
    ) -> PermissionRequest:
        """Answer a request, as `Runtime.answer` does."""
        host = self._opened()
        return await host.permissions.answer(self._id, permission_id, answered(answer))

    def follow(self, after: int | None = None) -> Following:
        """Its events, from now on or after the event `after`: `async with` it, and iterate."""
        host = self._opened()
        return Following(
            self._id,
            partial(host.follow, self._id, after),
            partial(host.reader.session, self._id),
        )

    async def _admit(
        self,
        message: str,
        images: Iterable[ImageBlock] = (),
        max_steps: int | None = None,
        request_id: str | None = None,
        on_busy: OnBusy = "queue",
        *,
        waits: bool = False,
        permissions: PermissionForm | None = None,
        on_ask: OnAsk | None = None,
        ask_timeout: float | None = None,
    ) -> Run:
        """Send a message. Cancelled before it returns, it has sent none."""
        host = self._opened()
        request = RunRequest(
            message=message,
            images=listed("images", images, ImageBlock),
            max_steps=max_steps,
            request_id=request_id,
            on_busy=on_busy,
            callers=CALLERS.get() if waits else frozenset(),
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
        )
        return await host.admit(self._id, request)

    def _opened(self) -> SessionHost:
        require_trio()
        if self._host is None:
            raise _not_open()
        return self._host


class RunStream:
    """One run, as a stream of its events, `Done` the last. `result` is there when it is over.

    A consumer so slow that the session's channel no longer holds what comes next gets
    `StreamLagged`; a run that fails raises its error from the iteration.
    """

    def __init__(self, admit: Callable[[], Awaitable[Run]]) -> None:
        self._admit = admit
        self._run: Run | None = None
        self._reader: Reader | None = None
        self._batch: Iterator[Published] = iter(())

    async def __aenter__(self) -> Self:
        require_trio()
        run = self._run = await self._admit()
        self._reader = await run.reader().__aenter__()
        try:
            await run.admitted()
        except BaseException:
            await self.__aexit__(None, None, None)  # noqa: ASYNC102 as below
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run, reader = self._entered()
        await reader.__aexit__(kind, value, traceback)  # noqa: ASYNC102 never waits
        if not run.ended:
            await _stop(run)  # noqa: ASYNC102 it shields itself

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        require_trio()
        published = next(self._batch, None)
        if published is None:
            _, reader = self._entered()
            self._batch = iter(await reader.receive(BATCH))
            published = next(self._batch, None)
            if published is None:
                raise StopAsyncIteration
        if isinstance(published.event, Error):
            self.run.outcome()
        if isinstance(published.event, Done):
            return Done(self.run.outcome())
        return published.event

    @property
    def run(self) -> Run:
        """The run itself: its id, its status, its cancel."""
        return self._entered()[0]

    @property
    def result(self) -> Result:
        """What the run came to. Raises what it failed with, and `RunFailed` before its end."""
        return self.run.outcome()

    def _entered(self) -> tuple[Run, Reader]:
        if self._run is None or self._reader is None:
            raise RuntimeError("the stream is not open: use it with `async with`")
        return self._run, self._reader


def _not_open() -> RuntimeError:
    return RuntimeError("the session is not open: use it with `async with`")


async def _stop(run: Run) -> None:
    """Cancel a run whose caller goes away, and wait, within bounds, until it has stopped."""
    with trio.move_on_after(_STOP_SECONDS, shield=True):
        run.request_cancel()
        await run.wait()


if TYPE_CHECKING:  # the types prove that the SDK has the face
    _FACES: tuple[type[AnySession], type[AnyRun], type[AnyRunStream]] = (Session, Run, RunStream)
