"""Routes and handlers fit together, or the server says at its start what does not."""

from typing import Any

import httpx
import msgspec
import pytest
from quart_trio import QuartTrio

from server_kit import serving
from wingman.api import ROUTES, Body, Deleted, Route, parameters_of, pattern_of
from wingman.api.route import DELETED
from wingman.runtime import Runtime
from wingman.server import Logins
from wingman.server.app import app_of
from wingman.server.handlers import Handlers, serve_contract
from wingman.server.routes import handlers_of


class Order(msgspec.Struct, frozen=True):
    """What is ordered."""

    dish: str


def route(name: str = "order", path: str = "/orders/{id}", **more: Any) -> Route:
    method = more.pop("method", "GET")
    return Route(
        name=name,
        method=method,
        path=path,
        section="server",
        summary="Order",
        answers=(DELETED,),
        **more,
    )


def handlers(*names: str) -> Handlers:
    """Handlers that take an `id`."""
    some = Handlers()
    for name in names:

        async def handler(id: str) -> Deleted:
            return Deleted()

        handler.__name__ = name
        some.add(handler)
    return some


def problems(handlers: Handlers, *routes: Route) -> str:
    with pytest.raises(ValueError, match=r"^The contract cannot be served\. ") as raised:
        serve_contract(QuartTrio("test"), [handlers], routes)
    return str(raised.value)


async def test_the_contract_is_served_by_its_handlers() -> None:
    async with Runtime() as runtime:
        app = QuartTrio("test", static_folder=None)
        serve_contract(app, handlers_of(runtime, Logins(runtime.passes)))
    served = {
        (method, rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(route.method, route.name) for route in ROUTES}


async def test_a_new_route_is_one_entry_and_one_handler() -> None:
    some = Handlers()

    @some.add
    async def order(id: str, body: Order) -> Order:
        return Order(f"{body.dish} for {id}")

    app = app_of([some], [route(method="POST", body=Body(Order))])
    answer = await app.test_client().post("/orders/table%203", json={"dish": "soup"})
    assert await answer.get_json() == {"dish": "soup for table 3"}


def test_a_route_without_a_handler_and_a_handler_without_a_route_are_named() -> None:
    told = problems(handlers("ordr"), route())
    assert "The route 'order' has no handler: add a function of this name" in told
    assert "The handler 'ordr' has no route: write one in wingman.api" in told


def test_two_of_one_name_are_named() -> None:
    told = problems(handlers("order", "order"), route(), route(path="/others/{id}"))
    assert "Two routes have the name 'order'." in told
    assert "Two handlers have the name 'order'." in told


@pytest.mark.parametrize("path", ["/orders/{id}", "/orders/{number}"])
def test_a_route_that_another_one_hides_is_named(path: str) -> None:
    told = problems(handlers("order", "other"), route(), route("other", path))
    assert "'other' would never be asked: 'order' has the same method and path." in told


def test_a_path_may_have_several_methods_and_a_plain_path_comes_before_a_parameter() -> None:
    some = handlers("order", "other")

    @some.add
    async def mine() -> Deleted:
        return Deleted()

    routes = route(), route("other", method="PUT"), route("mine", "/orders/mine")
    serve_contract(QuartTrio("test"), [some], routes)


@pytest.mark.parametrize("path", ["/orders/{id}", "/orders/{id}/secret", "/orders/mine"])
def test_a_route_whose_path_is_open_to_whoever_has_no_token_is_named(path: str) -> None:
    opened = route("opened", "/orders/{id...}", needs_token=False)
    hidden = route("hidden", path, method="PUT")
    told = problems(handlers("opened", "hidden"), opened, hidden)
    assert "'hidden' needs the token and would be served without it: its path is one of " in told


@pytest.mark.parametrize(
    "path", ["orders/{id}", "/orders//{id}", "/or{id}", "/orders/{id}/", "/<id>/{id}", "/a?b=/{id}"]
)
def test_a_path_that_cannot_be_is_named(path: str) -> None:
    assert f"{path!r} of 'order' is no path" in problems(handlers("order"), route(path=path))


def test_a_parameter_with_slashes_is_the_last() -> None:
    told = problems(handlers("order"), route(path="/orders/{id...}/bill"))
    assert "a parameter takes slashes that is not the last" in told


@pytest.mark.parametrize("path", ["/a/{id}/b/{id}", "/a/{id}/{query}", "/a/{id}/{body}"])
def test_a_parameter_of_a_path_has_a_name_of_its_own(path: str) -> None:
    assert "names a parameter twice, or `query` or `body`" in problems(
        handlers("order"), route(path=path)
    )


def test_a_handler_that_does_not_take_what_its_route_gives_is_named() -> None:
    some = Handlers()

    @some.add
    async def order(number: str, body: Deleted) -> Deleted:
        return body

    told = problems(some, route(body=Body(Order), method="POST"))
    assert "The handler 'order' does not take `id`, which its route has." in told
    assert "The handler 'order' takes `number`, which its route does not have." in told
    assert "The handler 'order' takes `body` as Deleted; its route gives Order." in told


def test_a_handler_that_cannot_be_awaited_is_named() -> None:
    some = Handlers()

    def order(id: str) -> Deleted:
        return Deleted()

    some.add(order)  # type: ignore[type-var]
    assert "The handler 'order' is not async." in problems(some, route())


def test_a_pattern_takes_what_its_path_takes() -> None:
    pattern = pattern_of("/a.b/{x}/c/{y...}")
    assert parameters_of("/a.b/{x}/c/{y...}") == ("x", "y")
    assert pattern.fullmatch("/a.b/1\n/c/2/3")
    for path in ("/a.b/1/c", "/a.b//c/2", "/axb/1/c/2", "/a.b/1/2/c/3", "/x/a.b/1/c/2"):
        assert not pattern.fullmatch(path), path


async def test_only_the_open_paths_themselves_need_no_token() -> None:
    async with serving(token="secret") as server, httpx.AsyncClient(base_url=server.url) as bare:
        for path in ("/health", "/docs", "/openapi.json", "/docs/start.js"):
            assert (await bare.get(path)).status_code == 200, path
        for path in ("/openapi_json", "/openapi/json", "/healthy", "/docs/a/b", "/ready"):
            assert (await bare.get(path)).status_code == 401, path
