"""The face of a session: what a program does with it, be it embedded or a server's.

`wingman.Session` and `wingman.client.Session` both have this face, with the same values, events,
receipts and errors. A program that is written for `AnySession` moves from the one to the other by
changing how it gets its session. It is written in `async`; the embedded session needs Trio, the
client's runs on asyncio as well.
"""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeAlias

import msgspec

from wingman.api import (
    Decision,
    OnAsk,
    OnBusy,
    PermissionAnswer,
    PermissionForm,
    PermissionRequest,
    Receipt,
    SessionView,
    Status,
)
from wingman.conversation import HistoryPart, ImageBlock, Message
from wingman.errors import InvalidRequest
from wingman.events import Event, Result

__all__ = [
    "AnyFollowing",
    "AnyRun",
    "AnyRunStream",
    "AnyRuns",
    "AnySession",
    "Followed",
    "News",
    "Resynced",
    "answered",
]


class Followed(msgspec.Struct, frozen=True):
    """An event of a session that is followed: its id, and the run that it belongs to."""

    id: int
    run_id: str
    event: Event


class Resynced(msgspec.Struct, frozen=True):
    """Some events are not held any more, and the session was read instead: its `history` has what
    they told, up to `session.last_event_id`. What follows comes after that event."""

    session: SessionView


News: TypeAlias = Followed | Resynced


class AnyRun(Protocol):
    """One run: queued, in flight, or ended. It goes on without its handle."""

    @property
    def id(self) -> str:
        """The run's ULID."""

    @property
    def session_id(self) -> str:
        """The session that it belongs to."""

    @property
    def ended(self) -> bool:
        """Whether it is over, as far as this handle knows."""

    @property
    def status(self) -> Status:
        """Where it stands, as far as this handle knows."""

    async def wait(self) -> None:
        """Wait for the run's end. Cancelling this wait does not touch the run."""

    async def result(self) -> Result:
        """Wait for the run's end and return what it came to; raise what it failed with."""

    def outcome(self) -> Result:
        """What it came to, once it has ended; raise what it failed with."""

    async def steer(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        request_id: str | None = None,
    ) -> "AnyRun":
        """Have this run read a message at its next step, as the user's words."""

    async def cancel(self) -> Receipt:
        """Cancel this run, queued or in flight, and no other; return when it has stopped."""

    async def cancel_tool(self, tool_use_id: str) -> Receipt:
        """Cancel one of its tool calls: the model is told, the siblings and the run go on."""


class AnyRuns(Protocol):
    """The runs of all sessions, as a `Runtime` and a `Client` know them."""

    async def find_run(self, run_id: str) -> AnyRun:
        """The handle on a run whose session is not known. Raises `NotFound`."""


class AnyRunStream(Protocol):
    """One run, as a stream of its events, `Done` the last. Leaving the block cancels the run."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Event: ...

    @property
    def run(self) -> AnyRun:
        """The run itself: its id, its status, its cancel."""

    @property
    def result(self) -> Result:
        """What the run came to. Raises what it failed with, and `RunFailed` before its end."""


class AnyFollowing(Protocol):
    """A session's events, from run to run. They end where the session's channel is closed."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> News: ...


class AnySession(Protocol):
    """A conversation with an agent: it keeps the history and runs the agent loop."""

    @property
    def id(self) -> str:
        """The session's ULID."""

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

        When this call is cancelled, so is its run. `permissions` are rules for this message alone,
        after all others. A call that needs an answer waits `ask_timeout` seconds at most, or is
        rejected with `on_ask="reject"`.
        """

    def run_stream(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        max_steps: int | None = None,
        permissions: PermissionForm | None = None,
        on_ask: OnAsk | None = None,
        ask_timeout: float | None = None,
    ) -> AnyRunStream:
        """Send a message and follow its run: `async with` it, iterate its events."""

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
        expect_run: str | None = None,
    ) -> AnyRun:
        """Send a message and return as soon as it is durable, if the store is."""

    async def compact(self, instructions: str = "") -> Result:
        """Have the history summarised but for its last turn; models are shown that from then on."""

    async def take_back(self, run: str) -> Receipt:
        """Take back a message that nobody has read, by its run's id."""

    async def cancel(self, *, queued: bool = False) -> Receipt:
        """Cancel the run in flight, and with `queued` those waiting; say what has stopped."""

    async def history(self) -> Sequence[Message]:
        """The history as it is stored: whole steps only."""

    async def messages(self, limit: int = 100, before: int | None = None) -> HistoryPart:
        """The last `limit` messages of the history, in order, or of what comes before `before`: the
        `next` of such a part."""

    async def describe(self) -> SessionView:
        """The session as it stands, with its history and its status."""

    async def permissions(self) -> Sequence[PermissionRequest]:
        """The requests that wait for an answer, newest first."""

    async def answer(
        self, permission_id: str, answer: PermissionAnswer | Decision
    ) -> PermissionRequest:
        """Answer a request; recorded when this returns. The first answer counts."""

    def follow(self, after: int | None = None) -> AnyFollowing:
        """The session's events, from now on or after the event `after`: `async with` it."""


def answered(given: PermissionAnswer | Decision) -> PermissionAnswer:
    """A program's answer to a request, in a word or in more. Raises `InvalidRequest` for what is
    none."""
    try:
        value = {"decision": given} if isinstance(given, str) else msgspec.to_builtins(given)
        return msgspec.convert(value, PermissionAnswer)
    except (msgspec.ValidationError, TypeError) as error:
        raise InvalidRequest(
            f'An answer is "once", "always", "reject", or a PermissionAnswer: {error}'
        ) from error
