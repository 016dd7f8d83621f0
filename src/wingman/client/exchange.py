"""Exchange: requests to one server, tried again where that is safe; answers as values or errors.

A request is sent again after a broken connection only if it may be obeyed twice without harm, or if
the server cannot have seen it. Where the server itself says 429 or 503, and when to come back,
nothing was kept of the request, and any is sent again.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import attrs
import msgspec

from wingman.api import Deleted
from wingman.client.answers import compressed, decode, error_of, not_wingman
from wingman.client.patience import OnRetry, Patience, Waiting
from wingman.errors import BadAnswer, NotFound, Unavailable, Unreachable, WingmanError

if TYPE_CHECKING:
    from wingman.client.connection import Connection, Stream

__all__ = ["Again", "Broken", "Done", "Exchange", "NotOpen", "Reply", "Request"]

T = TypeVar("T")

Again: TypeAlias = Literal["always", "if unseen"]
"""When a request whose connection broke is sent again: `if unseen` by the server, or `always`."""

_PROXYS: Final = (502, 503, 504)
"""What a proxy answers where it does not reach the server, or where the server does not answer."""

_SILENT_SECONDS: Final = 45.0

_TOO_MANY: Final = 429
"""What a proxy answers that has not passed the request on."""

_DELETED: Final = msgspec.json.encode(Deleted())


class Broken(Exception):
    """A connection broke, or was not made. `sent`: the server may have seen the request. `final`:
    another try would end no other way."""

    def __init__(self, reason: str, *, sent: bool, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.final = final


class NotOpen(RuntimeError):
    """A client is asked for something before it is opened, or after it was closed."""


@attrs.frozen
class Request:
    """One request: `target` is its path with its query, `body` is JSON. `about` are the ids in its
    path, by their names."""

    method: str
    target: str
    body: bytes | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict)
    about: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def to(
        cls,
        method: str,
        template: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **ids: str,
    ) -> "Request":
        """A request to a path with these ids in its braces. What is None in the query is left out.

        Raises `NotFound` for an id that no path can have.
        """
        about = {name.removesuffix("_id"): id for name, id in ids.items()}
        for kind, id in about.items():
            if id.strip(".") == "":
                raise NotFound(kind, id)
        safe = {name: quote(id, safe="/" if name == "model" else "") for name, id in ids.items()}
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = template.format(**safe) + (f"?{urlencode(given, safe=',')}" if given else "")
        data = None if body is None else msgspec.json.encode(body)
        return cls(method, target, data, headers or {}, about)

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@attrs.frozen
class Reply:
    """One whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)


Done: TypeAlias = Callable[[WingmanError], Awaitable[Reply | None]]
"""What stands for a lost answer, where this error says that the request had been obeyed before."""


