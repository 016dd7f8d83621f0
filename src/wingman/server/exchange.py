"""Requests into values and values into responses."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast
from urllib.parse import urlencode
from urllib.request import parse_http_list

import msgspec
from quart import Response, request

from wingman.api import Body
from wingman.errors import InvalidRequest, WingmanError
from wingman.server.bodies import CountedRequest
from wingman.server.decoding import decode

__all__ = [
    "UnsupportedMediaType",
    "created",
    "decode_body",
    "decode_query",
    "json_response",
    "next_page",
    "preferences",
    "refuse_query",
    "release_body",
]

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class UnsupportedMediaType(WingmanError):
    """A body that does not say that it is JSON."""

    code = "unsupported_media_type"


async def decode_body(body: Body) -> Any:
    """The request's body as a value of its type, or as it came where that is asked for.

    Raises `InvalidRequest`, with the path of what does not fit.
    """
    data = await cast("CountedRequest", request).whole_body()
    if not data and body.optional:
        data = b"{}"
    elif request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with `Content-Type: application/json`.")
    return data if body.raw else decode(data, body.type, body.ignored)


def decode_query(kind: type[T]) -> T:
    """The parameters of the query as a value of this Struct.

    Raises `InvalidRequest` for a parameter that is unknown, given twice, or does not fit.
    """
    given: dict[str, str] = {}
    for name, value in request.args.items(multi=True):
        if name in given:
            raise InvalidRequest(f"The parameter is given twice - at `?{name}`")
        given[name] = value
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequest(_about_the_query(str(error), kind)) from error


def _about_the_query(error: str, kind: type[Any]) -> str:
    """An error of msgspec's about an object, in the words of a query."""
    unknown = error.removeprefix("Object contains unknown field ")
    if unknown != error:
        known = ", ".join(kind.__struct_fields__)
        return f"There is no parameter {unknown} here; there are: {known}"
    return error.replace("`$.", "`?")


def refuse_query() -> None:
    """Raise `InvalidRequest` if there is any parameter in the query."""
    for name in request.args:
        raise InvalidRequest(f"There are no parameters here - at `?{name}`")


def release_body() -> None:
    """Let go of the request's body: whatever it said is held by somebody else now."""
    cast("CountedRequest", request).body.release()


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as a JSON response."""
    return Response(_encode(value), status=status, headers=headers, content_type="application/json")


def created(value: Any, location: str) -> Response:
    """What a request has made, and where it is read."""
    return json_response(value, 201, {"Location": location})


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


def next_page(
    path: str, limit: int, cursor: int | str | None, query: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """The header that leads to a list's next page, where there is one (RFC 8288)."""
    if cursor is None:
        return {}
    target = urlencode({**query, "limit": limit, "cursor": cursor}, safe=",")
    return {"Link": f'<{path}?{target}>; rel="next"'}
