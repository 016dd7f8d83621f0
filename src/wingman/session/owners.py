"""Owners: which sessions are this process's own.

Where a store has one owner, all of them are. Where many nodes share it, a session is live on the
node that owns it, and nowhere else.
"""

from typing import Protocol

__all__ = ["SOLE", "Owners", "SoleOwner"]


class Owners(Protocol):
    """Who knows which sessions are this process's own, and makes them so.

    `shared`: other processes may own sessions as well.
    """

    @property
    def shared(self) -> bool: ...

    async def check_room(self, label: str | None) -> None:
        """Return if this process may own a new session with this label.

        Raises `SessionElsewhere` where another one may, and `NoNode` where none may.
        """

    async def check(self, session_id: str) -> None:
        """Return if no other process owns the session; else raise `SessionElsewhere`."""

    async def confirm(self, session_id: str) -> None:
        """Have the store say whether this process owns the session, as it believes; what it has
        lost is `lost`, and `SessionElsewhere` is raised where another process owns it."""

    async def claim(self, session_id: str, *, to_run: bool = False, to_erase: bool = False) -> None:
        """Return when this process owns the session, or there is none.

        Raises `SessionElsewhere` where another one does, or is to; and `NoNode` where something is
        `to_run` in it, and its directory is not here. Who wants it `to_erase` it needs no label.
        """

    @property
    def life(self) -> int:
        """A number that changes where this process may have lost sessions unseen."""

    async def made(self, session_id: str, life: int) -> None:
        """This process has made the session, in this `life`: it owns it."""

    def release(self, session_id: str) -> None:
        """The session is not live any more, and all that was to be written of it was written."""

    def erased(self, session_id: str) -> None:
        """There is no such session any more."""

    def lost(self, session_id: str) -> None:
        """The store has refused what was written to the session: another process owns it."""

    async def leave(self) -> None:
        """This process takes no more sessions."""


class SoleOwner:
    """The owner of all sessions of its store."""

    shared = False
    life = 0

    async def check_room(self, label: str | None) -> None:
        """Nobody else is there."""

    async def check(self, session_id: str) -> None:
        """It is this process's."""

    async def confirm(self, session_id: str) -> None:
        """It is this process's."""

    async def claim(self, session_id: str, *, to_run: bool = False, to_erase: bool = False) -> None:
        """It is this process's."""

    async def made(self, session_id: str, life: int) -> None:
        """As all others."""

    def release(self, session_id: str) -> None:
        """It stays this process's."""

    def erased(self, session_id: str) -> None:
        """Nobody asks for it."""

    def lost(self, session_id: str) -> None:
        """There is nobody to lose it to."""

    async def leave(self) -> None:
        """There is nobody to leave it to."""


SOLE = SoleOwner()
