"""Crowd: which connections are open, and which of them gives way where there are too many.

A connection that has no work in hand gives way to a newcomer: first one that has never sent a
request, then one that is kept alive, then one whose request has been coming for some seconds and is
not complete; of each kind the one that has been so for longest. The log has a line when it begins
to be crowded and one when that is over, however many connections come.
"""

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Final, Protocol

import attrs
import trio

__all__ = ["Crowd"]

logger = logging.getLogger("wingman.server")

# It is over when a connection comes or goes after so many seconds without trouble: the log would
# have a line for each connection else.
_CALM_SECONDS: Final = 10.0

# So many idle connections are looked at: one that has just sent a request does not give way.
_LOOKS: Final = 8

# So long a request may be on its way before its connection may have to give way.
_SENDING_SECONDS: Final = 5.0


class Member(Protocol):
    """What a crowd needs to know of a connection."""

    @property
    def client_sends(self) -> bool:
        """Whether its client is in the middle of a request."""

    def has_unread(self) -> bool:
        """Whether its client has sent what was not read yet."""

    def abort(self) -> None:
        """Close it, at once."""

    def close_if_idle(self) -> None:
        """Close it, unless an answer is under way; then as soon as that is complete."""


@attrs.define(eq=False)
class Crowd:
    """The open connections, `room` at most. What it is told of one that has left does nothing."""

    room: int
    _open: dict[Member, None] = attrs.field(factory=dict, init=False)
    _silent: dict[Member, None] = attrs.field(factory=dict, init=False)
    _kept: dict[Member, None] = attrs.field(factory=dict, init=False)
    _sending: dict[Member, float] = attrs.field(factory=dict, init=False)  # since when
    _crowded: bool = attrs.field(default=False, init=False)
    _trouble: float = attrs.field(default=0.0, init=False)  # when the last one was
    _gave_way: int = attrs.field(default=0, init=False)
    _refused: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def members(self) -> Iterable[Member]:
        """Those that are open now."""
        return list(self._open)

    def takes_one(self) -> bool:
        """Whether there is room for a newcomer, or somebody gives way to it."""
        if len(self._open) < self.room:
            return True
        self._say(f"{self.room} connections are open, which is the limit")
        if self.gives_way():
            return True
        self._refused += 1
        return False

    def lacks_descriptors(self, reason: str) -> bool:
        """No connection could be accepted. Whether somebody gave way, so that the next one may."""
        self._say(f"no connection can be accepted ({reason})")
        return self.gives_way()

    def gives_way(self) -> bool:
        """Close one connection that has no work in hand, if there is one."""
        member = self._idle_one() or self._slow_one()
        if member is None:
            return False
        self.leave(member)
        member.abort()
        self._gave_way += 1
        return True

    def _idle_one(self) -> Member | None:
        for idle in (self._silent, self._kept):
            for member in islice(idle, _LOOKS):
                if not member.has_unread():
                    return member
        return None

    def _slow_one(self) -> Member | None:
        while self._sending:
            member, since = next(iter(self._sending.items()))
            if member.client_sends:
                late = trio.current_time() - since >= _SENDING_SECONDS
                return member if late else None
            del self._sending[member]  # its request is complete: it is being worked on
        return None

    def enter(self, member: Member) -> None:
        """A connection is accepted; it has sent nothing yet."""
        self._open[member] = self._silent[member] = None
        self._look_whether_over()

    def busy(self, member: Member) -> None:
        """A request of it is under way."""
        self._forget(member)
        if member in self._open:
            self._sending[member] = trio.current_time()

    def idle(self, member: Member) -> None:
        """Its request has been answered, and it is kept alive."""
        self._forget(member)
        if member in self._open:
            self._kept[member] = None

    def leave(self, member: Member) -> None:
        """It is closed."""
        self._forget(member)
        self._open.pop(member, None)
        self._look_whether_over()

    def _look_whether_over(self) -> None:
        if self._crowded and trio.current_time() - self._trouble >= _CALM_SECONDS:
            logger.info(
                "connections are accepted as usual again: %d were closed for others, %d refused",
                self._gave_way,
                self._refused,
            )
            self._crowded, self._gave_way, self._refused = False, 0, 0

    def _forget(self, member: Member) -> None:
        for kind in (self._silent, self._kept, self._sending):
            kind.pop(member, None)

    def _say(self, what: str) -> None:
        self._trouble = trio.current_time()
        if not self._crowded:
            self._crowded = True
            logger.warning(
                "%s: idle connections are closed for new ones, and where there is none, new ones "
                "are refused; raise --max-connections or the limit of descriptors (ulimit -n)",
                what,
            )
