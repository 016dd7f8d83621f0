"""Passes: secrets that open something for a time, on all nodes that share the store."""

import hmac
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

import trio

from wingman.errors import StoreUnavailable
from wingman.ids import new_id
from wingman.run import now
from wingman.store import Commit, Pass, PassIssued, PassTaken, Store
from wingman.under_trio import require_trio

__all__ = ["Passes"]

_BYTES: Final = 24
_SECRET: Final = re.compile(r"[\w-]{32}", re.ASCII)

# How long what was read of a pass is believed: after it was taken on another node, it still holds
# here for so long.
_BELIEVED_SECONDS: Final = 5.0
_REMEMBERED: Final = 256

# How long the store may take to record a change.
_SAVE_SECONDS: Final = 10.0


class Passes:
    """Random secrets that hold for a time, or until they are taken. They are made for a `purpose`:
    some bytes, which may be secret, and without which nobody can use them.

    What the store keeps of a secret is a hash of it and of its purpose. It is found by that hash,
    so the time that the search takes says nothing of any secret. The newest 256 are kept.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = now) -> None:
        self._store = store
        self._now = clock
        self._remembered: dict[str, tuple[datetime, float]] = {}
        """When passes end that held, by their hashes, and when that was read."""
        self._reading = trio.Lock()

    async def issue(self, purpose: bytes, seconds: float) -> str:
        """A new secret, of characters that a URL and a cookie take. Raises `StoreError`."""
        require_trio()
        secret = token_urlsafe(_BYTES)
        hash, issued_at = _hash(purpose, secret), self._now()
        ends_at = issued_at + timedelta(seconds=seconds)
        await _recorded(self._store.write(PassIssued(hash, issued_at, ends_at)))
        self._remember(hash, ends_at)
        return secret

    async def take(self, purpose: bytes, secret: str) -> bool:
        """Whether this secret holds, for the last time: of all who ask, one is told so.

        Raises `StoreError`.
        """
        require_trio()
        hash, taken_by = _hash(purpose, secret), new_id()
        self._remembered.pop(hash, None)
        async with self._reading:
            if self._left(await self._find(secret, hash)) <= 0:
                return False
        await _recorded(self._store.write(PassTaken(hash, taken_by)))
        self._remembered.pop(hash, None)
        found = await self._store.find_pass(hash)
        return found is not None and found.taken_by == taken_by

    async def left(self, purpose: bytes, secret: str) -> float:
        """For how many more seconds this secret holds; 0 where it does not.

        Raises `StoreError` where that cannot be read, and is not known from before.
        """
        require_trio()
        hash = _hash(purpose, secret)
        if self._is_fresh(hash):
            await trio.lowlevel.checkpoint()
        else:
            # One at a time: anybody may ask for what is not there, and others read as well.
            async with self._reading:
                await self._read(secret, hash)
        ends_at, _ = self._remembered.get(hash, (None, 0.0))
        return 0.0 if ends_at is None else max(0.0, (ends_at - self._now()).total_seconds())

    def _is_fresh(self, hash: str) -> bool:
        _, read_at = self._remembered.get(hash, (None, -_BELIEVED_SECONDS))
        return trio.current_time() < read_at + _BELIEVED_SECONDS

    async def _read(self, secret: str, hash: str) -> None:
        try:
            found = await self._find(secret, hash)
        except StoreUnavailable:
            if hash not in self._remembered:
                raise
        else:
            self._remembered.pop(hash, None)
            if found is not None and self._left(found) > 0:
                self._remember(hash, found.ends_at)

    async def _find(self, secret: str, hash: str) -> Pass | None:
        if not _SECRET.fullmatch(secret):
            return None
        return await self._store.find_pass(hash)

    def _left(self, found: Pass | None) -> float:
        if found is None or found.taken_by is not None:
            return 0.0
        return (found.ends_at - self._now()).total_seconds()

    def _remember(self, hash: str, ends_at: datetime) -> None:
        self._remembered[hash] = ends_at, trio.current_time()
        if len(self._remembered) > _REMEMBERED:
            del self._remembered[next(iter(self._remembered))]


async def _recorded(commit: Commit) -> None:
    with trio.move_on_after(_SAVE_SECONDS):
        await commit.wait()
        return
    raise StoreUnavailable(f"It is not recorded yet, after {_SAVE_SECONDS:g} s: try again later.")


def _hash(purpose: bytes, secret: str) -> str:
    return hmac.new(purpose, secret.encode(errors="surrogatepass"), sha256).hexdigest()
