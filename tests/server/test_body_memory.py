"""What requests send, all of them together: bounded, told, and given back."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
import trio

from pictures import noise
from server_kit import Gate, Server, error_of, serving, until
from wingman import Limits
from wingman.server import app as app_module
from wingman.server.bodies import BodyRoom

MIB = 1024 * 1024


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> list[BodyRoom]:
    """The rooms of the servers that a test makes."""
    made: list[BodyRoom] = []

    def make(most: int) -> BodyRoom:
        made.append(BodyRoom(most))
        return made[-1]

    monkeypatch.setattr(app_module, "BodyRoom", make)
    return made


def head(size: int, *, chunked: bool = False) -> bytes:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    return (
        "POST /agents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"{framing}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("chunked", [False, True])
async def test_unfinished_bodies_are_refused_where_all_of_them_are_too_much(
    rooms: list[BodyRoom], chunked: bool
) -> None:
    piece = b" " * (MIB // 2)
    sent = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
    async with serving(max_body_memory=2 * MIB) as server, AsyncExitStack() as stack:
        statuses = []

        async def upload() -> None:
            async with await server.wire() as wire:
                await wire.stream.send_all(head(MIB, chunked=chunked) + sent)
                answer, body = await wire.answer()
                assert b'"overloaded"' in body
                assert answer.headers["retry-after"] == "1"
                assert await wire.at_end()
                statuses.append(answer.status)

        nursery = await stack.enter_async_context(trio.open_nursery())
        for _ in range(12):
            nursery.start_soon(upload)
        await until(lambda: len(statuses) == 8)  # four fit in, but for what is free
        assert MIB < rooms[-1].held <= 2 * MIB
        # What is small is taken all the same: there is a way to cancel.
        session_id = await server.session()
        cancelled = await server.client.post(f"/sessions/{session_id}/cancel", json={})
        assert cancelled.status_code == 200
        nursery.cancel_scope.cancel()
        await until(lambda: not rooms[-1].held)
    assert statuses == [503] * 8


async def valid(server: Server) -> None:
    body = {"name": "x", "instructions": "x" * MIB}
    assert (await server.client.post("/agents", json=body)).status_code == 201


async def invalid(server: Server) -> None:
    answer = await server.client.post("/agents", json={"name": "x" * MIB, "x": 1})
    assert answer.status_code == 400


async def unread(server: Server) -> None:
    answer = await server.client.post("/nowhere", json={"name": "x" * MIB})
    assert answer.status_code == 404


async def too_large(server: Server) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * MIB

    headers = {"Content-Type": "application/json"}
    answer = await server.client.post("/agents", content=pieces(), headers=headers)
    assert answer.status_code == 413


async def abandoned(server: Server) -> None:
    async with await server.wire() as wire:
        await wire.stream.send_all(head(MIB) + b" " * (MIB // 2))
        await trio.sleep(0.05)


@pytest.mark.parametrize("case", [valid, invalid, unread, too_large, abandoned])
async def test_a_body_is_given_back_whatever_becomes_of_it(
    rooms: list[BodyRoom], case: Callable[[Server], object]
) -> None:
    async with serving() as server:
        for _ in range(3):
            await case(server)  # type: ignore[misc]
        await until(lambda: not rooms[-1].held)


async def test_who_waits_for_a_run_does_not_hold_its_body(rooms: list[BodyRoom]) -> None:
    gate = Gate()
    async with serving() as server, trio.open_nursery() as nursery:
        session_id = await server.session()
        server.stage.play(gate)
        nursery.start_soon(server.send, session_id, "x" * MIB)
        await gate.reached.wait()
        assert rooms[-1].held == 0
        gate.open()


async def test_messages_that_wait_are_refused_where_all_of_them_are_too_much() -> None:
    gate = Gate()
    async with serving(limits=Limits(message_bytes=4 * MIB)) as server:
        sessions = [await server.session() for _ in range(3)]
        server.stage.play(gate)
        running = await server.start(sessions[0], "x" * MIB)
        await gate.reached.wait()
        await server.start(sessions[0], "x" * MIB)
        await server.start(sessions[0], "x" * MIB)
        for session_id in sessions:
            status, code, message = error_of(await server.send(session_id, "x" * MIB))
            assert (status, code) == (503, "overloaded")
            assert "4,194,304 is the limit" in message
        small = await server.start(sessions[1], "small")
        await server.ended(sessions[1], small)
        gate.open()
        await server.ended(sessions[0], running)
        runs = (await server.client.get(f"/sessions/{sessions[0]}/runs")).json()
        for run in runs:
            await server.ended(sessions[0], run["id"])
        assert server.runtime._root.services.room.held == 0
        assert (await server.send(sessions[2], "x" * MIB)).status_code == 200


async def test_one_message_alone_may_be_as_large_as_a_body() -> None:
    async with serving(limits=Limits(message_bytes=1)) as server:
        session_id = await server.session()
        assert (await server.send(session_id, "x" * MIB)).status_code == 200


async def test_images_count_and_a_refused_message_leaves_nothing() -> None:
    gate = Gate()
    async with serving(limits=Limits(message_bytes=3 * MIB)) as server:
        session_id = await server.session()
        server.stage.play(gate)
        data = base64.b64encode(noise((512, 512))).decode()
        assert len(data) > MIB
        image = {"media_type": "image/png", "data": data}
        await server.start(session_id, "look", images=[image, image])
        await gate.reached.wait()
        held = server.runtime._root.services.room.held
        assert held > 2 * MIB
        again = await server.send(session_id, "look", images=[image], request_id="again")
        assert error_of(again)[:2] == (503, "overloaded")
        assert server.runtime._root.services.room.held == held
        gate.open()
        answer = await server.send(session_id, "small", request_id="again")
        assert answer.status_code == 200
