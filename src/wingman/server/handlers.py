"""Handlers: the functions behind the contract's routes, each by the name of its route.

A handler takes what its route's path, query and body say, as keyword arguments: the parameters of
the path as text, `query` and `body` as the Structs of the table. It returns the answer's value,
or a `Response` where the answer is more than that.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeAlias, TypeVar

from quart import Quart, Response

from wingman.api import ROUTES, Route, parameters_of
from wingman.server.exchange import decode_body, decode_query, json_response, refuse_query

__all__ = ["Handler", "Handlers", "serve_contract"]

Handler: TypeAlias = Callable[..., Awaitable[Any]]

H = TypeVar("H", bound=Handler)


class Handlers:
    """Some handlers, by the names of their routes, which are their own."""

    def __init__(self) -> None:
        self._by_name: dict[str, Handler] = {}

    def add(self, handler: H) -> H:
        """Take a function as the handler of the route that has its name."""
        self._by_name[handler.__name__] = handler
        return handler

    def items(self) -> Iterator[tuple[str, Handler]]:
        """All of them, with their names."""
        return iter(self._by_name.items())


def serve_contract(app: Quart, handlers: Iterable[Handlers]) -> None:
    """Register a handler for each route of the contract.

    Raises ValueError where a route has none, or a handler has no route.
    """
    by_name = {name: handler for some in handlers for name, handler in some.items()}
    if wrong := by_name.keys() ^ {route.name for route in ROUTES}:
        raise ValueError(f"a route without a handler, or the other way round: {sorted(wrong)}")
    for route in ROUTES:
        view = _view(route, by_name[route.name])
        app.add_url_rule(_rule(route.path), route.name, view, methods=[route.method])


def _rule(path: str) -> str:
    """A path as Werkzeug writes it."""
    for name in parameters_of(path):
        path = path.replace(f"{{{name}...}}", f"<path:{name}>").replace(f"{{{name}}}", f"<{name}>")
    return path


def _view(route: Route, handler: Handler) -> Callable[..., Awaitable[Response]]:
    body, query, status = route.body, route.query, route.answers[0].status

    async def view(**arguments: Any) -> Response:
        if query is not None:
            arguments["query"] = decode_query(query)
        elif not route.ignores_query:
            refuse_query()
        if body is not None:
            arguments["body"] = await decode_body(body)
        answer = await handler(**arguments)
        return answer if isinstance(answer, Response) else json_response(answer, status)

    return view
