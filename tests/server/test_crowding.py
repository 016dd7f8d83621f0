"""More connections than there may be: who gives way, who is refused, and what the log has of it."""

import errno
import logging
import os
import re
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import trio

from cli.terminal import running
from server_kit import Gate, Server, Wire, serving, until
from wingman.errors import InvalidRequest
from wingman.server import ServerConfig, crowd

UNFINISHED = (
    b"POST /agents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n{"
)


async def open_some(stack: AsyncExitStack, server: Server, count: int) -> list[Wire]:
    wires = [await server.wire() for _ in range(count)]
    for wire in wires:
        await stack.enter_async_context(wire)
    return wires


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_silent_connections_give_way_and_those_that_have_asked_stay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(max_connections=4) as server, AsyncExitStack() as stack:
        (client,) = await open_some(stack, server, 1)
        assert (await client.ask("GET", "/health"))[0].status == 200
        silent = await open_some(stack, server, 12)
        assert (await client.ask("GET", "/health"))[0].status == 200
        for wire in silent[:9]:
            assert await wire.at_end()
        for wire in silent[9:]:
            assert (await wire.ask("GET", "/health"))[0].status == 200
    assert len(warnings(caplog)) == 1
    assert "4 connections are open" in warnings(caplog)[0].getMessage()


async def test_of_kept_alive_ones_the_longest_idle_gives_way() -> None:
    async with serving(max_connections=3) as server, AsyncExitStack() as stack:
        first, second, third = await open_some(stack, server, 3)
        for wire in (first, second, third, first):
            assert (await wire.ask("GET", "/health"))[0].status == 200
        (newcomer,) = await open_some(stack, server, 1)
        assert (await newcomer.ask("GET", "/health"))[0].status == 200
        assert await second.at_end()
        for wire in (first, third):
            assert (await wire.ask("GET", "/health"))[0].status == 200


async def test_half_a_head_is_no_work_in_hand() -> None:
    async with serving(max_connections=2) as server, AsyncExitStack() as stack:
        halves = await open_some(stack, server, 2)
        for wire in halves:
            await wire.stream.send_all(b"GET /health HTTP/1.1\r\nHost: local")
        await trio.sleep(0.05)  # until it was read
        (newcomer,) = await open_some(stack, server, 1)
        assert (await newcomer.ask("GET", "/health"))[0].status == 200
        assert await halves[0].at_end()


async def test_where_all_have_work_in_hand_the_newcomer_is_told_and_the_work_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate()
    async with serving(max_connections=3) as server, AsyncExitStack() as stack:
        session_id = await server.session()
        server.stage.play(gate, "Done.")
        (worker,) = await open_some(stack, server, 1)
        await worker.send("POST", f"/sessions/{session_id}/message", {"message": "go"})
        with trio.fail_after(5):
            await gate.reached.wait()
        followers = []
        for _ in range(2):
            followers += await open_some(stack, server, 1)
            await followers[-1].send("GET", f"/sessions/{session_id}/events")
            assert (await followers[-1].head()).status == 200
        for _ in range(40):
            async with await server.wire() as refused:
                head, body = await refused.ask("GET", "/health")
                assert await refused.at_end()
            assert head.status == 503
            assert head.headers["retry-after"] == "1"
            assert head.headers["x-request-id"].encode() in body
            assert b'"overloaded"' in body
        gate.open()
        assert b"Done." in (await worker.answer())[1]
        await trio.aclose_forcefully(followers[0].stream)

        with trio.fail_after(5):
            status = 503
            while status == 503:
                async with await server.wire() as wire:
                    status = (await wire.ask("GET", "/health"))[0].status
        assert status == 200
    assert len(warnings(caplog)) == 1


async def test_a_request_that_never_gets_complete_gives_way_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crowd, "_SENDING_SECONDS", 0.2)
    async with serving(max_connections=2) as server, AsyncExitStack() as stack:
        slow = await open_some(stack, server, 2)
        for wire in slow:
            await wire.stream.send_all(UNFINISHED)
        await trio.sleep(0.05)
        async with await server.wire() as refused:
            assert (await refused.ask("GET", "/health"))[0].status == 503
        await trio.sleep(0.2)
        async with await server.wire() as newcomer:
            assert (await newcomer.ask("GET", "/health"))[0].status == 200
        assert await slow[0].at_end()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_an_accept_that_fails_is_tried_again_without_spinning_and_logged_once(
    number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accept = trio.SocketListener.accept
    failing, tries = True, 0

    async def fail(listener: trio.SocketListener) -> trio.SocketStream:
        nonlocal tries
        if not failing:
            return await accept(listener)
        await trio.lowlevel.checkpoint()
        tries += 1
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(trio.SocketListener, "accept", fail)
    async with serving() as server:
        await until(lambda: tries)
        await trio.sleep(0.35)
        failing = False
        assert (await server.client.get("/health")).status_code == 200
    assert 2 <= tries <= 6
    [record] = warnings(caplog)
    assert os.strerror(number) in record.getMessage()
    assert record.exc_info is None


def test_a_server_without_room_is_refused() -> None:
    for config in (ServerConfig(max_connections=0), ServerConfig(max_body_memory=0)):
        with pytest.raises(InvalidRequest, match="1 or more"):
            config.check()


async def test_more_silent_sockets_than_descriptors_take_nothing_from_the_work(
    tmp_path: Path,
) -> None:
    """A real process whose hard limit is 192 descriptors, and 288 sockets that say nothing."""
    serve = f"exec {sys.executable} -m wingman serve --port 0 --db one.db"
    limited = ("bash", "-c", f"ulimit -S -n 100; ulimit -H -n 192; {serve}")
    async with running(*limited, home=tmp_path) as command, AsyncExitStack() as stack:
        await command.says("(database")
        url = re.search(r"listens on (http://\S+)", command.err)
        assert url is not None
        limits = trio.Path(f"/proc/{command.process.pid}/limits")
        if await limits.exists():
            assert re.search(r"Max open files +192 +192 ", await limits.read_text())
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url[1], trust_env=False, timeout=20)
        )
        about = {"name": "A", "tools": ["bash"], "provider": {"id": "scripted"}}
        agent = (await client.post("/agents", json=about)).json()
        body = {"agent_id": agent["id"], "work_dir": str(tmp_path)}
        session = (await client.post("/sessions", json=body)).json()
        for _ in range(288):
            wire = await Wire.open(url[1])
            stack.push_async_callback(trio.aclose_forcefully, wire.stream)
        calls = "\n".join(f"!bash echo tool-{number}; ulimit -S -n" for number in range(3))
        answer = await client.post(f"/sessions/{session['id']}/message", json={"message": calls})
        outputs = [call["output"].split() for call in answer.json()["tool_calls"]]
        # The limit that the server has raised is its own, and not that of its commands.
        files = "100" if sys.platform == "linux" else "192"
        assert outputs == [[f"tool-{number}", files] for number in range(3)]
        async with httpx.AsyncClient(base_url=url[1], trust_env=False) as newcomer:
            assert (await newcomer.get("/health")).status_code == 200
    assert command.err.count("connections are open, which is the limit") == 1
    assert "Traceback" not in command.err
