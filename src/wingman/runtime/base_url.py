"""Base URLs of providers, as they are given to a runtime to be kept."""

import re
from ipaddress import ip_address
from typing import Final

import httpx

from wingman.errors import InvalidRequest

__all__ = ["check_base_url"]

_LONGEST: Final = 2048

# RFC 1035, 2.3.4: so long are a name and each of its parts at most. Resolvers refuse longer ones.
_LONGEST_NAME: Final = 253
_HOST: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")

# The client takes whatever Python's `int` takes, such as "+80".
_PORT: Final = re.compile(r"[^/]*//[^/]*:(?![0-9]*(/|$))[^/:\]]*(/|$)")


def check_base_url(text: str, path: str) -> None:
    """Raise `InvalidRequest` where a provider could not be reached by this.

    It is parsed as the client that will connect parses it. The URL is not in the error: it may have
    a key in it.
    """
    problem = _problem_of(text)
    if problem is not None:
        raise InvalidRequest(f"The base_url is no URL of a provider: {problem} - at `{path}`")


def _problem_of(text: str) -> str | None:
    if len(text) > _LONGEST:
        return f"it has more than {_LONGEST:,} characters"
    if any(character.isspace() or not character.isprintable() for character in text):
        return "it has a blank, a control character or half a character in it"
    if "\\" in text:
        return "it has a backslash in it"
    try:
        url = httpx.URL(text)
        host, name, port = url.host, url.raw_host.decode("ascii").removesuffix("."), url.port
    except (httpx.InvalidURL, ValueError):
        return "it cannot be parsed; write it as https://host/path or http://[::1]:8080/v1"
    if url.scheme not in ("http", "https"):
        return "it begins with http:// or https://"
    if not host:
        return "it names no host"
    if not (_HOST.fullmatch(name) and len(name) <= _LONGEST_NAME) and not _is_address(host):
        return "its host is neither a name nor an address"
    if url.userinfo:
        return "it has credentials in it: give the key as `key`"
    if _PORT.match(text) or (port is not None and not 1 <= port <= 65535):
        return "its port is not from 1 to 65535"
    if url.query or url.fragment or "?" in text or "#" in text:
        return "it has a query or a fragment, and paths are put behind it"
    return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
