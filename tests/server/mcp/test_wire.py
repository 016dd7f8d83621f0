"""What stands on the wire of `POST /mcp`: the odd messages, and those of the wrong generation."""

import base64
import json
import sys
from typing import Any

import httpx
import pytest
import trio

from mcp_kit import BOTH, JSON, NEW, OLD, STREAM, Peer, messages_of, text_of
from server_kit import Server, error_of, serving

CALL = {"name": "list_sessions", "arguments": {}}


def refused(answer: httpx.Response, status: int, code: int, id: Any = None) -> str:
    """The text of an error of JSON-RPC, whose status, code and id are these."""
    said = answer.json()
    assert answer.status_code == status, answer.text
    assert said["error"]["code"] == code, answer.text
    assert said["id"] == id
    return str(said["error"]["message"])


async def post(server: Server, body: Any, **headers: str) -> httpx.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": JSON, "Accept": STREAM, **headers}
    return await server.client.post("/mcp", content=data, headers=given)


async def test_what_is_no_message_is_told_so(server: Server) -> None:
    for body, code, words in (
        (b"{", -32700, "not JSON"),
        (b"", -32700, "not JSON"),
        (b'"\xff"', -32700, "not JSON"),
        (b"[" * 100_000, -32700, "nested"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b'{"a":' * 100_000, -32700, "nested"),
        ([], -32600, "Batches"),
        ([{"jsonrpc": "2.0", "id": 1, "method": "ping"}], -32600, "Batches"),
        (3, -32600, "object"),
        ({"method": "ping"}, -32600, "jsonrpc"),
        ({"jsonrpc": "1.0", "method": "ping"}, -32600, "jsonrpc"),
        ({"jsonrpc": "2.0"}, -32600, "method"),
        ({"jsonrpc": "2.0", "method": 3}, -32600, "method"),
        ({"jsonrpc": "2.0", "method": "ping", "params": []}, -32600, "params"),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, -32600, "asked nothing"),
    ):
        answer = await post(server, body)
        assert words in refused(answer, 400, code), body
    wrong = {"jsonrpc": "2.0", "id": "my id", "method": "ping", "params": 3}
    refused(await post(server, wrong), 400, -32600, "my id")


async def test_ids_come_back_as_they_were(server: Server) -> None:
    for id in (0, 1, -5, 2**53, 12345678901234567890123, "", "a", "1", "é\n"):
        answer = await post(server, {"jsonrpc": "2.0", "id": id, "method": "ping"})
        assert answer.json() == {"jsonrpc": "2.0", "id": id, "result": {}}
        assert type(answer.json()["id"]) is type(id)
    for id in (None, 1.5, True, [], {}):
        answer = await post(server, {"jsonrpc": "2.0", "id": id, "method": "ping"})
        assert "id" in refused(answer, 400, -32600)


async def test_what_holds_for_every_route_holds_here(server: Server) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    plain = await post(server, ping, **{"Content-Type": "text/plain"})
    assert error_of(plain)[:2] == (415, "unsupported_media_type")
    foreign = await post(server, ping, Origin="https://evil.example")
    assert error_of(foreign)[:2] == (403, "forbidden_origin")
    host = await post(server, ping, Host="evil.example")
    assert error_of(host)[:2] == (403, "forbidden_host")
    large = await post(server, b'"' + b"a" * (16 * 1024 * 1024) + b'"')
    assert error_of(large)[:2] == (413, "body_too_large")
    query = await server.client.post("/mcp?x=1", json=ping)
    assert error_of(query)[:2] == (400, "invalid_request")
    async with serving(token="s3cret") as guarded:
        closed = await post(guarded, ping)
        assert error_of(closed)[:2] == (401, "unauthorized")
        opened = await post(guarded, ping, Authorization="Bearer s3cret")
        assert opened.json()["result"] == {}


async def test_there_is_no_stream_of_the_server_by_itself(server: Server) -> None:
    answer = await server.client.get("/mcp", headers={"Accept": "text/event-stream"})
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


async def test_a_handshake_takes_the_versions_that_are_known(server: Server) -> None:
    info = {"name": "test", "version": "1"}
    for asked, got in (
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("1999-01-01", "2025-11-25"),
        (None, "2025-11-25"),
    ):
        params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": info}
        began = await post(
            server, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        )
        result = began.json()["result"]
        assert result["protocolVersion"] == got
        assert result["capabilities"] == {"tools": {}}
        assert "run_agent" in result["instructions"]
        assert began.headers["Mcp-Session-Id"]


