"""Words: messages that are to steer a run in flight, until it reads them."""

from collections.abc import Sequence
from typing import Protocol

from wingman.store import Commit, RunRecord

__all__ = ["Words"]


class Words(Protocol):
    """The messages that a run is to read at its next step. It is true while there are some."""

    def __bool__(self) -> bool: ...

    def take(self) -> Sequence[RunRecord]:
        """Those that are there, in the order they came: they are read with this step, or never."""

    def taken(self, read: Sequence[RunRecord], commit: Commit) -> None:
        """They are written as read; where that fails, nobody has read them."""
