"""Lives: which processes are still there to answer what was sent to them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import attrs
import trio

from wingman.store import Node

__all__ = ["Lives"]

_BACK_WITHIN: Final = 2
"""Looks for which a process is waited for that is no node: where it only has lost its connection to
the database, it is there again by then, and answers what it was sent."""


@attrs.define(eq=False)
class Lives:
    """The processes that this one waits for. A process is known by its node's secret, which stays
    when its number changes."""

    _seen: dict[int, Node] = attrs.field(factory=dict, init=False)
    _waits: dict[str, set[trio.CancelScope]] = attrs.field(factory=dict, init=False)
    _missed: dict[str, int] = attrs.field(factory=dict, init=False)

    def seen(self, number: int | None) -> Node | None:
        """The node of this number, if it lived at the last look."""
        return None if number is None else self._seen.get(number)

    @contextmanager
    def while_lives(self, node: Node) -> Iterator[trio.CancelScope]:
        """A scope that is cancelled when this node's process is seen to be dead."""
        with trio.CancelScope() as scope:
            scopes = self._waits.setdefault(node.secret, set())
            scopes.add(scope)
            try:
                yield scope
            finally:
                scopes.discard(scope)
                if not scopes and self._waits.get(node.secret) is scopes:
                    del self._waits[node.secret]

    def look(self, living: Collection[Node]) -> None:
        """These live: wait no more for processes that have not been among them for too long."""
        self._seen = {node.number: node for node in living}
        secrets = {node.secret for node in living}
        missed = {
            secret: self._missed.get(secret, 0) + 1 for secret in self._waits.keys() - secrets
        }
        self._missed = missed
        for secret in [secret for secret, looks in missed.items() if looks > _BACK_WITHIN]:
            for scope in self._waits.pop(secret):
                scope.cancel()
