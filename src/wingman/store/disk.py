"""Disk: where the writer commits, and what it is told of a commit."""

from collections.abc import Callable, Sequence
from typing import Protocol

from wingman.store.changes import Change

__all__ = ["Disk", "InDoubt"]


class InDoubt(Exception):
    """Whether a commit was made is not known: the connection was lost before the answer came.

    `outcome` finds it out; it raises `StoreUnavailable` as long as it cannot.
    """

    def __init__(self, outcome: Callable[[], bool]) -> None:
        super().__init__("Whether the commit was made is not known yet.")
        self.outcome = outcome


class Disk(Protocol):
    """Where changes are committed. All of it is called on the writer's thread."""

    def open(self) -> None:
        """Make it ready. What it raises is raised by `Writer.open`; then it needs no `close`."""

    def commit(self, calls: Sequence[tuple[Change, ...]]) -> None:
        """Commit the changes of all these calls, in order, or of none.

        Raises `StoreUnavailable` where the storage is at fault, `InDoubt` where it may have been
        made all the same, and anything else where one of the calls is at fault.
        """

    def probe(self) -> None:
        """Write as little as one can; raise `StoreUnavailable` if the storage cannot."""

    def close(self) -> None:
        """Let it go. What it raises is raised by `Writer.close`."""
