"""ClusterOwners: which sessions are this node's own, among many nodes that share a store."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

import attrs
import msgspec
import trio

from wingman.cluster.decisions import may_own, somebody_for
from wingman.errors import (
    NoNode,
    SessionElsewhere,
    ShuttingDown,
    StoreError,
    StoreUnavailable,
    Unavailable,
)
from wingman.store import (
    Commit,
    Node,
    Nodes,
    NodeTerms,
    SessionClaimed,
    SessionReleased,
    Store,
    Unowned,
)

__all__ = ["ClusterOwners"]

# How often a session is claimed where others claim it at the same time.
_TRIES: Final = 3

# As long as a node that has no answer from its database is left alone by the others.
_CLAIM_SECONDS: Final = 10.0


def _nothing(_told: object) -> None:
    pass


@attrs.define(eq=False)
class ClusterOwners:
    """What this node believes to own; the store has the last word.

    `terms` are this node's own. `on_lost` is called with the id of a session that turned out to be
    another node's. `on_stray` is called with those of sessions that may be this node's, by the
    store, where this one does not know it: nobody else may take them.
    """

    store: Store
    nodes: Nodes
    terms: NodeTerms = attrs.field(factory=NodeTerms)
    on_lost: Callable[[str], None] = _nothing
    on_stray: Callable[[Collection[str]], None] = _nothing
    _mine: set[str] = attrs.field(factory=set, init=False)

    shared = True

    # --- for the sessions -----------------------------------------------------------------------

    async def check_room(self, label: str | None) -> None:
        """Raise `SessionElsewhere` where another node may own a session with this label and this
        one may not, and `NoNode` where none may."""
        if not may_own(self.terms, label):
            raise await self._for_another(label)

    async def check(self, session_id: str) -> None:
        """Raise `SessionElsewhere` where another node that lives owns the session."""
        if session_id in self._mine:
            return
        found = await self.nodes.ownership(session_id)
        if found is not None and found.node is not None:
            self._check_owner(session_id, found.node)

    async def confirm(self, session_id: str) -> None:
        """Raise `SessionElsewhere` where another node that lives owns the session, though this one
        believed that it is its own."""
        number = self.nodes.number
        found = await self.nodes.ownership(session_id)
        if found is None or found.owner == number or number != self.nodes.number:
            return
        self.lost(session_id)
        if found.node is not None:
            self._check_owner(session_id, found.node)

    async def claim(self, session_id: str, *, to_run: bool = False, to_erase: bool = False) -> None:
        """Own the session; where there is none, nothing is done.

        Raises `SessionElsewhere` where another node owns it, or may and this one may not; and
        `NoNode` where something is `to_run` in it, and its directory is not here. Any node may
        own what it is `to_erase`.
        """
        for _ in range(_TRIES):
            number = self.nodes.number
            if session_id in self._mine:
                return
            found = await self.nodes.ownership(session_id)
            if found is None:
                return
            if found.node is not None:
                self._check_owner(session_id, found.node)
            if not to_erase and not may_own(self.terms, found.label):
                raise await self._for_another(found.label)
            if to_run and not await trio.Path(found.work_dir).is_dir():
                raise NoNode(
                    f"The directory {found.work_dir!r} of session {session_id} is not on this "
                    "node. Nodes that may own a session need its directory: on storage that they "
                    "share; or give the session a label, and the nodes with its directory as well."
                )
            claim = self.store.write(SessionClaimed(session_id, found.owner))
            if await self._claimed((claim,), (session_id,), number):
                return
        raise SessionElsewhere(f"Session {session_id} is being claimed by other nodes: ask again.")

    @property
    def life(self) -> int:
        """The number of this node: what was true under another one may not be any more."""
        return self.nodes.number

    async def made(self, session_id: str, life: int) -> None:
        """This node has made the session, when its number was `life`."""
        if life == self.nodes.number:
            self._mine.add(session_id)
        else:
            await self.claim(session_id)

    def release(self, session_id: str) -> None:
        """Let others have the session, once all that was written of it before is safe."""
        if session_id in self._mine:
            self._mine.discard(session_id)
            with suppress(StoreError):  # it is closed: so is the connection, and this node is dead
                self.store.write(SessionReleased(session_id))

    def erased(self, session_id: str) -> None:
        """There is no such session any more."""
        self._mine.discard(session_id)

    def lost(self, session_id: str) -> None:
        """The store has refused what was written to the session: it is another node's."""
        self._mine.discard(session_id)
        self.on_lost(session_id)

    async def leave(self) -> None:
        """Take no more sessions, and let the others know."""
        self.terms = msgspec.structs.replace(self.terms, draining=True)
        with suppress(StoreError):
            await self.nodes.tell(self.terms)

    # --- for the member -------------------------------------------------------------------------

    async def adopt(self, unowned: Sequence[Unowned]) -> Collection[str]:
        """Claim these; return the ids of those that are this node's now."""
        number = self.nodes.number
        claims = [
            self.store.write(SessionClaimed(each.session_id, each.former)) for each in unowned
        ]
        return await self._claimed(claims, [each.session_id for each in unowned], number)

    def reborn(self, kept: Collection[str]) -> Collection[str]:
        """This is another node now, which owns `kept` of what it owned; the ids of what it lost."""
        kept = frozenset(kept)
        lost = self._mine - kept
        self._stray(kept)
        self._mine &= kept
        return lost

    async def let_go(self, session_id: str) -> bool:
        """Let others have a session, if this node does not know that it has it; False where that
        could not be recorded."""
        if session_id in self._mine:
            return True
        try:
            await self.store.write(SessionReleased(session_id)).wait()
        except StoreError:
            return False
        return True

    def forget_all(self) -> None:
        """Count on nothing: others may own all of it."""
        forgotten, self._mine = self._mine, set()
        self._stray(forgotten)

    # --------------------------------------------------------------------------------------------

    def _stray(self, session_ids: Collection[str]) -> None:
        if stray := [each for each in session_ids if each not in self._mine]:
            self.on_stray(stray)

    async def _claimed(
        self, claims: Sequence[Commit], session_ids: Sequence[str], number: int
    ) -> Collection[str]:
        """Wait for these claims; those of the sessions that are this node's now.

        Who waits may be cancelled, or not be told what became of a claim: then it is let go of.
        """
        try:
            with trio.move_on_after(_CLAIM_SECONDS):
                for claim in claims:
                    await claim.wait()
                return await self._own(session_ids, number)
        finally:
            self._stray(session_ids)
        raise StoreUnavailable(
            f"The session could not be claimed within {_CLAIM_SECONDS:g} s: the database does not "
            "answer this node."
        )

    async def _own(self, session_ids: Sequence[str], number: int) -> Collection[str]:
        """Those of these sessions that the store says are this node's, if it is still the same."""
        owned = await self.nodes.owned(session_ids)
        if number != self.nodes.number:
            return ()
        self._mine.update(owned)
        return owned

    def _check_owner(self, session_id: str, owner: Node) -> None:
        if owner.number == self.nodes.number:
            return
        where = owner.terms.url or "in a process without a server"
        raise SessionElsewhere(
            f"Session {session_id} is owned by node {owner.number} ({where}), and only that one "
            "can do this. A server sends such requests there by itself; a program asks that "
            "server, by `wingman.Client`.",
            owner.number,
        )

    async def _for_another(self, label: str | None) -> Unavailable:
        """What is raised where this node may not take a session: who may, or that nobody may."""
        node = somebody_for(label, await self.nodes.living(), self.nodes.number)
        if node is not None:
            return SessionElsewhere(f"Node {node.number} may own the session.", node.number)
        if may_own(msgspec.structs.replace(self.terms, draining=False), label):
            return ShuttingDown(
                "The server is shutting down, and there is no other node: ask later."
            )
        return NoNode(
            f"The session needs a node with the label {label!r}, and none is there: start one "
            f"with --label {label}."
        )