class Exchange:
    """All requests of one client."""

    def __init__(
        self,
        url: str,
        patience: Patience,
        on_retry: OnRetry | None,
        silent_seconds: float = _SILENT_SECONDS,
    ) -> None:
        self.url = url
        self.patience = patience
        self.longest_wait = int(min(silent_seconds, _SILENT_SECONDS) * 2 / 3)
        """For how many seconds the server may be asked to wait with an answer."""
        self._on_retry = on_retry
        self._connection: Connection | None = None
        self._met = False
        self._closed = False

    def connect(self, connection: "Connection") -> None:
        """Take what the requests go over."""
        self._connection, self._closed = connection, False

    async def aclose(self) -> None:
        """Close all connections; what is asked for from now on is refused."""
        connection, self._connection = self._connection, None
        self._closed = True
        if connection is not None:
            await connection.aclose()

    def waiting(self, request: Request) -> Waiting:
        """The patience for one thing that is tried again."""
        return Waiting(self.patience, str(request), self._on_retry, lambda: self._met)

    async def ask(
        self, request: Request, type: type[T], again: Again = "always", done: Done | None = None
    ) -> T:
        """Send a request until it is answered, and return the answer's value.

        Raises the error that the server answers, `Unreachable`, or `BadAnswer`.
        """
        return decode((await self.reply(request, again, done)).body, type, str(request))

    async def reply(
        self, request: Request, again: Again = "always", done: Done | None = None
    ) -> Reply:
        """Send a request until it is answered well, and return the whole answer.

        `done` is asked about an error that is answered where an answer had been lost before.
        """
        waiting = self.waiting(request)
        lost = False  # an answer may have been lost
        while True:
            try:
                reply = await self._opened().send(request)
            except Broken as broken:
                error: WingmanError = self.unreachable(request, broken)
                if broken.final or (broken.sent and again == "if unseen"):
                    raise error from broken
                lost = lost or broken.sent
                await waiting.again(error)
                continue
            failure = self._failure(request, reply)
            if failure is None:
                return reply
            if lost and request.method == "DELETE" and isinstance(failure, NotFound):
                return Reply(200, {}, _DELETED)  # by the request whose answer was lost
            if lost and done is not None and (earlier := await done(failure)) is not None:
                return earlier
            # A proxy does not know whether the server has seen the request.
            lost = lost or (isinstance(failure, BadAnswer) and failure.status != _TOO_MANY)
            if not self.may_pass(failure) or (
                again == "if unseen"
                and isinstance(failure, BadAnswer)
                and failure.status != _TOO_MANY
            ):
                raise failure
            await waiting.again(failure)

    async def open(self, request: Request) -> "Stream":
        """Send a request whose answer is a stream of events, once; hand it back when it begins.

        Raises `Broken`, the error that the server answers, or `BadAnswer`.
        """
        stream = await self._opened().open(request)
        content_type = stream.headers.get("content-type", "").lower()
        events = content_type.startswith("text/event-stream") and not compressed(stream.headers)
        if stream.status == 200 and events:
            self._met = True
            return stream
        try:
            reply = Reply(stream.status, stream.headers, await stream.read())
        finally:
            await stream.aclose()  # noqa: ASYNC102 it shields itself
        raise self._failure(request, reply) or not_wingman(
            str(request), reply.status, reply.headers
        )

    def unreachable(self, request: Request, broken: Broken) -> WingmanError:
        """What a broken connection is to the caller."""
        if broken.final:
            return BadAnswer(f"{self.url}: {broken.reason} - at {request}")
        why = "The connection broke" if self._met else "There is no Wingman server to be reached"
        hint = "" if self._met else "; is it started (`wingman serve`), and is that its address?"
        return Unreachable(f"{why} at {self.url}: {broken.reason}{hint}", 0)

    def passing(self, request: Request, error: Broken | WingmanError) -> WingmanError:
        """What is in the way for now; raises an error that asking again does not change."""
        if isinstance(error, Broken):
            return self.unreachable(request, error)
        if not self.may_pass(error):
            raise error
        return error

    @staticmethod
    def may_pass(error: WingmanError) -> bool:
        """Whether an error that was answered may be another one soon."""
        if isinstance(error, BadAnswer):
            return error.status in _PROXYS or error.status == _TOO_MANY
        return isinstance(error, Unavailable) and error.retry_after > 0

    def _failure(self, request: Request, reply: Reply) -> WingmanError | None:
        """The error in an answer, if it is one."""
        if 200 <= reply.status < 300:
            if compressed(reply.headers):
                return not_wingman(str(request), reply.status, reply.headers)
            self._met = True
            return None
        error = error_of(reply.status, reply.headers, reply.body, str(request), request.about)
        self._met = self._met or not isinstance(error, BadAnswer)
        return error

    def _opened(self) -> "Connection":
        if self._connection is None:
            raise NotOpen(
                "the client is closed: what it is asked for belongs inside its `async with`"
                if self._closed
                else "the client is not open: use it with `async with`"
            )
        return self._connection
