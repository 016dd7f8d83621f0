"""The cookie that says who is logged in to the console.

Browsers send a cookie to every port of a host. So its name has the port: the cookies of two servers
on one machine do not replace each other.
"""

from collections.abc import Iterator
from typing import TypeAlias

__all__ = ["cookie_set", "cookies_of"]


Server: TypeAlias = tuple[str, int | None] | None
"""Where a request has reached us, as ASGI says it: an address and a port."""


def cookies_of(server: Server, header: str) -> Iterator[str]:
    """The values of our cookie in a request's `Cookie`.

    There may be several: another server of the same host may have set one for a part of our paths.
    """
    name = _name(server)
    for pair in header.split(";"):
        key, _, value = pair.partition("=")
        if key.strip() == name:
            yield value.strip()


def cookie_set(server: Server, secret: str, seconds: float, *, secure: bool) -> str:
    """The `Set-Cookie` that has a browser keep this secret for so long; for 0 s: forget it."""
    parts = [
        f"{_name(server)}={secret}",
        "Path=/",
        f"Max-Age={seconds:.0f}",
        "HttpOnly",
        "SameSite=Strict",
    ]
    return "; ".join([*parts, "Secure"] if secure else parts)


def _name(server: Server) -> str:
    return f"wingman-{server[1]}" if server is not None else "wingman"
