"""A model of a connection to PostgreSQL, as the client has it; and of all that befalls one."""

from collections.abc import Callable
from typing import Any, Final

import attrs

from cluster.model_server import Backend, Gone, Request, Server, Statement
from cluster.virtual_time import Promise, Time

__all__ = ["Wire"]

_LATENCY: Final = 0.002


@attrs.define(eq=False)
class Wire:
    """Sends statements together, and waits for their one answer."""

    server: Server
    backend: Backend
    time: Time
    is_lost: bool = False
    _held_until: float = 0
    _cut_at: float | None = None
    _late_requests_arrive: bool = False
    _last_there: float = 0
    _last_back: float = 0
    _answer: Promise[Any] | None = None

    def __attrs_post_init__(self) -> None:
        self.backend.hangs_up = self._hung_up

    async def ask(self, *statements: Statement) -> list[Any]:
        """What these statements give, in one go.

        Raises `Refused`, as the server says; or `Gone`: they may have been executed all the same.
        """
        if self.is_lost:
            raise Gone
        self._answer = answer = self.time.promise()
        request = Request(statements, lambda *what: self._answered(answer, *what))
        sent = self.time.now
        self._deliver(lambda: self._arrived(request, sent))
        return await answer.wait()  # type: ignore[no-any-return]

    def close(self) -> None:
        """The client's end: it comes after all that had been sent."""
        sent = self.time.now
        self._deliver(lambda: self._arrived(None, sent))
        self.lose()

    def lose(self) -> None:
        """The client learns that the connection is lost."""
        self.is_lost = True
        if self._answer is not None:
            self._answer.fail(Gone())

    def cut(self, client_after: float, server_after: float, *, arrives: bool) -> None:
        """Nothing goes over it any more; each side learns it when it does.

        `arrives`: what had been sent to the server arrives yet. No answer does.
        """
        if self._cut_at is None:
            self._cut_at, self._late_requests_arrive = self.time.now, arrives
            self.time.call_at(self.time.now + client_after, self.lose)
            self.time.call_at(self.time.now + server_after, lambda: self.backend.take(None))

    def hold(self, seconds: float) -> None:
        """Nothing goes over it for so long; then all of it does."""
        self._held_until = max(self._held_until, self.time.now + seconds)

    def _arrived(self, request: Request | None, sent: float) -> None:
        late = self._cut_at is not None and self._cut_at < self.time.now
        if not late or (self._late_requests_arrive and sent <= (self._cut_at or 0)):
            self.backend.take(request)

    def _answered(self, answer: Promise[Any], value: Any, error: Exception | None) -> None:
        def arrive() -> None:
            if self._cut_at is None:
                if error is None:
                    answer.keep(value)
                else:
                    answer.fail(error)

        self._return(arrive)

    def _hung_up(self) -> None:
        def arrive() -> None:
            if self._cut_at is None:
                self.lose()

        self._return(arrive)

    def _deliver(self, arrive: Callable[[], None]) -> None:
        self._last_there = max(self._last_there, self._moment())
        self._at(self._last_there, arrive)

    def _return(self, arrive: Callable[[], None]) -> None:
        self._last_back = max(self._last_back, self._moment())
        self._at(self._last_back, arrive)

    def _at(self, moment: float, arrive: Callable[[], None]) -> None:
        def unless_held() -> None:
            if self._held_until > self.time.now:
                self._at(self._held_until, arrive)
            else:
                arrive()

        self.time.call_at(moment, unless_held)

    def _moment(self) -> float:
        return max(self.time.now, self._held_until) + self.server.pause(_LATENCY)
