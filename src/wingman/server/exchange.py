"""Requests into values and values into responses: JSON, strictly typed, errors with a path."""

from collections.abc import Collection, Hashable
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from quart import Response, request

from wingman.errors import InvalidRequest, WingmanError
from wingman.schemas import fitted, schema_of

__all__ = ["UnsupportedMediaType", "body", "json_response", "query_int"]

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class UnsupportedMediaType(WingmanError):
    """A body that does not say that it is JSON."""

    code = "unsupported_media_type"


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _schema(kind: Any) -> dict[str, Any]:
    return schema_of(kind)


async def body(kind: type[T], *, ignore: Collection[str] = (), may_be_empty: bool = False) -> T:
    """The request's body as a value of this type.

    `ignore` names fields that a client may send back to us and cannot change. Raises
    `InvalidRequest`, with the path of what does not fit.
    """
    data = cast("bytes", await request.get_data())
    if not data and may_be_empty:
        data = b"{}"
    elif request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as JSON, with `Content-Type: application/json`.")
    try:
        return _decoded(data, kind, ignore)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deeply") from error


def _decoded(data: bytes, kind: type[T], ignore: Collection[str]) -> T:
    if not ignore:
        try:
            value: T = _decoder(cast("Hashable", kind)).decode(data)
        except msgspec.ValidationError:
            pass  # a whole number may be written `3.0`: JSON Schema takes that for an integer
        else:
            return value
    fields = _decoder(dict[str, Any]).decode(data)
    fields = {name: field for name, field in fields.items() if name not in ignore}
    fields = fitted(fields, _schema(cast("Hashable", kind)), drop_nulls=False)
    return msgspec.convert(fields, kind)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as a JSON response."""
    return Response(_encode(value), status=status, headers=headers, content_type="application/json")


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
