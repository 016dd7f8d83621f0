"""The contract as a check: what the server answers is what the OpenAPI document says."""

import json
import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from wingman.api import ROUTES, document, pattern_of

DOCUMENT = document("0")
JSON = "application/json"
DESCRIBED = ("location", "link", "preference-applied", "retry-after", "www-authenticate")

_ERROR = {"$ref": "#/components/schemas/ErrorAnswer"}
_NEEDED = {
    201: ("location",),
    202: ("location",),
    401: ("www-authenticate",),
}


async def check_answer(answer: httpx.Response) -> None:
    """An event hook of httpx: the document has this status, these headers, such a body.

    Where there is no operation it has the errors' body all the same.
    """
    request = answer.request
    name = operation_at(request.method, request.url.path)
    assert "x-request-id" in answer.headers, f"{request.method} {request.url} has no id"
    if name is None:
        if answer.status_code >= 400:  # nothing is there, or not by this method
            assert (answer.status_code == 405) == ("allow" in answer.headers)
        if answer.status_code >= 400 and request.method != "HEAD":
            check_json(json.loads(await answer.aread()), _ERROR, f"{request.method} {request.url}")
        return
    body = await answer.aread() if kind_of(answer) == JSON else b""
    if request.method == "HEAD":
        assert not body, f"{name} answered HEAD with a body"
    response = OPERATIONS[name]["responses"].get(str(answer.status_code))
    assert response is not None, f"{name} answered {answer.status_code}: {body[:500]!r}"
    kinds = response["content"]
    if kinds:
        assert kind_of(answer) in kinds or "*/*" in kinds, f"{name} answered {kind_of(answer)}"
    else:
        assert await answer.aread() == b"", f"{name} answered with a body"
    known = {header.lower() for header in response["headers"]}
    for header in DESCRIBED:
        assert header not in answer.headers or header in known, f"{name} answered with {header}"
    if answer.status_code == 202 and "preference-applied" in known:  # it may be waited for as well
        assert "preference-applied" in answer.headers, f"{name} waits for nothing, unasked"
    for header in _NEEDED.get(answer.status_code, ()) if kinds else ():
        assert header in answer.headers, f"{name} {answer.status_code} has no {header}"
    if kind_of(answer) == JSON and request.method != "HEAD":
        check_json(json.loads(body), kinds[JSON]["schema"], f"{name} {answer.status_code}")


def check_frame(event: str, data: Any) -> None:
    """A frame of a stream is one that the document has."""
    streams = [{"$ref": f"#/components/schemas/{name}"} for name in ("RunFrame", "SessionFrame")]
    check_json({"event": event, "data": data}, {"anyOf": streams}, event)


def check_json(value: Any, schema: dict[str, Any], what: str) -> None:
    """A value fits a schema of the document."""
    validator = _validator(json.dumps(schema, sort_keys=True))
    for error in validator.iter_errors(value):
        raise AssertionError(f"{what}: {error} - in {json.dumps(value)[:500]}")


@cache
def _validator(schema: str) -> Any:
    whole = {**json.loads(schema), "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(whole)


def kind_of(answer: httpx.Response) -> str:
    """The media type of an answer."""
    return answer.headers.get("content-type", "").partition(";")[0]


OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
}
_PATHS = [
    (
        route.method,
        re.compile(pattern_of(route.path).pattern + "/?", re.DOTALL),
        route.name,
    )
    for route in sorted(ROUTES, key=lambda route: route.path.count("{"))
]


def operation_at(method: str, path: str) -> str | None:
    """The id of the operation that a request meets: that with the fewest parameters."""
    method = "GET" if method == "HEAD" else method
    for known, rule, name in _PATHS:
        if known == method and rule.fullmatch(path):
            return name
    return None
