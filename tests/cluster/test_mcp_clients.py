"""MCP clients of the older generation, which shake hands with one of many nodes."""

from contextlib import suppress
from typing import Final

import httpx
import pytest
import trio

from cluster.conftest import Pair, until
from server_kit import Gate, Server

HELLO: Final = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


async def mcp(
    server: Server,
    method: str,
    params: object,
    session: str | None,
    accept: str = "application/json, text/event-stream",
) -> httpx.Response:
    """What a node answers to a message of an MCP client of the older generation."""
    headers = {"Accept": accept}
    if session is not None:
        headers["Mcp-Session-Id"] = session
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    if not method.startswith("notifications/"):
        message["id"] = 1
    return await server.client.post("/mcp", json=message, headers=headers)


async def test_an_mcp_client_is_known_on_all_nodes_and_reaches_all_sessions(pair: Pair) -> None:
    session_id = await pair.first.session()
    begun = await mcp(pair.second, "initialize", HELLO, None)
    client = begun.headers["mcp-session-id"]
    for server in (pair.first, pair.second):
        arguments = {"session": session_id, "message": "go"}
        call = {"name": "run_agent", "arguments": arguments}
        answer = await mcp(server, "tools/call", call, client)
        assert answer.status_code == 200
        assert "Hello." in answer.text
    gone = await pair.first.client.delete("/mcp", headers={"Mcp-Session-Id": client})
    assert gone.status_code == 200
    for server in (pair.first, pair.second):
        assert (await mcp(server, "ping", {}, client)).status_code == 404


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_mcp_client_cancels_a_call_that_another_node_runs(
    pair: Pair, streamed: bool
) -> None:
    session_id = await pair.first.session()
    client = (await mcp(pair.second, "initialize", HELLO, None)).headers["mcp-session-id"]
    gate = Gate()
    pair.first.stage.play("One", gate)
    call = {"name": "run_agent", "arguments": {"session": session_id, "message": "go"}}
    answers: list[httpx.Response] = []

    async def send() -> None:
        accept = "application/json" + (", text/event-stream" if streamed else "")
        with suppress(httpx.RemoteProtocolError):  # it had begun, and has no end
            answers.append(await mcp(pair.second, "tools/call", call, client, accept))

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await gate.reached.wait()
            # The client's node is the second one, where the first sends this.
            method, params = "notifications/cancelled", {"requestId": 1}
            assert (await mcp(pair.first, method, params, client)).status_code == 202
        await until(lambda: is_cancelled(pair, session_id))
    assert ["was cancelled" in answer.text for answer in answers] == ([] if streamed else [True])


async def is_cancelled(pair: Pair, session_id: str) -> bool:
    runs = await pair.second.client.get(f"/sessions/{session_id}/runs")
    return [run["status"] for run in runs.json()] == ["cancelled"]
