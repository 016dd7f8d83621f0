"""Session: the handle on one session of a server, with the face of the SDK's own."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import anyio

from wingman.api import (
    Accepted,
    CancelBody,
    CompactBody,
    Decision,
    MessageBody,
    OnAsk,
    OnBusy,
    PermissionAnswer,
    PermissionForm,
    PermissionRequest,
    Receipt,
    SessionView,
)
from wingman.client.answers import decode
from wingman.client.exchange import Exchange, Request
from wingman.client.following import Following
from wingman.client.pages import next_cursor
from wingman.client.permissions import answer_permission, read_permission, some_permissions
from wingman.client.run import Run
from wingman.client.stream import RunStream
from wingman.conversation import HistoryPart, ImageBlock, Message
from wingman.events import Result

if TYPE_CHECKING:
    from wingman.face import AnySession

__all__ = ["Session"]

# How long a caller that was itself cancelled waits until its run has stopped.
_STOP_SECONDS: Final = 10.0


class Session:
    """A conversation with an agent, on a server. It comes from a `Client`, and goes on without its
    handle."""

    def __init__(self, exchange: Exchange, session_id: str) -> None:
        self._exchange = exchange
        self._id = session_id

    def __repr__(self) -> str:
        return f"<Session {self._id}>"

    @property
    def id(self) -> str:
        """The session's ULID."""
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

        When this call is cancelled, so is its run. Connections that break are made again, and the
        message is run once. Raises what the run failed with, or `Unreachable`. `permissions`,
        `on_ask` and `ask_timeout` as in `submit`.
        """
        stream = self.run_stream(
            message,
            images=images,
            max_steps=max_steps,
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
        )
        async with stream:
            async for _ in stream:
                pass
        return stream.result

    def run_stream(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        max_steps: int | None = None,
        permissions: PermissionForm | None = None,
        on_ask: OnAsk | None = None,
        ask_timeout: float | None = None,
    ) -> RunStream:
        """Send a message and follow its run: `async with` it, iterate its events, see its result.

        Leaving the block early cancels the run.
        """
        body = MessageBody(
            message,
            None,
            tuple(images),
            uuid4().hex,
            max_steps,
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
        )
        return RunStream(self._exchange, self._id, body)

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
    ) -> Run:
        """Send a message and return at once: as soon as it is durable, if the store is.

        The run goes on without its caller. The same `request_id` gives the same run again; without
        one the message has one of its own, so that it may be sent again and is run once.
        `permissions` are rules for this message alone, after all others. A call that needs an
        answer waits `ask_timeout` seconds at most, or is rejected with `on_ask="reject"`.

        With `on_busy="steer"` the run in flight reads the message at its next step, and the result
        is that run's; where it ends before, the message is a run of its own. With `expect_run`
        nothing is sent unless that run is in flight: `NotInFlight`.
        """
        body = MessageBody(
            message,
            None,
            tuple(images),
            request_id or uuid4().hex,
            max_steps,
            on_busy,
            permissions=permissions,
            on_ask=on_ask,
            ask_timeout=ask_timeout,
            expect_run=expect_run,
        )
        request = self._request("POST", "/message", body, {"prefer": "respond-async"})
        accepted = await self._exchange.ask(request, Accepted)
        run = Run(self._exchange, self._id, accepted.run_id, accepted.status)
        if run.ended:
            await run.describe()
        return run

    async def compact(self, instructions: str = "") -> Result:
        """Have the history summarised but for its last turn, when its turn has come; what models
        are shown is then the summary and what comes after it. The history itself stays as it is.

        `instructions` say what the summary should have in it. The result's `detail` says what was
        done. When this call is cancelled, so is its run.
        """
        body = CompactBody(instructions, request_id=uuid4().hex)
        request = self._request("POST", "/compact", body, {"prefer": "respond-async"})
        accepted = await self._exchange.ask(request, Accepted)
        run = Run(self._exchange, self._id, accepted.run_id, accepted.status)
        try:
            return await run.result()
        finally:
            if not run.ended:
                with anyio.move_on_after(_STOP_SECONDS, shield=True):
                    await run.cancel()  # noqa: ASYNC102 shielded, and bounded

    async def take_back(self, run: Run | str) -> Receipt:
        """Take back a message that nobody has read, by its run. Raises `MessageRead`."""
        run_id = run.id if isinstance(run, Run) else run
        path = "/sessions/{session_id}/messages/{run_id}"
        request = Request.to("DELETE", path, session_id=self._id, run_id=run_id)
        return await self._exchange.ask(request, Receipt)

    async def cancel(self, *, queued: bool = False) -> Receipt:
        """Cancel the run in flight (and, with `queued`, those waiting); say what has stopped.

        Returns when everything has, or after 5 s with what has not. It is not sent again after a
        broken connection: by then another run may be in flight.
        """
        request = self._request("POST", "/cancel", CancelBody(queued))
        return await self._exchange.ask(request, Receipt, "if unseen")

    async def history(self) -> Sequence[Message]:
        """The history as it is stored: whole steps only."""
        return (await self.describe()).history or ()

    async def messages(self, limit: int = 100, before: int | None = None) -> HistoryPart:
        """The last `limit` messages of the history, in order, or of what comes before `before`: the
        `next` of such a part. There are fewer where they have more than about a megabyte."""
        path, query = "/sessions/{session_id}/messages", {"limit": limit, "cursor": before}
        request = Request.to("GET", path, query=query, session_id=self._id)
        reply = await self._exchange.reply(request)
        messages = decode(reply.body, tuple[Message, ...], str(request))
        return HistoryPart.of(messages, next_cursor(reply, request))

    async def describe(self) -> SessionView:
        """The session as it stands, with its history and its status."""
        return await self._exchange.ask(self._request("GET"), SessionView)

    async def permissions(self) -> Sequence[PermissionRequest]:
        """The requests that wait for an answer, newest first. A long `input` is left out, and the
        request then says `cut`: `permission` has it whole."""
        pages = some_permissions(self._exchange, self._id, ("pending",))
        return [request async for request in pages]

    async def permission(self, permission_id: str) -> PermissionRequest:
        """One request, whole. Raises `NotFound`."""
        return await read_permission(self._exchange, self._id, permission_id)

    async def answer(
        self, permission_id: str, answer: PermissionAnswer | Decision
    ) -> PermissionRequest:
        """Answer a request, as `Client.answer` does."""
        return await answer_permission(self._exchange, self._id, permission_id, answer)

    def follow(self, after: int | None = None) -> Following:
        """Its events, from now on or after the event `after`: `async with` it, and iterate."""
        return Following(self._exchange, self._id, after)

    def _request(
        self,
        method: str,
        rest: str = "",
        body: MessageBody | CancelBody | CompactBody | None = None,
        headers: dict[str, str] | None = None,
    ) -> Request:
        path = "/sessions/{session_id}" + rest
        return Request.to(method, path, body=body, headers=headers, session_id=self._id)


if TYPE_CHECKING:  # the types prove that it has the face
    _FACE: type[AnySession] = Session
