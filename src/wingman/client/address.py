"""The address of a server, and the token for it: checked once, and put together anew.

What is connected to is made of the parts that were checked, so that no two parsers can disagree
about where a token goes.
"""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import attrs

from wingman.errors import InvalidRequest

__all__ = ["Address", "check_token"]

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")

_SAMPLE: Final = "http://127.0.0.1:2323"


@attrs.frozen
class Address:
    """Where a server is: `url` without a slash at its end. `loopback`: on this machine."""

    url: str
    loopback: bool

    @property
    def plain(self) -> bool:
        """Whether nothing is encrypted on the way."""
        return self.url.startswith("http://")

    @classmethod
    def of(cls, url: str) -> "Address":
        """Take an address apart and check it. Raises `InvalidRequest`, which quotes no secret."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise InvalidRequest(f"The server's URL is none; one looks like {_SAMPLE}.") from error
        if parts.username is not None or parts.password is not None:
            raise InvalidRequest("The server's URL has a user in it: give the token by itself.")
        if parts.scheme not in ("http", "https"):
            raise InvalidRequest(f"A server's URL begins with http:// or https://, as {_SAMPLE}.")
        if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
            raise InvalidRequest(f"A server's URL has a host, a port and a plain path: {_SAMPLE}.")
        shown = _shown(host)
        name = shown if port is None else f"{shown}:{port}"
        return cls(f"{parts.scheme}://{name}{parts.path.rstrip('/')}", _is_loopback(host))


def check_token(token: str | None) -> None:
    """Raise `InvalidRequest` for a token that no header can carry; the text does not quote it."""
    if token is not None and not _TOKEN.fullmatch(token):
        raise InvalidRequest("A token is of printable ASCII characters, without blanks.")


def _shown(host: str) -> str:
    """The host as it stands in a URL."""
    if ":" in host:
        try:
            return f"[{ip_address(host)}]"
        except ValueError as error:
            raise InvalidRequest(f"{host!r} is no address of a server.") from error
    if not _HOST.fullmatch(host):
        raise InvalidRequest(f"{host!r} is no name of a server.")
    return host


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
