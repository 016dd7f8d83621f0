"""What a document says, one sentence each: what is said once is to be said in every later one.

oasdiff compares bodies. It is silent on the headers of answers, the errors' codes and statuses, the
defaults, the operations' ids, which of them need no token, and on the events of streams.
"""

from collections.abc import Iterator
from typing import Any

__all__ = ["said"]


def said(document: Any) -> set[str]:
    """All that a document says which a client may rely on."""
    return {
        sentence
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for sentence in _operation(document, f"{method.upper()} {path}", operation)
    }


def _operation(document: Any, route: str, operation: Any) -> Iterator[str]:
    yield f"{route} is {operation['operationId']}"
    if operation.get("security") == []:
        yield f"{route} needs no token"
    for parameter in operation["parameters"]:
        what = f"{route} takes the {parameter['in']}'s {parameter['name']}"
        yield what
        yield from _schema(document, what, parameter["schema"], ())
    for content in operation.get("requestBody", {"content": {}})["content"].values():
        yield from _schema(document, f"{route} takes $", content["schema"], ())
    for status, response in operation["responses"].items():
        answer = f"{route} answers {status}"
        yield answer
        for header in response["headers"]:
            yield f"{answer} with {header}"
        for kind, content in response["content"].items():
            yield f"{answer} in {kind}"
            yield from _schema(document, f"{answer} $", content["schema"], (), answers=True)
            if "x-frames" in content:
                yield from _schema(document, f"{route} sends $", content["x-frames"], (), True)


def _schema(
    document: Any, at: str, schema: Any, above: tuple[str, ...], answers: bool = False
) -> Iterator[str]:
    """What a schema says of the value at a place. `above` are the components that it is part of."""
    reference = schema.get("$ref")
    if reference is not None and reference not in above:
        component = document["components"]["schemas"][reference.rpartition("/")[2]]
        yield from _schema(document, at, component, (*above, reference), answers)
    for member in schema.get("allOf", ()):
        yield from _schema(document, at, member, above, answers)
    for member in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        place = f"{at}<{_tag(document, member)}>"
        yield place
        yield from _schema(document, place, member, above, answers)
    for word in ("type", "const", "format", "default"):
        if word in schema:
            yield f"{at}: {word} {schema[word]!r}"
    if schema.get("description", "").startswith("By default"):
        yield f"{at}: {schema['description']}"
    for value in schema.get("enum", ()):
        yield f"{at}: may be {value!r}"
    for name, field in schema.get("properties", {}).items():
        yield f"{at}.{name}"
        yield from _schema(document, f"{at}.{name}", field, above, answers)
    if answers:
        yield from (f"{at}.{name} is always there" for name in schema.get("required", ()))
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _schema(document, f"{at}[]", schema[word], above, answers)


def _tag(document: Any, member: Any) -> str:
    """By what a member of a union is told from the others."""
    if "$ref" in member:
        member = document["components"]["schemas"][member["$ref"].rpartition("/")[2]]
    for field in member.get("properties", {}).values():
        if "const" in field or len(field.get("enum", ())) == 1:
            return str(field["const"] if "const" in field else field["enum"][0])
    return str(member.get("title") or member.get("type", ""))
