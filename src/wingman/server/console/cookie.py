"""The cookie that says who is logged in to the console.

Browsers send a cookie to every port of a host. So its name has the port that the browser goes to:
the cookies of two servers on one machine do not replace each other, and all nodes behind a balancer
know the same one.
"""

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["cookie_set", "cookies_of"]

_PORT: Final = re.compile(r":([0-9]{1,5})")

# Cookies of ours in one request that are looked at.
_MOST: Final = 4


def cookies_of(host: str, header: str) -> Iterator[str]:
    """The values of our cookie in a request's `Cookie`, a few at most. `host` is its `Host`.

    There may be several: another server of the same host may have set one for a part of our paths.
    """
    name, found = _name(host), 0
    for pair in header.split(";"):
        key, _, value = pair.partition("=")
        if key.strip() == name and found < _MOST:
            found += 1
            yield value.strip()


def cookie_set(host: str, secret: str, seconds: float, *, secure: bool) -> str:
    """The `Set-Cookie` that has a browser keep this secret for so long; for 0 s: forget it."""
    parts = [
        f"{_name(host)}={secret}",
        "Path=/",
        f"Max-Age={seconds:.0f}",
        "HttpOnly",
        "SameSite=Strict",
    ]
    return "; ".join([*parts, "Secure"] if secure else parts)


def _name(host: str) -> str:
    port = _PORT.fullmatch(host, host.rfind(":")) if ":" in host else None
    return f"wingman-{port[1]}" if port else "wingman"
