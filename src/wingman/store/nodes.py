"""Nodes: the processes that share one store, and which of them owns a session.

A store that several processes may have open at a time has `nodes`; for any other one that is None,
and all its sessions are its one owner's.

A node is its connection: what it writes, and the lock that tells others that it lives, are on one
connection to the database. When that ends, nothing of the node can be written any more, and the
lock is free. A number is never given to a node twice, so a node that is dead stays dead.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from wingman.store.records import RunStatus

__all__ = ["KINDS", "Node", "NodeTerms", "Nodes", "Ownership", "Unowned"]

KINDS: Final = frozenset({"agents", "credentials", "mcp_servers"})
"""What all nodes keep a copy of, and are told of when it changes."""


class NodeTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a node tells the others of itself.

    `url` is where its server is reached, None for a process without one. `labels` are what
    sessions may need. One that is `draining` takes no more sessions.
    """

    url: str | None = None
    labels: tuple[str, ...] = ()
    draining: bool = False


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node that lives. `commits` counts its commits and beats: it grows twice a second
    at least.

    `secret` is what others send to it with what they forward.
    """

    number: int
    terms: NodeTerms
    secret: str
    commits: int

    def __repr__(self) -> str:
        return f"<Node {self.number} {self.terms.url}>"


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """Who owns a session: the number of a node, which lives or is dead; None: nobody.

    `node` is the owner, where that lives.
    """

    owner: int | None
    node: Node | None
    label: str | None
    work_dir: str


class Unowned(msgspec.Struct, frozen=True, kw_only=True):
    """A session that no living node owns, and that has something to be done.

    `former` is the dead node that owned it. `runs` counts those that wait or are queued; the rest
    was cut off, or the session is being deleted (`deleting`).
    """

    session_id: str
    former: int | None
    label: str | None
    work_dir: str
    runs: int
    deleting: bool


class Nodes(Protocol):
    """The nodes of one store, as one of them sees them."""

    @property
    def number(self) -> int:
        """The number of this node. It has another one after its connection was lost."""

    @property
    def secret(self) -> str:
        """What other nodes send to this one with what they forward."""

    @property
    def lost_for(self) -> float:
        """For how many seconds it is known that the connection is lost; 0 where it is there."""

    @property
    def silent_for(self) -> float:
        """How many seconds ago the database last took something from this node."""

    def give_up(self) -> None:
        """Have all who read just now be told that the database does not answer."""

    def watch(
        self,
        reborn: Callable[[Collection[str]], None],
        changed: Callable[[str], None],
    ) -> None:
        """Have these called in the event loop, from now on.

        `reborn` where the connection was lost, and this is another node now: with the ids of the
        sessions that it still owns; it has no others any more. `changed` where another node has
        changed one of `KINDS`, or may have.
        """

    async def tell(self, terms: NodeTerms) -> None:
        """Tell the others; they know it when this returns."""

    async def living(self) -> Sequence[Node]:
        """All nodes that live, this one among them, in the order of their births."""

    async def ownership(self, session_id: str) -> Ownership | None:
        """Who owns a session; None: there is no such session."""

    async def owned(self, session_ids: Sequence[str]) -> Collection[str]:
        """Which of these sessions this node owns."""

    async def statuses(self, session_ids: Sequence[str]) -> Mapping[str, RunStatus]:
        """The status of the run in flight, or of what waits, of those of these sessions that have
        one: as it is stored, whoever owns them."""

    async def unowned(self, limit: int) -> Sequence[Unowned]:
        """Up to `limit` sessions with something to be done that no living node owns."""

    async def end(self, node: Node) -> None:
        """End a node's connection in the database, though its process may still hold it; unless it
        has shown a sign of life since it was seen."""
