"""Logins: who is logged in to the console of a server that has a token.

A browser does not send the token of its own accord, and what a page keeps, every script in it can
read. So the token, or a link that works once, is exchanged for a cookie that no script can read.
The cookie opens what the token opens: for some hours, and only until the server stops.
"""

import hmac
from collections import deque
from typing import Final

import attrs
import trio

from wingman.errors import Unavailable, WingmanError
from wingman.server.console.passes import Passes

__all__ = ["LINK_SECONDS", "LOGIN_SECONDS", "Logins"]

LINK_SECONDS: Final = 600.0
LOGIN_SECONDS: Final = 12 * 3600.0

_MOST_LINKS: Final = 32
_MOST_LOGINS: Final = 256

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
    """The links and the logins of one server, which has this token, or none and is open.

    Its methods are to be called under Trio, whose clock says what has ended.
    """

    _token: bytes | None = attrs.field(default=None, converter=_encoded, repr=False)
    _links: Passes = attrs.field(init=False, factory=lambda: Passes(LINK_SECONDS, _MOST_LINKS))
    _logins: Passes = attrs.field(init=False, factory=lambda: Passes(LOGIN_SECONDS, _MOST_LOGINS))
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

    def new_link(self) -> str:
        """The secret of a link, with which one may log in once, for `LINK_SECONDS`."""
        return self._links.new()

    def by_link(self, secret: str) -> str:
        """The secret of a new login, for that of a link. Raises `LoginRefused`."""
        if not self._links.take(secret):
            raise LoginRefused(
                "The link has been used, or is too old: it works once, for "
                f"{LINK_SECONDS / 60:.0f} minutes. `wingman console` prints a new one."
            )
        return self._logins.new()

    def by_token(self, token: str) -> str:
        """The secret of a new login, for the server's token.

        Raises `LoginRefused` for another one, and `TooManyLogins` where too many of these came.
        """
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
        return self._logins.new()

    def left(self, secret: str) -> float:
        """For how many more seconds a login holds; 0 where it does not."""
        return self._logins.left(secret)

    def end(self, secret: str) -> None:
        """End a login."""
        self._logins.take(secret)
