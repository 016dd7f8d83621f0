"""Run: the handle on one run of a server."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import anyio

from wingman.api import Accepted, Receipt, RunView, Status, WordsBody
from wingman.client.answers import failure_of
from wingman.client.exchange import Exchange, Request
from wingman.conversation import ImageBlock
from wingman.errors import RunFailed
from wingman.events import Done, Error, Result

if TYPE_CHECKING:
    from wingman.face import AnyRun

__all__ = ["Run"]

_PATH: Final = "/sessions/{session_id}/runs/{run_id}"
_WAIT_SECONDS: Final = 30
_MOST_SECONDS: Final = 300
_PAUSE_SECONDS: Final = 0.5
_UNENDED: Final = ("queued", "running", "waiting", "cancelling")


class Run:
    """A run: queued, in flight, or ended. It goes on without its handle.

    `status` and `ended` are what the server last said: `describe` and `wait` ask it.
    """

    def __init__(
        self, exchange: Exchange, session_id: str, run_id: str, status: Status = "queued"
    ) -> None:
        self._exchange = exchange
        self._session_id = session_id
        self._id = run_id
        self._status: Status = status
        self._result: Result | None = None
        self._error: tuple[str, str] | None = None
        self._reader: str | None = None  # the run that has read its message

    def __eq__(self, other: object) -> bool:
        """Two handles are equal if they are on the same run."""
        return self.id == other.id if isinstance(other, Run) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.status}>"

    @property
    def id(self) -> str:
        """The run's ULID."""
        return self._id

    @property
    def session_id(self) -> str:
        """The session that it belongs to."""
        return self._session_id

    @property
    def ended(self) -> bool:
        """Whether it is over; of one whose message another run has read, whether that is."""
        if self._status == "steered":
            return self._result is not None or self._error is not None
        return self._status not in _UNENDED

    @property
    def status(self) -> Status:
        """Where it stands."""
        return self._status

    async def describe(self, wait: int = 0) -> RunView:
        """The run as it stands, after its end or after `wait` seconds (300 at most)."""
        if not 0 < wait <= _MOST_SECONDS:
            return await self._view(wait)
        # While it waits, the server says nothing: it is asked again before that is silence.
        end = anyio.current_time() + wait
        while True:
            begun = anyio.current_time()
            view = await self._view(min(math.ceil(end - begun), self._exchange.longest_wait))
            now = anyio.current_time()
            if self.ended or now >= end:
                return view
            if now - begun < _PAUSE_SECONDS:  # one that is not live is not waited for
                await anyio.sleep(min(_PAUSE_SECONDS, end - now))

    async def _view(self, wait: int) -> RunView:
        request = self._request("GET", query={"wait": wait or None}, run_id=self._reader)
        view = await self._exchange.ask(request, RunView)
        self.settle(view)
        return view

    async def wait(self) -> None:
        """Wait for the run's end. Cancelling this wait does not touch the run."""
        while not self.ended:
            await self.describe(_WAIT_SECONDS)

    async def result(self) -> Result:
        """Wait for the run's end and return what it came to; raise what it failed with."""
        await self.wait()
        if self._result is None and self._error is None:
            await self.describe()
        return self.outcome()

    def outcome(self) -> Result:
        """What it came to, once it has ended; raise what it failed with."""
        if self._result is not None:
            return self._result
        if self._error is not None:
            raise failure_of(*self._error, self.id)
        raise RunFailed("the run has not ended", "run_pending", self.id)

    async def steer(
        self,
        message: str,
        *,
        images: Iterable[ImageBlock] = (),
        request_id: str | None = None,
    ) -> "Run":
        """Have this run read a message at its next step, as the user's words; durable when this
        returns. The result of the message is the run's.

        Where the run ends before it has read it, the message is a run of its own. Raises
        `NotInFlight` where this run is not in flight any more: then nothing is kept.
        """
        words = WordsBody(message, tuple(images), request_id or uuid4().hex)
        request = self._request("POST", "/steer", body=words)
        accepted = await self._exchange.ask(request, Accepted)
        return Run(self._exchange, self._session_id, accepted.run_id, accepted.status)

    async def cancel(self) -> Receipt:
        """Cancel this run, queued or in flight, and no other; return when it has stopped."""
        receipt = await self._exchange.ask(self._request("POST", "/cancel"), Receipt)
        await self.describe()
        return receipt

    async def cancel_tool(self, tool_use_id: str) -> Receipt:
        """Cancel one of its tool calls: the model is told, the siblings and the run go on."""
        request = Request.to(
            "POST",
            f"{_PATH}/tools/{{tool_use_id}}/cancel",
            session_id=self.session_id,
            run_id=self.id,
            tool_use_id=tool_use_id,
        )
        return await self._exchange.ask(request, Receipt)

    def begun(self) -> None:
        """It has an event: it is queued no more."""
        if self._status == "queued":
            self._status = "running"

    def settle(self, end: RunView | Done | Error) -> None:
        """Take what is known of it from a view, or from its last event."""
        match end:
            case RunView(status="steered"):
                self._status, self._reader = "steered", end.steers
            case RunView():
                if self._reader is None:
                    self._status = end.status
                if end.status not in _UNENDED:
                    self._result = end.result
                    failure = end.error
                    self._error = None if failure is None else (failure.code, failure.message)
            case Done(result=result):
                self._result = result
                reason = result.stop_reason
                self._status = reason if reason in ("cancelled", "interrupted") else "completed"
            case Error(code=code, message=message):
                self._error, self._status = (code, message), "failed"

    def _request(
        self,
        method: str,
        rest: str = "",
        query: dict[str, int | None] | None = None,
        body: WordsBody | None = None,
        run_id: str | None = None,
    ) -> Request:
        return Request.to(
            method,
            _PATH + rest,
            query=query,
            body=body,
            session_id=self.session_id,
            run_id=run_id or self.id,
        )


if TYPE_CHECKING:  # the types prove that it has the face
    _FACE: type[AnyRun] = Run