async def test_a_session_ends_and_then_is_unknown(server: Server) -> None:
    peer = await Peer.of(server, OLD)
    assert (await peer.post("ping")).json()["result"] == {}
    headers = {"Mcp-Session-Id": str(peer.session)}
    assert (await server.client.delete("/mcp", headers=headers)).json() == {"status": "deleted"}
    body, own = peer.written("ping", id=7)
    gone = await server.client.post("/mcp", json=body, headers=own)
    assert "initialize" in refused(gone, 404, -32600, 7)
    again = await server.client.delete("/mcp", headers=headers)
    assert error_of(again)[:2] == (404, "mcp_session_not_found")
    assert error_of(await server.client.delete("/mcp"))[:2] == (400, "invalid_request")


@pytest.mark.parametrize("version", BOTH)
async def test_a_method_that_is_unknown_is_told_so(server: Server, version: str) -> None:
    peer = await Peer.of(server, version)
    # To a client with a session 404 would say that its session is gone.
    status = 200 if version == OLD else 404
    for method in ("resources/list", "logging/setLevel", "x", ""):
        refused(await peer.post(method, id=3), status, -32601, 3)
    other = "server/discover" if version == OLD else "initialize"
    refused(await peer.post(other, id=4), status, -32601, 4)


@pytest.mark.parametrize("version", BOTH)
async def test_a_call_that_is_none_is_told_so(server: Server, version: str) -> None:
    peer = await Peer.of(server, version)
    status = 200 if version == OLD else 400
    unknown: tuple[dict[str, Any], ...] = (
        {"name": "nope"},
        {"name": "list_sessions", "arguments": 3},
    )
    for params in unknown:
        refused(await peer.post("tools/call", params, id=3), status, -32602, 3)
    refused(await peer.post("tools/list", {"cursor": "x"}, id=5), status, -32602, 5)
    # A null stands for what is not given.
    result = await peer.call("list_sessions", limit=None, cursor=None)
    assert result["structuredContent"] == {"sessions": []}
    result = await peer.call("list_sessions", limit=0)
    assert result["isError"]
    assert "`int` >= 1" in text_of(result)
    result = await peer.call("run_agent", message="go", agent="x", on_busy="fight")
    assert "'queue', 'reject'" in text_of(result)


async def test_without_handshake_headers_and_message_must_agree(server: Server) -> None:
    peer = await Peer.of(server, NEW)
    body, headers = peer.written("tools/call", CALL, id=3)

    async def send(**changed: str | None) -> httpx.Response:
        given = {name: value for name, value in (headers | changed).items() if value is not None}
        return await server.client.post("/mcp", json=body, headers=given)

    assert (await send()).json()["result"]["resultType"] == "complete"
    encoded = base64.b64encode(b"list_sessions").decode()
    assert (await send(**{"Mcp-Name": f"=?base64?{encoded}?="})).status_code == 200
    for changed in (
        {"Mcp-Method": "tools/list"},
        {"Mcp-Method": None},
        {"Mcp-Name": "run_agent"},
        {"Mcp-Name": None},
        {"Mcp-Name": "=?base64?x?="},
        {"MCP-Protocol-Version": None},
        {"MCP-Protocol-Version": "2027-01-01"},
    ):
        refused(await send(**changed), 400, -32020, 3)
    twice = [*headers.items(), ("Mcp-Method", "tools/call")]
    refused(await server.client.post("/mcp", json=body, headers=twice), 400, -32020, 3)
    for name in ("protocolVersion", "clientCapabilities"):
        bare, _ = peer.written("tools/call", CALL, id=3)
        del bare["params"]["_meta"][f"io.modelcontextprotocol/{name}"]
        answer = await server.client.post("/mcp", json=bare, headers=headers)
        assert name in refused(answer, 400, -32602, 3)


async def test_a_version_that_is_not_known_is_told_which_are(server: Server) -> None:
    peer = Peer(server, NEW)
    body, headers = peer.written("server/discover", id=1)
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2031-01-01"
    headers["MCP-Protocol-Version"] = "2031-01-01"
    answer = await server.client.post("/mcp", json=body, headers=headers)
    refused(answer, 400, -32022, 1)
    assert answer.json()["error"]["data"] == {"supported": [NEW], "requested": "2031-01-01"}
    del body["id"]
    refused(await server.client.post("/mcp", json=body, headers=headers), 400, -32022)


