"""Requests into values and values into responses: JSON, strictly typed, errors with a path."""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from quart import Response, request

from wingman.api import Body
from wingman.errors import InvalidRequest, WingmanError

__all__ = [
    "UnsupportedMediaType",
    "created",
    "decode_body",
    "decode_query",
    "json_response",
    "refuse_query",
]

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class UnsupportedMediaType(WingmanError):
    """A body that does not say that it is JSON."""

    code = "unsupported_media_type"


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


async def decode_body(body: Body) -> Any:
    """The request's body as a value of its type.

    Raises `InvalidRequest`, with the path of what does not fit.
    """
    data = cast("bytes", await request.get_data())
    if not data and body.optional:
        data = b"{}"
    elif request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with `Content-Type: application/json`.")
    try:
        if not body.ignored:
            return _decoder(cast("Hashable", body.type)).decode(data)
        fields = _decoder(dict[str, Any]).decode(data)
        return msgspec.convert(
            {name: value for name, value in fields.items() if name not in body.ignored}, body.type
        )
    except msgspec.ValidationError as error:
        text = str(error)  # msgspec names every place but the outermost
        raise InvalidRequest(text if " - at `" in text else f"{text} - at `$`") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deeply") from error


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
        raise InvalidRequest(str(error).replace("`$.", "`?")) from error


def refuse_query() -> None:
    """Raise `InvalidRequest` if there is any parameter in the query."""
    for name in request.args:
        raise InvalidRequest(f"There are no parameters here - at `?{name}`")


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as a JSON response."""
    return Response(_encode(value), status=status, headers=headers, content_type="application/json")


def created(value: Any, location: str) -> Response:
    """What a request has made, and where it is read."""
    return json_response(value, 201, {"Location": location})
