"""Requests into values and values into responses."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast
from urllib.parse import urlencode
from urllib.request import parse_http_list

import msgspec
from quart import Response, request

from wingman.errors import InvalidRequest, WingmanError
from wingman.server.bodies import CountedRequest
from wingman.server.decoding import decode

__all__ = [
    "UnsupportedMediaType",
    "body",
    "json_response",
    "next_page",
    "page_query",
    "preferences",
    "query_int",
    "release_body",
]

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class UnsupportedMediaType(WingmanError):
    """A body that does not say that it is JSON."""

    code = "unsupported_media_type"


async def body(kind: type[T], *, ignore: Collection[str] = (), may_be_empty: bool = False) -> T:
    """The request's body as a value of this type.

    `ignore` names fields that a client may send back to us and cannot change. Raises
    `InvalidRequest`, with the path of what does not fit.
    """
    data = cast("bytes", await request.get_data(cache=False))
    if not data and may_be_empty:
        data = b"{}"
    elif request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with `Content-Type: application/json`.")
    return decode(data, kind, ignore)


def release_body() -> None:
    """Let go of the request's body: whatever it said is held by somebody else now."""
    cast("CountedRequest", request).body.release()


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as a JSON response."""
    return Response(_encode(value), status=status, headers=headers, content_type="application/json")


def preferences(fields: Iterable[str]) -> Mapping[str, str]:
    """What a request would prefer, by the names in lower case (RFC 7240): the fields of `Prefer`.

    Of a preference that comes twice the first counts, and parameters say nothing to us.
    """
    found: dict[str, str] = {}
    for field in fields:
        for preference in parse_http_list(field):
            name, _, value = preference.partition(";")[0].partition("=")
            found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return {name: value for name, value in found.items() if name}


def query_int(name: str, default: int, *, least: int, most: int) -> int:
    """A number of the query string, within bounds."""
    text = request.args.get(name)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise InvalidRequest(
            f"{name} is a number from {least} to {most}, not {text!r} - at `?{name}`"
        )
    return number


def page_query(default: int) -> tuple[int, int | None]:
    """Which page of a list is asked for: how many entries, and after which cursor."""
    limit = query_int("limit", default, least=1, most=1000)
    if "cursor" not in request.args:
        return limit, None
    return limit, query_int("cursor", 0, least=1, most=2**63 - 1)


def next_page(
    path: str, limit: int, cursor: int | None, query: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """The header that leads to a list's next page, where there is one (RFC 8288)."""
    if cursor is None:
        return {}
    target = urlencode({**query, "limit": limit, "cursor": cursor}, safe=",")
    return {"Link": f'<{path}?{target}>; rel="next"'}