async def test_without_handshake_the_server_says_who_it_is(server: Server) -> None:
    peer = await Peer.of(server, NEW)
    found = (await peer.post("server/discover")).json()["result"]
    assert found["supportedVersions"] == [NEW]
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "wingman"
    assert (found["ttlMs"], found["cacheScope"]) == (60_000, "private")
    assert (await peer.tell("notifications/whatever")).status_code == 202
    answer = await peer.post("ping")
    assert answer.status_code == 404
    assert "Mcp-Session-Id" not in answer.headers


async def test_a_request_without_a_session_is_served_for_itself(server: Server) -> None:
    """So `curl` needs no handshake."""
    await server.agent(name="Actor")
    given = {"name": "run_agent", "arguments": {"agent": "Actor", "message": "go"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": given}
    answer = await server.client.post("/mcp", json=body, headers={"Accept": "*/*"})
    assert answer.headers["Content-Type"] == JSON
    assert answer.json()["result"]["structuredContent"]["response"] == "Hello."
    streamed = await post(server, body)
    assert streamed.headers["Content-Type"] == "text/event-stream"
    [message] = messages_of(streamed)
    assert message["result"]["structuredContent"]["response"] == "Hello."


async def test_a_token_of_progress_that_is_none_is_passed_over(server: Server) -> None:
    await server.agent(name="Actor")
    peer = await Peer.of(server, NEW)
    for token, count in (
        (7, 3),
        ("t", 3),
        ("", 3),
        (1.5, 1),
        (None, 1),
        (True, 1),
        ({}, 1),
        ("t" * 2000, 1),
    ):
        params = {"name": "run_agent", "arguments": {"agent": "Actor", "message": "go"}}
        answer = await peer.post("tools/call", {**params, "_meta": {"progressToken": token}})
        messages = messages_of(answer)
        assert len(messages) == count
        assert all(each["params"]["progressToken"] == token for each in messages[:-1])


@pytest.mark.parametrize("version", BOTH)
async def test_a_message_as_large_as_a_body_may_be_is_run(server: Server, version: str) -> None:
    await server.agent(name="Actor")
    peer = await Peer.of(server, version)
    result = await peer.call("run_agent", agent="Actor", message="é" * 4_000_000)
    assert not result["isError"], text_of(result)[:300]
    read = await peer.call("get_session", session=result["structuredContent"]["session_id"])
    assert len(text_of(read)) < 20_000
    assert read["structuredContent"]["messages"][0]["cut"] is True


async def test_a_long_response_is_cut_and_says_where_it_is_whole(server: Server) -> None:
    await server.agent(name="Actor")
    server.stage.play("\x01" * 300_000)
    peer = await Peer.of(server, NEW)
    body, headers = peer.written(
        "tools/call", {"name": "run_agent", "arguments": {"agent": "Actor", "message": "go"}}
    )
    answer = await server.client.post("/mcp", json=body, headers=headers)
    assert len(answer.content) < 1024 * 1024  # more than that the official client does not read
    result = messages_of(answer)[-1]["result"]
    assert result["structuredContent"]["cut"] is True
    assert f"GET /runs/{result['structuredContent']['run_id']}" in text_of(result)


@pytest.mark.parametrize("version", BOTH)
async def test_long_histories_are_read_in_parts(server: Server, version: str) -> None:
    session_id = await server.session()
    for number in range(5):
        await server.send(session_id, f"message {number}")
    peer = await Peer.of(server, version)
    texts: list[str] = []
    cursor = None
    while True:
        read = await peer.call("get_session", session=session_id, limit=3, cursor=cursor)
        part = read["structuredContent"]
        texts[:0] = [each["text"] for each in part["messages"]]
        cursor = part.get("next_cursor")
        if cursor is None:
            break
    assert texts == [t for n in range(5) for t in (f"message {n}", "Hello.")]


async def test_a_server_that_no_client_of_it_asks_does_without_it() -> None:
    code = (
        "import sys, wingman.server, wingman.server.app, wingman.cli.serve\n"
        "print([name for name in sys.modules if name.startswith(('wingman.server.mcp', 'mcp'))])"
    )
    done = await trio.run_process([sys.executable, "-c", code], capture_stdout=True)
    assert done.stdout == b"[]\n"
