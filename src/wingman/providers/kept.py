"""What adapters keep of a conversation from one request to the next: nothing is lost with it but
time.

A history grows at its end, and its messages never change. An adapter that has written them as its
API's JSON once need not do it again. `Kept` belongs to one conversation and goes with it; a `Shelf`
belongs to the process, and bounds what all of them keep together.
"""

import weakref
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Any, Final

__all__ = ["Kept", "Shelf"]

_MOST_BYTES: Final = 64 * 1024 * 1024
_MOST_VALUES: Final = 3  # of one conversation: who answers may change to and fro


class Shelf:
    """Bounds the bytes that all conversations keep: the one that was longest not used goes first.

    It holds none of them alive.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._sizes: OrderedDict[weakref.ref[Kept], int] = OrderedDict()
        self._gone: deque[weakref.ref[Kept]] = deque()  # appended to by whichever thread collects
        self.bytes = 0

    def reference(self, kept: "Kept") -> "weakref.ref[Kept]":
        """What `used` takes."""
        reference = weakref.ref(kept, self._gone.append)
        hash(reference)  # a reference remembers its hash, and cannot make it once `kept` is gone
        return reference

    def used(self, reference: "weakref.ref[Kept]", size: int) -> None:
        """A conversation keeps so many bytes now."""
        while self._gone:
            self._note(self._gone.popleft(), 0)
        self._note(reference, size)
        while self.bytes > self._most:
            oldest, _ = next(iter(self._sizes.items()))
            if (kept := oldest()) is not None:
                kept.drop()
            self._note(oldest, 0)

    def _note(self, reference: "weakref.ref[Kept]", size: int) -> None:
        self.bytes += size - self._sizes.pop(reference, 0)
        if size:
            self._sizes[reference] = size


class Kept:
    """What adapters keep of one conversation, by what it depends on."""

    __slots__ = ("__weakref__", "_reference", "_shelf", "_values")

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._reference = shelf.reference(self)
        self._values: dict[Hashable, tuple[Any, int]] = {}

    def take(self, key: Hashable) -> Any:
        """Take out what is kept under a key, so that nobody else changes it; None if nothing is."""
        value, _ = self._values.pop(key, (None, 0))
        return value

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes."""
        self._values.pop(key, None)
        self._values[key] = value, size
        if len(self._values) > _MOST_VALUES:
            del self._values[next(iter(self._values))]
        self._shelf.used(self._reference, sum(size for _, size in self._values.values()))

    def drop(self) -> None:
        """Keep nothing."""
        self._values.clear()
