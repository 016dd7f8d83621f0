"""The order in which pages show what hangs on sessions: runs, and permission requests."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from typing import Generic, Protocol, TypeAlias, TypeVar

from wingman.store.memory.kept import Session

__all__ = ["Order", "Placed", "age"]


class Placed(Protocol):
    """What pages show: `seq` is its place in them."""

    @property
    def seq(self) -> int: ...

    @property
    def session(self) -> Session: ...

    @property
    def status(self) -> str: ...


T = TypeVar("T", bound=Placed)

Place: TypeAlias = tuple[str | None, str | None]
"""A session's id and a status, each None for all."""


class Order(Generic[T]):
    """The things that are shown, by session and by status, in the order in which they came.

    A page of them is found without looking at the others, wherever it begins.
    """

    def __init__(self) -> None:
        self._things: dict[Place, list[T]] = {}

    def add(self, thing: T) -> None:
        for place in _places(thing):
            insort(self._things.setdefault(place, []), thing, key=_seq)

    def remove(self, thing: T) -> None:
        for place in _places(thing):
            things = self._things[place]
            del things[bisect_left(things, thing.seq, key=_seq)]
            if not things:
                del self._things[place]

    def newest(
        self,
        session_id: str | None,
        statuses: Iterable[str] = (),
        before: int | None = None,
    ) -> Iterator[T]:
        """The things of one session or of all, newest first, those before a `seq`.

        With `statuses`, only those that have one of them.
        """
        kinds: Iterable[str | None] = dict.fromkeys(statuses) or (None,)
        found = (_backwards(self._things.get((session_id, kind), ()), before) for kind in kinds)
        return merge(*found, key=age)


def _places(thing: Placed) -> Iterable[Place]:
    session_id = thing.session.saved.id
    return (None, None), (session_id, None), (None, thing.status), (session_id, thing.status)


def _backwards(things: Sequence[T], before: int | None) -> Iterator[T]:
    end = len(things) if before is None else bisect_left(things, before, key=_seq)
    return (things[place] for place in range(end - 1, -1, -1))


def _seq(thing: Placed) -> int:
    return thing.seq


def age(thing: Placed) -> int:
    """What sorts things newest first."""
    return -thing.seq
