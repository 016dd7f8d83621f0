"""The OpenAPI document: valid, complete, and true."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio
from openapi_spec_validator import validate

from contract import OPERATIONS
from server_kit import Server, call, serving
from wingman.api import CODES, ROUTES, Route, document, parameters_of
from wingman.api.openapi import statuses_of
from wingman.server.errors import status_of


def operations() -> list[tuple[str, dict[str, Any]]]:
    return [(route.name, OPERATIONS[route.name]) for route in ROUTES]


def test_the_document_is_valid_openapi() -> None:
    text = json.dumps(document("1.2.3"))
    validate(json.loads(text))
    assert json.loads(text)["info"]["version"] == "1.2.3"


def test_every_route_is_in_it_once() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert OPERATIONS.keys() == {route.name for route in ROUTES}


def test_all_that_is_referred_to_is_there_and_all_that_is_there_is_referred_to() -> None:
    text = json.dumps(document("0"))
    schemas = document("0")["components"]["schemas"]
    for name in schemas:
        assert f'"#/components/schemas/{name}"' in text, name
    used = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert used == schemas.keys()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_names_errors_that_there_are(route: Route) -> None:
    assert set(route.errors) <= CODES.keys()
    for status, codes in statuses_of(route).items():
        assert {status_of(code) for code in codes} == {status}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_says_what_any_request_may_be_answered_for_its_connections_sake(
    route: Route,
) -> None:
    statuses = statuses_of(route)
    assert "invalid_request" in statuses[400]  # it is no HTTP/1.1, or malformed
    assert "overloaded" in statuses[503]  # there are too many connections


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_says_what_it_takes_and_gives(route: Route) -> None:
    operation = OPERATIONS[route.name]
    assert operation["summary"]
    assert operation["description"]
    paths = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
    assert paths == list(parameters_of(route.path))
    queries = [p["name"] for p in operation["parameters"] if p["in"] == "query"]
    assert queries == ([] if route.query is None else list(route.query.__struct_fields__))
    assert ("requestBody" in operation) == (route.body is not None)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


async def example(server: Server, route: Route) -> httpx.Response:
    """Send the example of a route, to things that are there."""
    session_id = await server.session()
    ids = {"agent_id": await server.agent(), "session_id": session_id, "run_id": "", "name": "x"}
    if "{run_id}" in route.path:
        await server.send(session_id)
        runs = await server.client.get(f"/sessions/{session_id}/runs")
        ids["run_id"] = runs.json()[0]["id"]
    if "{permission_id}" in route.path or route.name == "steer_run":
        ids |= await a_request(server)
    if route.section == "mcp_servers":
        await server.client.put("/mcp/x", json={"command": ["true"]})
    path = route.path.format_map(ids | {"tool_use_id": "toolu_1"})
    body = None if route.body is None else route.body.example
    return await server.client.request(route.method, path, json=body)


async def a_request(server: Server) -> dict[str, str]:
    """The ids of a request for a permission that waits, and of its session."""
    session_id = await server.session(tools=["bash"], permissions="ask")
    server.stage.play(call("bash", command="true"))
    await server.start(session_id)
    with trio.fail_after(10):
        while True:
            answer = await server.client.get(f"/sessions/{session_id}/permissions")
            for request in answer.json():
                names = {"permission_id": request["id"], "run_id": request["run_id"]}
                return {"session_id": session_id, **names}
            await trio.sleep(0.01)


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.body is not None and route.body.example is not None],
    ids=lambda route: route.name,
)
async def test_the_example_of_a_body_is_taken(server: Server, route: Route) -> None:
    assert (await example(server, route)).status_code == route.answers[0].status


async def test_the_server_gives_the_document(server: Server) -> None:
    answer = await server.client.get("/openapi.json")
    assert answer.json()["paths"] == json.loads(json.dumps(document("0")["paths"]))


async def test_the_page_and_all_that_it_loads_come_from_the_server() -> None:
    async with serving(token="secret") as server:
        page = await server.client.get("/docs")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
            assert f"/docs/{asset}" in page.text
            answer = await server.client.get(f"/docs/{asset}")
            assert answer.status_code == 200
            assert answer.content
        assert "http" not in page.text.replace("http contract", "").replace("HTTP", "")
        assert "default-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("asset", ["index.html", "%2e%2e", "..%2f__init__.py", "LICENSE"])
async def test_no_other_file_is_given(server: Server, asset: str) -> None:
    assert (await server.client.get(f"/docs/{asset}")).status_code == 404


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/tools?limit=3", "`?limit`"),
        ("/agents?limit=0", "`?limit`"),
        ("/runs/r1?wait=301", "`?wait`"),
        ("/sessions?limit=0", "`?limit`"),
        ("/sessions?limit=x", "`?limit`"),
        ("/sessions?limit=2&limit=3", "`?limit`"),
        ("/sessions?cusror=3", "no parameter `cusror` here; there are: limit, cursor"),
        ("/runs?state=running", "state"),
        ("/openapi.json?x", "`?x`"),
    ],
)
async def test_a_parameter_that_is_unknown_or_does_not_fit_is_refused(
    server: Server, target: str, said: str
) -> None:
    answer = await server.client.get(target)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


async def test_whoever_watches_the_server_may_add_to_the_query(server: Server) -> None:
    assert (await server.client.get("/health?now=3")).status_code == 200
