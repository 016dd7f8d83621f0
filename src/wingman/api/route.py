"""Route: one line of the contract's table, and what is said with each of its parts."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

__all__ = [
    "DELETED",
    "LINK",
    "LOCATION",
    "STORE",
    "WRITE",
    "Answer",
    "Body",
    "Cursor",
    "Deleted",
    "Header",
    "Limit",
    "Method",
    "Route",
    "Time",
    "parameters_of",
    "pattern_of",
]

Method: TypeAlias = Literal["GET", "POST", "PUT", "DELETE"]


class Body(msgspec.Struct, frozen=True):
    """What a request carries: JSON of this type, `example` one that is taken.

    `optional`: no body at all is the same as `{}`. `ignored` are the fields that a client may send
    back as it got them; they change nothing. `raw`: the handler takes the bytes, and answers in its
    own way what is wrong with them.
    """

    type: type[Any]
    example: Mapping[str, Any] | None = None
    optional: bool = False
    ignored: frozenset[str] = frozenset()
    raw: bool = False


class Header(msgspec.Struct, frozen=True):
    """A header that a request may have, or that an answer has. `schema` is its JSON Schema."""

    name: str
    description: str
    schema: Mapping[str, Any] = msgspec.field(default_factory=lambda: {"type": "string"})


class Answer(msgspec.Struct, frozen=True):
    """What one status of a route is answered with.

    `type` is the JSON's; None where it is not JSON. It has one of the `media_types` then, or no
    body where there are none, and `frames` is what a stream of Server-Sent Events has in it.
    """

    status: int
    description: str
    type: Any = None
    media_types: tuple[str, ...] = ("application/json",)
    frames: Any = None
    headers: tuple[Header, ...] = ()


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path.

    `name` is its operation's id; the server has a handler of this name. `path` has its parameters
    in braces; the last may be `{name...}`, which takes slashes as well. `query` is a Struct of the
    query's parameters: one that it does not have is refused, unless `ignores_query`. A status may
    have several `answers`, of different media types.
    `errors` are the codes that it may answer beside those of every route, and `error_headers` what
    such an answer may have.
    """

    name: str
    method: Method
    path: str
    section: str
    summary: str
    answers: tuple[Answer, ...]
    body: Body | None = None
    query: type[Any] | None = None
    headers: tuple[Header, ...] = ()
    errors: tuple[str, ...] = ()
    error_headers: tuple[Header, ...] = ()
    needs_token: bool = True
    ignores_query: bool = False
    description: str = ""


def parameters_of(path: str) -> tuple[str, ...]:
    """The names of a path's parameters, in order."""
    return tuple(
        part[1:-1].removesuffix("...")
        for part in path.split("/")
        if part.startswith("{") and part.endswith("}")
    )


def pattern_of(path: str) -> re.Pattern[str]:
    """What requests' paths look like that this path takes, to the last slash."""
    parts = []
    for part in path.split("/"):
        if part.startswith("{"):
            parts.append(".+" if part.endswith("...}") else "[^/]+")
        else:
            parts.append(re.escape(part))
    return re.compile("/".join(parts), re.DOTALL)


LOCATION: Final = Header("Location", "The path of what was made, or of the message's run.")
"""Where what a request has made is read."""

LINK: Final = Header("Link", '`<path>; rel="next"`: the next page, where there are more.')
"""Where a list goes on."""

Limit: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1000, description="How many at most.")]
"""How many entries of a list are asked for."""

Cursor: TypeAlias = Annotated[
    int, msgspec.Meta(ge=1, le=2**63 - 1, description="That of a `Link` header.")
]
"""After which entry a list goes on."""

Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""When something was: RFC 3339, in UTC."""

STORE: Final = ("store_error", "store_unavailable")
"""The errors of what is read from the store."""

WRITE: Final = ("shutting_down", *STORE)
"""The errors of what changes something."""


class Deleted(msgspec.Struct, frozen=True):
    """Something is gone."""

    status: Literal["deleted"] = "deleted"


DELETED: Final = Answer(200, "It is gone.", Deleted)
