"""Backlog: the sessions with queued runs of an earlier process, until they are live.

They are made live in the order of their oldest runs, many at a time, each time once those before
have a place in flight: not all of them are in memory then. Whoever asks for one earlier, has it
made live at once, and takes it out of here.
"""

from collections.abc import Mapping, Sequence
from itertools import islice

from wingman.session.services import Room

__all__ = ["Backlog"]


class Backlog:
    """How many queued runs each of these sessions has. They count among those that wait."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._runs: dict[str, int] = {}

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._runs

    def add(self, runs: Mapping[str, int]) -> None:
        """Take these as well, each with its number of queued runs, in this order."""
        for session_id, count in runs.items():
            self.take(session_id)
            self._runs[session_id] = count
            self._room.waiting += count

    def first(self, count: int) -> Sequence[str]:
        """The first so many."""
        return tuple(islice(self._runs, count))

    def take(self, session_id: str) -> None:
        """This one is live, or gone."""
        self._room.waiting -= self._runs.pop(session_id, 0)

    def clear(self) -> Sequence[str]:
        """Leave all that are still here to the next start: these."""
        left = tuple(self._runs)
        for session_id in left:
            self.take(session_id)
        return left
