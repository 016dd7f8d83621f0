"""Calls as requests of httpx's: what is the same in all calls to a place is prepared once."""

from base64 import b64encode
from collections import OrderedDict
from typing import Final, TypeAlias

import attrs
import httpx

from wingman.providers.transport.bytestream import Call
from wingman.request_body import RequestBody

__all__ = ["Requests"]

_Place: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]

_MOST: Final = 64
_HEADERS: Final = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "connection": "keep-alive",
    "user-agent": "wingman",
}


@attrs.frozen
class _Prepared:
    url: httpx.URL
    headers: list[tuple[bytes, bytes]] = attrs.field(repr=False)  # without the body's length


class Requests:
    """Makes requests. It remembers the URL and the headers of the last 64 places and keys."""

    def __init__(self, timeout: httpx.Timeout) -> None:
        self._extensions = {"timeout": timeout.as_dict()}
        self._prepared: OrderedDict[_Place, _Prepared] = OrderedDict()

    def of(self, call: Call) -> httpx.Request:
        """The request that a call is; raises `httpx.InvalidURL` if its URL is none."""
        key = (call.url, tuple(call.headers.items()))
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepared[key] = _prepared(call)
            if len(self._prepared) > _MOST:
                self._prepared.popitem(last=False)
        else:
            self._prepared.move_to_end(key)
        method, headers, body = "GET", prepared.headers, call.body
        if body is not None:
            length = b"%d" % sum(map(len, body))
            method, headers = "POST", [*headers, (b"Content-Length", length)]
        return httpx.Request(
            method,
            prepared.url,
            headers=headers,
            stream=RequestBody(body or ()),
            extensions=self._extensions,
        )


def _prepared(call: Call) -> _Prepared:
    headers = _HEADERS | {name.lower(): value for name, value in call.headers.items()}
    request = httpx.Request("GET", call.url, headers=headers)
    url = request.url
    if url.username or url.password:
        given = f"{url.username}:{url.password}".encode()
        request.headers["authorization"] = f"Basic {b64encode(given).decode()}"
    return _Prepared(url, request.headers.raw)
