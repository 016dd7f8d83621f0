"""Decisions: what a node concludes from what it sees of the others. Pure, but for what they count.

Nobody's clock is compared with another one's: a node counts its own seconds between what it sees.
"""

from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import Final

import attrs

from wingman.store import Node, NodeTerms, Unowned

__all__ = ["LOOKS", "STILL_SECONDS", "Shares", "Stillness", "is_cut_off", "may_own", "somebody_for"]

STILL_SECONDS: Final = 10.0
LOOKS: Final = 10
"""How long, and for how many looks, a node that holds its lock has shown no sign of life before its
connection is ended."""

LOST_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 8.0
"""After how long a node stops its sessions: where its connection is known to be lost, and where
the database only does not answer. Both are shorter than what others wait."""

_BACK_WITHIN: Final = 2
"""Looks for which the sessions of a node that is dead are left alone, unless somebody asks for one:
where it only has lost its connection, it is there again by then, and takes them along."""

_NEXT_AFTER: Final = 4
"""Looks after which another node as well may take a session that the first one does not take."""


def is_cut_off(lost_for: float, silent_for: float) -> bool:
    """Whether a node must count on others owning its sessions: it was out of touch too long."""
    return lost_for > LOST_SECONDS or silent_for > SILENT_SECONDS


@attrs.define(eq=False)
class Stillness:
    """Which nodes have shown no sign of life for too long, though they hold their locks.

    A process that is stopped keeps its connection. What counts are looks as well as seconds: where
    the database itself stands still, nobody looks.
    """

    _seen: dict[int, tuple[int, float, int]] = attrs.field(factory=dict)

    def look(self, living: Iterable[Node], now: float) -> Sequence[Node]:
        """The nodes to end, by what is seen `now`, in seconds."""
        seen, still = {}, []
        for node in living:
            commits, since, looks = self._seen.get(node.number, (node.commits, now, 0))
            if commits != node.commits:
                commits, since, looks = node.commits, now, 0
            if now - since >= STILL_SECONDS and looks >= LOOKS:
                still.append(node)
                since, looks = now, 0
            seen[node.number] = commits, since, looks + 1
        self._seen = seen
        return still


def may_own(terms: NodeTerms, label: str | None) -> bool:
    """Whether a node with these terms may take a session with this label."""
    return not terms.draining and (label is None or label in terms.labels)


def somebody_for(label: str | None, living: Iterable[Node], but: int) -> Node | None:
    """A node other than `but` that may take a session with this label, and can be reached."""
    return next(
        (
            node
            for node in living
            if node.number != but and node.terms.url is not None and may_own(node.terms, label)
        ),
        None,
    )


@attrs.define(eq=False)
class Shares:
    """Which of the sessions that nobody owns a node takes, so that they are spread over all nodes.

    For each session the nodes have an order of their own. The first takes it at once; where it does
    not, the next one may, after some looks.
    """

    _looks: dict[str, int] = attrs.field(factory=dict)

    def take(
        self, unowned: Iterable[Unowned], living: Collection[Node], me: int
    ) -> Sequence[Unowned]:
        """Those that the node `me` is to claim now."""
        taken, looks = [], {}
        for session in unowned:
            seen = looks[session.session_id] = self._looks.get(session.session_id, 0) + 1
            waited = seen if session.former is None else seen - _BACK_WITHIN
            order = _order(session, living)
            if waited > 0 and me in order[: 1 + waited // _NEXT_AFTER]:
                taken.append(session)
        self._looks = looks
        return taken


def _order(session: Unowned, living: Iterable[Node]) -> Sequence[int]:
    numbers = [node.number for node in living if may_own(node.terms, session.label)]
    return sorted(numbers, key=lambda number: _weight(session.session_id, number))


def _weight(session_id: str, number: int) -> bytes:
    return blake2b(f"{session_id} {number}".encode(), digest_size=8).digest()
