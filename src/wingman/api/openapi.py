"""The table of routes as an OpenAPI 3.1 document.

https://spec.openapis.org/oas/v3.1.1.html. The schemas are msgspec's own for the Structs of the
contract. OpenAPI has no word yet for the events of a stream: they are in `components`, as frames
with their event's name, and a stream's answer names them in `x-frames`.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from wingman.api.errors import CODES, EVERYWHERE, OF_A_SESSION, WITH_A_BODY, ErrorAnswer
from wingman.api.frames import RUN_STREAM, SESSION_STREAM, Frames
from wingman.api.route import Answer, Header, Route, parameters_of
from wingman.api.routes import ROUTES, SECTIONS
from wingman.api.schemas import typed, without_defaults

__all__ = ["document", "statuses_of"]

_REF: Final = "#/components/schemas/{name}"
_STREAMS: Final = (RUN_STREAM, SESSION_STREAM)

Json = dict[str, Any]


@cache
def document(version: str) -> Json:
    """The document; `version` is that of the server."""
    schemas, components = _schemas()
    for stream in _STREAMS:
        components |= _frames(stream, schemas)
    paths: dict[str, Json] = {}
    for route in ROUTES:
        path = route.path.replace("...}", "}")
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wingman",
            "version": version,
            "summary": "A runtime for sessions of language model agents.",
            "description": _EVERY_PATH,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The server that this document comes from."}],
        "tags": [{"name": name, "description": text} for name, text in SECTIONS.items()],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed where the server was started with a token.",
                }
            },
        },
    }


def statuses_of(route: Route) -> dict[int, list[str]]:
    """The codes of the errors that a route may answer, by status."""
    codes = [*EVERYWHERE, *route.errors]
    if {"session_id", "run_id"} & {*parameters_of(route.path)}:
        codes += OF_A_SESSION
    if route.needs_token:
        codes.append("unauthorized")
    if route.body is not None:
        codes += WITH_A_BODY
    elif not route.ignores_query:
        codes.append("invalid_request")
    found: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        found.setdefault(CODES[code].status, []).append(code)
    return dict(sorted(found.items()))


def _types() -> list[Any]:
    types: list[Any] = [ErrorAnswer]
    for route in ROUTES:
        if route.body is not None:
            types.append(route.body.type)
        types += [answer.type for answer in route.answers if answer.type is not None]
        if route.query is not None:
            types.append(route.query)
    for stream in _STREAMS:
        types += stream.data.values()
    return list(dict.fromkeys(types))


def _schemas() -> tuple[Mapping[Any, Json], Json]:
    """The schema of each type, and the components that they refer to.

    Queries are taken apart into parameters, so no component is one.
    """
    types = _types()
    found, components = msgspec.json.schema_components(types, ref_template=_REF)
    found, components = typed(list(found)), typed(components)
    queries = {route.query.__name__ for route in ROUTES if route.query is not None}
    schemas = {
        type_: components[type_.__name__] if getattr(type_, "__name__", "") in queries else schema
        for type_, schema in zip(types, found, strict=True)
    }
    return schemas, {
        name: without_defaults(one) for name, one in components.items() if name not in queries
    }


def _frames(stream: Frames, schemas: Mapping[Any, Json]) -> Json:
    """The frames of a stream: one component each, and their union."""
    components: Json = {}
    mapping: dict[str, str] = {}
    for event, type_ in stream.data.items():
        name = "".join(part.title() for part in event.split("_")) + stream.name
        data = schemas[type_]
        if event in stream.with_run_id:
            run_id = {
                "type": "object",
                "properties": {"run_id": {"type": "string"}},
                "required": ["run_id"],
            }
            data = {"allOf": [data, run_id]}
        components[name] = {
            "title": name,
            "type": "object",
            "properties": {
                "id": {"type": "integer", "description": "The session's sequence number."},
                "event": {"type": "string", "const": event},
                "data": data,
            },
            "required": ["event", "data"],
        }
        mapping[event] = _REF.format(name=name)
    components[stream.name] = {
        "title": stream.name,
        "oneOf": [{"$ref": ref} for ref in mapping.values()],
        "discriminator": {"propertyName": "event", "mapping": mapping},
    }
    return components


def _operation(route: Route, schemas: Mapping[Any, Json]) -> Json:
    operation: Json = {
        "operationId": route.name,
        "tags": [route.section],
        "summary": route.summary,
        "description": route.description or f"{route.summary}.",
        "parameters": [*_parameters(route, schemas)],
        "responses": _responses(route, schemas),
    }
    if not route.needs_token:
        operation["security"] = []
    if route.body is not None:
        content: Json = {"schema": schemas[route.body.type]}
        if route.body.example is not None:
            content["example"] = route.body.example
        operation["requestBody"] = {
            "required": not route.body.optional,
            "content": {"application/json": content},
        }
    return operation


def _parameters(route: Route, schemas: Mapping[Any, Json]) -> Iterable[Json]:
    for name in parameters_of(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if route.query is not None:
        for name, schema in schemas[route.query]["properties"].items():
            text = {key: value for key, value in schema.items() if key != "description"}
            parameter = {"name": name, "in": "query", "required": False, "schema": text}
            if "description" in schema:
                parameter["description"] = schema["description"]
            yield parameter
    for header in route.headers:
        yield {
            "name": header.name,
            "in": "header",
            "required": False,
            "description": header.description,
            "schema": header.schema,
        }


def _responses(route: Route, schemas: Mapping[Any, Json]) -> Json:
    responses: Json = {}
    for answer in route.answers:
        _add(responses, answer.status, _answer(answer, schemas))
    for status, codes in statuses_of(route).items():
        headers = (*_EVERY_ANSWER, *_BY_STATUS.get(status, ()), *route.error_headers)
        error = {
            "description": "; ".join(f"`{code}`: {CODES[code].when}" for code in codes),
            "headers": _headers(headers),
            "content": {"application/json": {"schema": _error(codes, schemas)}},
        }
        _add(responses, status, error)
    return responses


def _add(responses: Json, status: int, answer: Json) -> None:
    """Put an answer beside those that there are of its status."""
    known = responses.setdefault(str(status), answer)
    if known is answer:
        return
    known["description"] = f"{known['description']} Or: {answer['description']}"
    known["headers"] |= answer["headers"]
    for kind, content in answer["content"].items():
        other = known["content"].setdefault(kind, content)
        if other is not content:
            known["content"][kind] = {"schema": {"anyOf": [other["schema"], content["schema"]]}}


def _error(codes: list[str], schemas: Mapping[Any, Json]) -> Json:
    """The errors' body, with the codes that can stand there.

    The codes stand beside the reference: for a generator every error is then of one type, and its
    code a text, so that a client of today can read a code of tomorrow.
    """
    code = {"type": "object", "properties": {"code": {"type": "string", "enum": codes}}}
    return {**schemas[ErrorAnswer], "properties": {"error": code}}


def _answer(answer: Answer, schemas: Mapping[Any, Json]) -> Json:
    content: Json = {"schema": {"type": "string"}}
    if answer.type is not None:
        content["schema"] = schemas[answer.type]
    if answer.frames is not None:
        content["schema"] = _event(answer.frames)
        content["x-frames"] = {"$ref": _REF.format(name=answer.frames.name)}
    return {
        "description": answer.description,
        "headers": _headers((*_EVERY_ANSWER, *answer.headers)),
        "content": dict.fromkeys(answer.media_types, content),
    }


def _event(stream: Frames) -> Json:
    """One event of a stream, as whoever parses Server-Sent Events has it; its data is JSON."""
    return {
        "type": "object",
        "description": "One Server-Sent Event; `x-frames` has its data.",
        "properties": {
            "id": {"type": "string"},
            "event": {"type": "string", "enum": list(stream.data)},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
        "required": ["event", "data"],
    }


def _headers(headers: Iterable[Header]) -> Json:
    return {
        header.name: {"description": header.description, "schema": header.schema}
        for header in headers
    }


_EVERY_PATH: Final = """\
What holds for every path and stands at no operation:

- `HEAD` is answered where `GET` is, as `GET` without the body. `OPTIONS` is 200, with `Allow`.
- Another method is 405 `method_not_allowed`, with `Allow`; another path is 404 `not_found`.
- A slash at a path's end changes nothing, except that a path which needs no token needs one then.
  What stands for a parameter of the path is percent-encoded.
- A parameter of the query that is unknown or given twice is 400 `invalid_request`, except at
  `/health`.
- `Accept` is not looked at, except at `POST /mcp`: each answer has the one media type that stands
  here.
- A header `X-Request-ID` of the request, 1 to 128 of `A-Z a-z 0-9 . _ : -`, is kept in the answer.
"""
_EVERY_ANSWER: Final = (
    Header("X-Request-ID", "The id of the request: its own, or one that the server made."),
)
_RETRY_AFTER: Final = Header(
    "Retry-After", "When to ask again, in seconds.", {"type": "integer", "minimum": 1}
)
_BY_STATUS: Final[Mapping[int, tuple[Header, ...]]] = {
    401: (Header("WWW-Authenticate", "`Bearer`."),),
    429: (_RETRY_AFTER,),
    503: (_RETRY_AFTER,),
}
