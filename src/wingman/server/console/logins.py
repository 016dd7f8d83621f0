"""Logins: who is logged in to the console of a server that has a token.

A browser does not send the token of its own accord, and what a page keeps, every script in it can
read. So the token, or a link that works once, is exchanged for a cookie that no script can read.
The cookie opens what the token opens, for some hours.

Links and logins are kept with all that lasts: they hold on every node that shares the store, and
after a restart. The token is part of what is kept of them, so with another token none of them holds
any more. Of wrong tokens each process counts its own.
"""

import hmac
from collections import deque
from typing import Final

import attrs
import trio

from wingman.errors import Unavailable, WingmanError
from wingman.runtime import Passes
from wingman.under_trio import require_trio

__all__ = ["LINK_SECONDS", "LOGIN_SECONDS", "Logins"]

LINK_SECONDS: Final = 600.0
LOGIN_SECONDS: Final = 12 * 3600.0

# Wrong tokens that are looked at: so many in so many seconds. Nobody guesses a link.
_MOST_WRONG: Final = 10
_WRONG_SECONDS: Final = 60.0


class LoginRefused(WingmanError):
    """The link or the token is not one that opens the console."""

    code = "unauthorized"


class TooManyLogins(Unavailable):
    """Too many wrong tokens came: for a moment no token is looked at."""

    code = "too_many_logins"


def _encoded(token: str | None) -> bytes | None:
    return None if token is None else token.encode()


@attrs.define(eq=False)
class Logins:
    """The links and the logins of a server, which has this token, or none and is open. They are
    kept as `passes`: those of the server's runtime.

    Its methods are to be called under Trio, whose clock says what has ended.
    """

    _passes: Passes
    _token: bytes | None = attrs.field(default=None, converter=_encoded, repr=False)
    _wrong: deque[float] = attrs.field(init=False, factory=deque, repr=False)

    @property
    def needed(self) -> bool:
        """Whether the server has a token."""
        return self._token is not None

    def are_of(self, token: str | None) -> bool:
        """Whether they are of a server with this token, or without one."""
        return not self.needed if token is None else self.is_token(token.encode())

    def is_token(self, given: bytes) -> bool:
        """Whether this is the server's token. How long that takes says nothing of it."""
        return self._token is not None and hmac.compare_digest(given, self._token)

    async def new_link(self) -> str:
        """The secret of a link, with which one may log in once, for `LINK_SECONDS`.

        Like all that is kept or looked up here, it raises `StoreError` where that cannot be.
        """
        require_trio()
        return await self._passes.issue(self._purpose(b"link"), LINK_SECONDS)

    async def by_link(self, secret: str) -> str:
        """The secret of a new login, for that of a link. Raises `LoginRefused`."""
        require_trio()
        if not await self._passes.take(self._purpose(b"link"), secret):
            raise LoginRefused(
                "The link has been used, or is too old: it works once, for "
                f"{LINK_SECONDS / 60:.0f} minutes. `wingman console` prints a new one."
            )
        return await self._new_login()

    async def by_token(self, token: str) -> str:
        """The secret of a new login, for the server's token.

        Raises `LoginRefused` for another one, and `TooManyLogins` where too many of these came.
        """
        require_trio()
        now = trio.current_time()
        while self._wrong and self._wrong[0] <= now - _WRONG_SECONDS:
            self._wrong.popleft()
        if len(self._wrong) >= _MOST_WRONG:
            raise TooManyLogins(
                "Too many wrong tokens came: wait a minute, or open a link that "
                "`wingman console` prints.",
                self._wrong[0] + _WRONG_SECONDS - now,
            )
        if not self.is_token(token.encode(errors="surrogatepass")):
            self._wrong.append(now)
            raise LoginRefused("This is not the server's token.")
        return await self._new_login()

    async def left(self, secret: str) -> float:
        """For how many more seconds a login holds; 0 where it does not."""
        require_trio()
        return await self._passes.left(self._purpose(b"login"), secret)

    async def end(self, secret: str) -> None:
        """End a login; other nodes know it some seconds later."""
        require_trio()
        await self._passes.take(self._purpose(b"login"), secret)

    async def _new_login(self) -> str:
        return await self._passes.issue(self._purpose(b"login"), LOGIN_SECONDS)

    def _purpose(self, what: bytes) -> bytes:
        return what + b" " + (self._token or b"")
