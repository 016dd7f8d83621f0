"""Connections: kept alive, broken, stalled, half-sent; and what we take of Hypercorn for them."""

import inspect
import logging
import socket
import struct
from collections.abc import AsyncIterator

import hypercorn.protocol.h11
import pytest
import trio
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from server_kit import Gate, Server, Wire, call, error_of, serving, until
from wingman import tool
from wingman.server import http1


async def test_a_connection_takes_many_requests_one_after_the_other(server: Server) -> None:
    async with await server.wire() as wire:
        for _ in range(5):
            head, body = await wire.ask("GET", "/health")
            assert (head.status, body) == (200, b'{"status":"ok"}')
        head, _ = await wire.ask("GET", "/nowhere")
        assert head.status == 404
        head, _ = await wire.ask("POST", "/sessions", {})
        assert head.status == 201


async def test_requests_sent_ahead_are_answered_in_order(server: Server) -> None:
    async with await server.wire() as wire:
        for target in ("/health", "/nowhere", "/tools"):
            await wire.send("GET", target)
        assert [(await wire.answer())[0].status for _ in range(3)] == [200, 404, 200]


async def test_an_http_1_0_client_is_answered_and_its_connection_closed(server: Server) -> None:
    async with await server.wire() as wire:
        await wire.stream.send_all(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head, body = await wire.answer()
        assert (head.status, body) == (200, b'{"status":"ok"}')
        assert await wire.at_end()


async def test_an_http_1_0_client_can_stream(server: Server) -> None:
    session_id = await server.session()
    body = b'{"message": "go"}'
    async with await server.wire() as wire:
        await wire.stream.send_all(
            b"POST /sessions/%b/message/stream HTTP/1.0\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (session_id.encode(), len(body), body)
        )
        head, frames = await wire.answer()
    assert head.status == 200
    assert b"event: done" in frames


async def test_head_is_answered_like_get_without_the_body(server: Server) -> None:
    async with await server.wire() as wire:
        for target in ("/health", "/sessions", "/nowhere"):
            await wire.send("HEAD", target)
            head = await wire.head()
            assert int(head.headers["content-length"]) > 0
        assert (await wire.ask("GET", "/health"))[0].status == 200


@pytest.mark.parametrize("form", ["message", "message/stream"])
async def test_a_client_that_leaves_does_not_end_its_run(server: Server, form: str) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play("Still ", gate, "here.")
    async with await server.wire() as wire:
        await wire.send("POST", f"/sessions/{session_id}/{form}", {"message": "go"})
        await gate.reached.wait()
    runs = (await server.client.get("/runs?status=running")).json()
    gate.open()
    run = await server.ended(session_id, runs[0]["id"])
    assert run["result"]["response"] == "Still here."
    history = await server.history(session_id)
    assert history[-1]["content"] == [{"type": "text", "text": "Still here."}]


@pytest.mark.parametrize("form", ["message", "message/stream"])
async def test_a_client_that_leaves_ends_its_run_if_the_message_said_so(
    server: Server, form: str
) -> None:
    gate = Gate()
    session_id = await server.session()
    server.stage.play("Half ", gate)
    body = {"message": "go", "on_disconnect": "cancel"}
    async with await server.wire() as wire:
        await wire.send("POST", f"/sessions/{session_id}/{form}", body)
        await gate.reached.wait()
        [run] = (await server.client.get(f"/sessions/{session_id}/runs")).json()
    ended = await server.ended(session_id, run["id"])
    assert (ended["status"], ended["result"]["response"]) == ("cancelled", "Half ")
    assert (await server.send(session_id)).status_code == 200


async def test_a_client_that_leaves_before_anything_is_answered_ends_its_run_too(
    server: Server,
) -> None:
    """Also where it leaves while its message is admitted, and before a stream's body begins."""
    session_id = await server.session()
    gates = [Gate() for _ in range(20)]
    body = {"message": "go", "on_disconnect": "cancel"}
    for gate in gates:
        server.stage.play(gate)
        wire = await server.wire()
        await wire.send("POST", f"/sessions/{session_id}/message/stream", body)
        reset(wire)
    runs = f"/sessions/{session_id}/runs"
    with trio.fail_after(10):
        for run in (await server.client.get(runs)).json():
            assert (await server.ended(session_id, run["id"]))["status"] == "cancelled"


async def test_an_answer_that_was_complete_is_no_disconnect(server: Server) -> None:
    session_id = await server.session()
    for _ in range(10):
        answer = await server.send(session_id, on_disconnect="cancel")
        assert answer.json()["stop_reason"] == "end_turn"
        frames = await server.streamed(session_id, on_disconnect="cancel")
        assert frames[-1].data["stop_reason"] == "end_turn"
    runs = (await server.client.get(f"/sessions/{session_id}/runs")).json()
    assert {run["status"] for run in runs} == {"completed"}


def reset(wire: Wire) -> None:
    """Leave at once, with a RST."""
    linger = struct.pack("ii", 1, 0)
    wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    wire.stream.socket.close()


async def stalled(server: Server, session_id: str) -> Wire:
    """A client of a stream that reads nothing of it."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    await sock.connect((host, int(port)))
    wire = Wire(trio.SocketStream(sock), f"{host}:{port}")
    await wire.send("GET", f"/sessions/{session_id}/events")
    return wire


async def test_a_client_that_stops_reading_neither_slows_the_run_nor_grows_the_channel() -> None:
    async with serving() as server:
        session_id = await server.session()
        wires = [await stalled(server, session_id) for _ in range(3)]
        live = server.runtime._host.active.find(session_id)
        assert live is not None
        await until(lambda: live.channel.readers == 3)
        for _ in range(8):
            server.stage.play(*["x" * 4000] * 500)
            with trio.fail_after(5):
                assert (await server.send(session_id)).status_code == 200
        assert live.channel._bytes <= 4_100_000
        server.shutdown.set()
        with trio.fail_after(3):
            await server.stopped.wait()
        for wire in wires:
            await trio.aclose_forcefully(wire.stream)


async def test_a_server_that_is_cancelled_does_not_wait_for_a_client_that_stops_reading() -> None:
    with trio.fail_after(5), trio.CancelScope() as scope:
        async with serving() as server:
            session_id = await server.session()
            wire = await stalled(server, session_id)
            live = server.runtime._host.active.find(session_id)
            assert live is not None
            await until(lambda: live.channel.readers == 1)
            server.stage.play(*["x" * 4000] * 1000)
            await server.send(session_id)
            scope.cancel()
            await trio.lowlevel.checkpoint_if_cancelled()
    await trio.aclose_forcefully(wire.stream)
    assert scope.cancelled_caught


async def test_a_body_that_nobody_reads_does_not_hold_the_connection() -> None:
    """Refused at the door, the body of 4 MiB still on its way."""
    async with serving(token="secret") as server:
        body = b"x" * 4 * 1024 * 1024
        async with await server.wire() as wire, trio.open_nursery() as nursery:

            async def push() -> None:
                while True:
                    await wire.stream.send_all(body)

            await wire.stream.send_all(
                b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
            )
            nursery.start_soon(push)
            assert (await wire.head()).status == 401
            nursery.cancel_scope.cancel()
        server.shutdown.set()
        with trio.fail_after(0.5):
            await server.stopped.wait()


async def test_a_body_that_is_too_large_is_413_and_the_client_gets_to_read_it(
    server: Server,
) -> None:
    body = b'{"name": "' + b"x" * (17 * 1024 * 1024) + b'"}'
    headers = {"Content-Type": "application/json"}
    for _ in range(3):
        answer = await server.client.post("/agents", content=body, headers=headers)
        assert error_of(answer)[:2] == (413, "body_too_large")

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1024 * 1024):
            yield body[start : start + 1024 * 1024]

    answer = await server.client.post("/agents", content=pieces(), headers=headers)
    status, code, message = error_of(answer)
    assert (status, code) == (413, "body_too_large")
    assert "16,777,216 bytes at most" in message
    assert (await server.client.get("/health")).status_code == 200


async def test_a_client_that_says_nothing_or_half_a_request_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1, "_KEEP_ALIVE_SECONDS", 0.2)
    async with serving() as server:
        silent, half, slow = [await server.wire() for _ in range(3)]
        async with silent, half, slow, trio.open_nursery() as nursery:
            await half.stream.send_all(b"GET /health HTTP/1.1\r\nHost: local")

            async def drip() -> None:
                try:
                    await slow.stream.send_all(b"GET /health HTTP/1.1\r\nX-Slow: ")
                    while True:
                        await slow.stream.send_all(b"x")
                        await trio.sleep(0.02)
                except trio.BrokenResourceError:
                    pass

            nursery.start_soon(drip)
            with trio.fail_after(5):
                for wire in (silent, half, slow):
                    assert await wire.at_end()


async def test_a_body_that_does_not_come_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wingman.server.app._BODY_SECONDS", 0.1)
    async with serving() as server, await server.wire() as wire:
        await wire.stream.send_all(
            b"POST /agents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        head, body = await wire.answer()
        assert await wire.at_end()
    assert head.status == 408
    assert b'"request_timeout"' in body


async def test_a_huge_head_is_refused(server: Server) -> None:
    async with await server.wire() as wire:
        many = b"".join(b"X-Header-%d: value\r\n" % number for number in range(5000))
        await wire.stream.send_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")
        assert (await wire.head()).status == 431


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),  # TLS
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Content-Length: 2\r\n\r\n",
        b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\x00\r\n\r\n",
        b"\r\n" * 1000,
        b"\x00" * 70_000,
    ],
)
async def test_rubbish_ends_its_own_connection_and_no_other(
    server: Server, rubbish: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with await server.wire() as other:
        await other.ask("GET", "/health")
        async with await server.wire() as wire:
            await wire.stream.send_all(rubbish)
            await wire.stream.send_eof()
            while await wire._more():
                pass
        assert wire._bytes == b"" or wire._bytes.startswith(b"HTTP/1.1 4")
        assert (await other.ask("GET", "/health"))[0].status == 200
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_there_is_no_way_into_http_2(server: Server) -> None:
    async with await server.wire() as wire:
        upgrade = [
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ]
        head, body = await wire.ask("GET", "/health", headers=upgrade)
        assert (head.status, body) == (200, b'{"status":"ok"}')
    async with await server.wire() as wire:
        await wire.stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9)
        assert (await wire.head()).status in (400, 403)


async def test_a_websocket_is_refused_as_plain_http(server: Server) -> None:
    async with await server.wire() as wire:
        upgrade = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ]
        head, body = await wire.ask("GET", "/socket", headers=upgrade)
        assert head.status == 404
        assert b'"not_found"' in body


@tool
async def hang() -> str:
    """Never return."""
    await trio.sleep_forever()
    return ""


async def test_ordinary_traffic_logs_nothing_above_info(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tools=[hang]) as server:
        session_id = await server.session(tools=["hang"])
        server.stage.play(call("hang"))
        wire = await server.wire()
        await wire.send("POST", f"/sessions/{session_id}/message/stream", {"message": "go"})
        await wire.head()
        await wire.frame()
        reset(wire)
        await server.client.post(f"/sessions/{session_id}/cancel")
        await server.client.get("/nowhere")
        await server.client.post("/sessions", content=b"{", headers={"Content-Type": "text/plain"})
        server.shutdown.set()
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


def test_hypercorn_has_the_shape_that_connections_are_built_on() -> None:
    """We stand on its inside: where it changes, look at `connections.py` again."""
    taken = list(inspect.signature(TCPServer.__init__).parameters)
    assert taken == ["self", "app", "config", "context", "state", "stream"]
    for name in ("protocol_send", "_read_data"):
        assert inspect.iscoroutinefunction(getattr(TCPServer, name)), name
    assert list(inspect.signature(H11Protocol.__init__).parameters) == [
        *["self", "app", "config", "context", "task_group", "connection_state"],
        *["ssl", "client", "server", "send"],
    ]
    for name, parameter in (
        ("_check_protocol", "event"),
        ("_create_stream", "request"),
        ("_send_h11_event", "event"),
        ("stream_send", "event"),
    ):
        method = getattr(H11Protocol, name)
        assert inspect.iscoroutinefunction(method)
        assert list(inspect.signature(method).parameters) == ["self", parameter]
    assert "await self._check_protocol(event)" in inspect.getsource(hypercorn.protocol.h11)
    assert hasattr(WorkerContext(None), "terminated")
