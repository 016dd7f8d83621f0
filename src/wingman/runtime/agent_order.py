"""AgentOrder: in which order agents are listed, and where a page of the list begins.

Those of code come first, in the order of their names: they are few, they are what the program is
about, and whoever reads the first page alone sees them. They come again at each start, so the time
of their making says nothing. Those of the store follow, newest first.

A page begins after a place, be its agent there or gone, so what is made or deleted between two
pages moves nothing. A place is the same after a restart.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from wingman.api import AgentRecord
from wingman.errors import InvalidRequest

__all__ = ["AgentList", "AgentOrder", "Place", "place_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_CODE: Final = "code"


class AgentList(list[AgentRecord]):
    """Some agents; `next` is the cursor of the next page, None at the end."""

    def __init__(self, agents: Iterable[AgentRecord], next: str | None) -> None:
        super().__init__(agents)
        self.next = next


@attrs.frozen(order=True)
class Place:
    """A place in the list. `youth` is 0 for an agent of code, else minus the microseconds from 1970
    to the making of the agent."""

    stored: bool
    youth: int
    id: str

    def cursor(self) -> str:
        """The place as text."""
        return f"{-self.youth if self.stored else _CODE}.{self.id}"

    @classmethod
    def of_cursor(cls, text: str) -> "Place":
        """The place that a cursor is. Raises `InvalidRequest` for a text that is none."""
        begin, _, id = text.partition(".")
        if begin == _CODE:
            return cls(False, 0, id)
        if not (begin.isascii() and begin.isdigit()):
            raise InvalidRequest(f"A page of agents has no cursor {text[:100]!r} - at `?cursor`")
        return cls(True, -int(begin), id)


def place_of(agent: AgentRecord, *, code: bool = False) -> Place:
    """Where an agent stands."""
    if code:
        return Place(False, 0, agent.id)
    return Place(True, -((agent.created_at - _EPOCH) // _MICROSECOND), agent.id)


class AgentOrder:
    """The places of all agents, in order."""

    def __init__(self) -> None:
        self._places: list[Place] = []

    def add(self, place: Place) -> None:
        """Take a place that is not there yet."""
        insort(self._places, place)

    def add_all(self, places: Iterable[Place]) -> None:
        """Take many places that are not there yet."""
        self._places = sorted([*self._places, *places])

    def remove(self, place: Place) -> None:
        """Give up a place that is there."""
        del self._places[bisect_left(self._places, place)]

    def page(self, limit: int | None, before: str | None) -> tuple[Sequence[Place], str | None]:
        """Up to `limit` places after the place `before`, and the cursor of those behind them."""
        begin = 0
        if before is not None:
            begin = bisect_right(self._places, Place.of_cursor(before))
        end = len(self._places) if limit is None else begin + limit
        places = self._places[begin:end]
        following = places[-1].cursor() if end < len(self._places) else None
        return places, following
