"""Handlers: the functions behind the contract's routes, each by the name of its route.

A handler takes what its route's path, query and body say, as keyword arguments: the parameters of
the path as text, `query` and `body` as the Structs of the table, a raw body as bytes. It returns
the answer's value, or a `Response` where the answer is more than that.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias, TypeVar

from quart import Quart, Response

from wingman.api import ROUTES, Route, parameters_of, pattern_of
from wingman.server.exchange import decode_body, decode_query, json_response, refuse_query

__all__ = ["Handler", "Handlers", "Refresh", "serve_contract"]

Handler: TypeAlias = Callable[..., Awaitable[Any]]

Refresh: TypeAlias = Callable[[], Awaitable[None]]

# What all nodes keep a copy of.
_COPIED: Final = frozenset({"agents", "providers", "mcp_servers"})

H = TypeVar("H", bound=Handler)


class Handlers:
    """Some handlers, by the names of their routes, which are their own."""

    def __init__(self) -> None:
        self._all: list[Handler] = []

    def add(self, handler: H) -> H:
        """Take a function as the handler of the route that has its name."""
        self._all.append(handler)
        return handler

    def __iter__(self) -> Iterator[Handler]:
        """All of them."""
        return iter(self._all)


def serve_contract(
    app: Quart,
    handlers: Iterable[Handlers],
    routes: Iterable[Route] = ROUTES,
    refresh: Refresh | None = None,
) -> None:
    """Register a handler for each route of the contract.

    `refresh` has this node know what other nodes have changed; it is called before what is about
    that.

    Raises ValueError, with all that is wrong, where routes and handlers do not fit together: a name
    that comes twice or stands on one side alone, a handler that does not take what its route gives,
    a path that cannot be, or one whose requests would go to another route.
    """
    routes = tuple(routes)
    known = [handler for some in handlers for handler in some]
    by_name = {handler.__name__: handler for handler in known}
    problems = [
        *_about_names(routes, [handler.__name__ for handler in known]),
        *_about_paths(routes),
        *(
            problem
            for route in routes
            if route.name in by_name
            for problem in _about_arguments(route, by_name[route.name])
        ),
    ]
    if problems:
        raise ValueError("The contract cannot be served. " + " ".join(problems))
    for route in routes:
        view = _view(route, by_name[route.name], refresh if route.section in _COPIED else None)
        app.add_url_rule(_rule(route.path), route.name, view, methods=[route.method])


def _about_names(routes: tuple[Route, ...], handlers: list[str]) -> Iterator[str]:
    names = [route.name for route in routes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"Two routes have the name {name!r}."
    for name in sorted({name for name in handlers if handlers.count(name) > 1}):
        yield f"Two handlers have the name {name!r}."
    for name in sorted(set(names) - set(handlers)):
        yield f"The route {name!r} has no handler: add a function of this name to its section."
    for name in sorted(set(handlers) - set(names)):
        yield f"The handler {name!r} has no route: write one in wingman.api, with this name."


def _about_paths(routes: tuple[Route, ...]) -> Iterator[str]:
    shapes: dict[tuple[str, str], str] = {}
    for route in routes:
        names = parameters_of(route.path)
        if len(set(names)) < len(names) or {"query", "body"} & set(names):
            yield f"The path of {route.name!r} names a parameter twice, or `query` or `body`."
        pieces = route.path.split("/")
        plain = [piece for piece in pieces[1:] if not piece.startswith("{")]
        whole = route.path == "/" or (not pieces[0] and all(pieces[1:]))
        if not whole or any(set("{}<>?#%") & set(piece) for piece in plain):
            yield f"{route.path!r} of {route.name!r} is no path: it is such as `/things/{{id}}`."
        elif "...}" in route.path.removesuffix("...}"):
            yield f"In the path of {route.name!r} a parameter takes slashes that is not the last."
        first = shapes.setdefault((route.method, pattern_of(route.path).pattern), route.name)
        if first != route.name:
            yield f"{route.name!r} would never be asked: {first!r} has the same method and path."
        for other in routes:
            # The token is looked at before a method and a route are found.
            theirs = pattern_of(other.path)
            if route.needs_token and not other.needs_token and theirs.fullmatch(route.path):
                yield (
                    f"{route.name!r} needs the token and would be served without it: its path is "
                    f"one of {other.name!r}, which needs none."
                )


def _about_arguments(route: Route, handler: Handler) -> Iterator[str]:
    given: dict[str, Any] = dict.fromkeys(parameters_of(route.path), str)
    if route.query is not None:
        given["query"] = route.query
    if route.body is not None:
        given["body"] = bytes if route.body.raw else route.body.type
    takes = {
        name: parameter.annotation
        for name, parameter in inspect.signature(handler, eval_str=True).parameters.items()
    }
    for name in sorted(given.keys() - takes.keys()):
        yield f"The handler {route.name!r} does not take `{name}`, which its route has."
    for name in sorted(takes.keys() - given.keys()):
        yield f"The handler {route.name!r} takes `{name}`, which its route does not have."
    for name in sorted(given.keys() & takes.keys()):
        if takes[name] is not given[name]:
            yield (
                f"The handler {route.name!r} takes `{name}` as {_named(takes[name])}; its route "
                f"gives {_named(given[name])}."
            )
    if not inspect.iscoroutinefunction(handler):
        yield f"The handler {route.name!r} is not async."


def _named(kind: Any) -> str:
    return "what it does not say" if kind is inspect.Parameter.empty else kind.__name__


def _rule(path: str) -> str:
    """A path as Werkzeug writes it."""
    for name in parameters_of(path):
        path = path.replace(f"{{{name}...}}", f"<path:{name}>").replace(f"{{{name}}}", f"<{name}>")
    return path


def _view(
    route: Route, handler: Handler, refresh: Refresh | None
) -> Callable[..., Awaitable[Response]]:
    body, query, status = route.body, route.query, route.answers[0].status

    async def view(**arguments: Any) -> Response:
        if query is not None:
            arguments["query"] = decode_query(query)
        elif not route.ignores_query:
            refuse_query()
        if body is not None:
            arguments["body"] = await decode_body(body)
        if refresh is not None:
            await refresh()
        answer = await handler(**arguments)
        return answer if isinstance(answer, Response) else json_response(answer, status)

    return view
