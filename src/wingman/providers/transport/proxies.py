"""Through which proxy a URL is asked, by the environment: HTTP_PROXY, NO_PROXY and their like.

The rules are httpx's own client's, which is not used here; a test holds them to that. A host in
NO_PROXY stands for itself and what is below it, `.host` for what is below it alone, an address and
`localhost` for themselves, `*` for all.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.request import getproxies

import attrs
import httpx

__all__ = ["Proxies"]

_SCHEMES: Final = ("http", "https", "all")


@attrs.frozen
class Proxies:
    """The proxies of the environment as of now, by scheme, and who is reached without one."""

    _by_scheme: Mapping[str, httpx.Proxy] = attrs.field(factory=dict, repr=False)
    _direct: tuple[httpx.URL, ...] = ()

    @classmethod
    def of_environment(cls) -> "Proxies":
        """Read the environment; raises `ValueError` or `httpx.InvalidURL` for what is no proxy."""
        found = getproxies()
        without = [name.strip() for name in found.get("no", "").split(",")]
        if "*" in without:
            return cls()
        return cls(
            {scheme: _proxy(url) for scheme in _SCHEMES if (url := found.get(scheme))},
            tuple(httpx.URL(_pattern(name)) for name in without if name),
        )

    @property
    def all(self) -> Iterable[httpx.Proxy]:
        """All of them."""
        return self._by_scheme.values()

    def of(self, url: httpx.URL) -> httpx.Proxy | None:
        """The proxy for this URL; None where it is reached without one."""
        if not self._by_scheme or any(_matches(pattern, url) for pattern in self._direct):
            return None
        return self._by_scheme.get(url.scheme) or self._by_scheme.get("all")


def _proxy(url: str) -> httpx.Proxy:
    return httpx.Proxy(url if "://" in url else f"http://{url}")


def _pattern(name: str) -> str:
    if "://" in name:
        return name
    try:
        address = ip_address(name.partition("/")[0])
    except ValueError:
        return f"all://{name}" if name.lower() == "localhost" else f"all://*{name}"
    return f"all://{name}" if address.version == 4 else f"all://[{name}]"


def _matches(pattern: httpx.URL, url: httpx.URL) -> bool:
    if pattern.scheme not in ("all", url.scheme) or pattern.port not in (None, url.port):
        return False
    if pattern.host.startswith("*."):
        return url.host.endswith(pattern.host[1:]) and url.host != pattern.host[1:]
    if pattern.host.startswith("*"):
        return f".{url.host}".endswith(f".{pattern.host[1:]}")
    return url.host == pattern.host
