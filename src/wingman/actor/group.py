"""Group: actors under one name. One sends to all of them, or picks the one to send to."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Generic

from wingman.actor.errors import ActorStopped, GroupEmpty, MailboxFull
from wingman.actor.instruments import Termination
from wingman.actor.protocols import M_contra, R_co, with_defaults
from wingman.actor.ref import ActorRef

__all__ = ["Group"]


class Group(Generic[M_contra, R_co]):
    """Actors that do the same work. Made by `system.group(name)`: one name, one group.

    An actor that ends leaves its groups at once; a restart is no end. Those who pick get a
    reference, and send to it as to any other:

        await group.least_busy().tell(order)
        invoice = await group.for_key(order.customer).ask(order)

    They raise `GroupEmpty` where there is nobody to pick.
    """

    __slots__ = ("__weakref__", "_members", "_number", "_turn", "name")

    if not TYPE_CHECKING:
        __class_getitem__ = with_defaults(2)

    def __init__(self, name: str) -> None:
        self.name = name
        self._members: dict[Any, _Member] = {}  # by cell, in the order they joined
        self._number = 0
        self._turn = 0

    def __repr__(self) -> str:
        return f"<Group {self.name} of {len(self._members)}>"

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, ref: ActorRef[Any, Any]) -> bool:
        return ref.cell in self._members

    @property
    def members(self) -> tuple[ActorRef[M_contra, R_co], ...]:
        """Its live members, in the order they joined."""
        return tuple(member.ref for member in self._members.values())

    def join(self, ref: ActorRef[M_contra, R_co]) -> None:
        """Take in an actor, once. Raises `ActorStopped` for one that has ended."""
        cell = ref.cell
        if cell.termination is not None:
            raise ActorStopped(f"{ref.name!r} has ended ({cell.termination}), and joins no group")
        if cell not in self._members:
            self._number += 1
            member = self._members[cell] = _Member(self, ref, self._number)
            cell.add_watch(member)

    def leave(self, ref: ActorRef[Any, Any]) -> None:
        """Let an actor go; its absence is no error."""
        member = self._members.pop(ref.cell, None)
        if member is not None:
            ref.cell.remove_watch(member)

    def broadcast(self, message: M_contra) -> tuple[ActorRef[M_contra, R_co], ...]:
        """Send a message to every member; return those whose mailbox has no room for it.

        It waits for nobody: what a full mailbox does is its own rule, and where that is to wait or
        to refuse, the message is not sent there.
        """
        refused = []
        for ref in self.members:
            try:
                ref.tell_nowait(message)
            except MailboxFull:
                refused.append(ref)
        return tuple(refused)

    def round_robin(self) -> ActorRef[M_contra, R_co]:
        """The member whose turn it is."""
        members = self._some()
        self._turn = (self._turn + 1) % len(members)
        return members[self._turn - 1].ref

    def for_key(self, key: Hashable) -> ActorRef[M_contra, R_co]:
        """The member for a key: the same one for equal keys, while the members stay the same.

        When a member leaves, its keys are spread over the others, and no other key moves; one that
        joins takes its share from all.
        """
        return max(self._some(), key=lambda member: hash((member.number, key))).ref

    def least_busy(self) -> ActorRef[M_contra, R_co]:
        """The member with the fewest messages, waiting and in work; of equals, each in its turn."""
        members = self._some()
        self._turn = (self._turn + 1) % len(members)
        from_turn = members[self._turn :] + members[: self._turn]
        return min(from_turn, key=lambda member: member.ref.cell.burden).ref

    def _some(self) -> "list[_Member]":
        if not self._members:
            raise GroupEmpty(f"the group {self.name!r} has no members")
        return list(self._members.values())


class _Member:
    """An actor in a group; it hears of its end."""

    __slots__ = ("_group", "number", "ref")

    def __init__(self, group: Group[Any, Any], ref: ActorRef[Any, Any], number: int) -> None:
        self._group = group
        self.ref = ref
        self.number = number

    def fire(self, _: Termination) -> None:
        self._group.leave(self.ref)
