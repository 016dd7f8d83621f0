"""A cancel over HTTP, by what the world sees of it: sockets, processes, and no other run."""

import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from provider_wires import anthropic_block, message_start, sse
from server_kit import Gate, call, serving, until
from wingman.processes.kept import KeptChild


@attrs.define(eq=False)
class Anthropic:
    """Stands in for Anthropic's API: it begins to answer, and never ends."""

    url: str
    streams: list[trio.SocketStream] = attrs.field(factory=list)

    async def answer(self, stream: trio.SocketStream) -> None:
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += await stream.receive_some()
        piece = {"type": "text_delta", "text": "Half "}
        begun = [message_start(input_tokens=3, output_tokens=1)]
        begun += anthropic_block(0, {"type": "text", "text": ""}, piece)[:-1]
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
        await stream.send_all(head + sse(*begun))
        self.streams.append(stream)
        await trio.sleep_forever()

    def closed(self) -> list[bool]:
        """Of each connection, whether our kernel knows that the other side has closed it."""
        return [_at_end(stream) for stream in self.streams]


def _at_end(stream: trio.SocketStream) -> bool:
    try:
        while stream.socket._sock.recv(65536, socket.MSG_DONTWAIT):  # type: ignore[attr-defined]
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


@asynccontextmanager
async def anthropic() -> AsyncIterator[Anthropic]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    stand_in = Anthropic(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, stand_in.answer, listeners)
        yield stand_in
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("by", ["session", "run", "shutdown", "client"])
async def test_the_providers_connection_is_closed_before_the_receipt_is_answered(by: str) -> None:
    async with anthropic() as stand_in, serving() as server:
        key = {"type": "api_key", "key": "k", "base_url": stand_in.url}
        body = {"providers": {"anthropic": key}}
        assert (await server.client.put("/provider/auth", json=body)).status_code == 200
        provider = {"id": "anthropic", "model": "claude-sonnet-4-5"}
        session_id, other = [await server.session(provider=provider) for _ in range(2)]
        run_id = await server.start(session_id)
        await until(lambda: len(stand_in.streams) == 1)
        await server.start(other)
        await until(lambda: len(stand_in.streams) == 2)
        live = server.runtime._host.active.find(session_id)
        assert live is not None
        await until(lambda: live.channel.last_id > live.channel.start + 1)
        if by == "shutdown":
            server.shutdown.set()
            await server.stopped.wait()
            assert stand_in.closed() == [True, True]
            return
        if by == "client":
            # Not even the handler's own task is asked: it has gone away in the middle.
            with trio.move_on_after(0):
                await server.runtime.cancel(session_id)
            await until(lambda: not live.runs)
        else:
            target = {"session": "cancel", "run": f"runs/{run_id}/cancel"}[by]
            answer = await server.client.post(f"/sessions/{session_id}/{target}")
            assert stand_in.closed() == [True, False]
            [receipt] = answer.json()["cancelled"]
            assert (receipt["run_id"], receipt["was"]) == (run_id, "running")
            assert 0 < receipt["stopped_in_ms"] < 1000
        assert stand_in.closed() == [True, False]
        run = await server.ended(session_id, run_id)
        assert run["result"]["response"] == "Half "
        assert run["usage"]["input_tokens"] == 3


def commands(mark: Path) -> list[str]:
    """What does not want to end; each is at work when its file is there."""

    def at_work(number: int) -> str:
        return f"touch {mark}/{number}; while :; do sleep 0.05; done"

    return [
        f"(bash -c '(bash -c \"{at_work(0)}\" &); {at_work(1)}' &); {at_work(2)}",
        f"trap '' TERM INT HUP; {at_work(3)}",
        f"setsid bash -c \"trap '' TERM; {at_work(4)}\" >/dev/null 2>&1 & {at_work(5)}",
        f"(trap '' TERM; {at_work(6)}) & disown; exec bash -c '{at_work(7)}'",
        f"setsid -f bash -c '{at_work(8)}'; {at_work(9)}",
    ]


def working_in(directory: Path) -> list[str]:
    """The living processes that work in this directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == directory:
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("by", ["cancel", "tool", "delete"])
async def test_no_process_of_the_tools_is_left_when_the_receipt_is_answered(
    by: str, tmp_path: Path
) -> None:
    async with serving() as server:
        work_dir = (tmp_path / "work").resolve()
        work_dir.mkdir()
        session_id = await server.session(tools=["bash"])
        target = f"/sessions/{session_id}"
        await server.client.put(target, json={"work_dir": str(work_dir)})
        ids = [f"toolu_{number}" for number in range(len(commands(tmp_path)))]
        calls = zip(ids, commands(tmp_path), strict=True)
        server.stage.play(*[call("bash", id, command=command) for id, command in calls])
        gate = Gate()
        server.stage.play(gate)
        run_id = await server.start(session_id)
        await until(lambda: all((tmp_path / f"{number}").exists() for number in range(10)))
        if by == "cancel":
            answer = await server.client.post(f"{target}/cancel")
            assert working_in(work_dir) == []
            [receipt] = answer.json()["cancelled"]
            assert receipt["tools"] == [{"id": id, "outcome": "stopped"} for id in ids]
            assert 0 < receipt["stopped_in_ms"] < 3000
        elif by == "delete":
            await server.client.delete(target)
            assert working_in(work_dir) == []
        else:
            # One by one: each receipt is of one call, and the run goes on.
            for id in ids:
                answer = await server.client.post(f"{target}/runs/{run_id}/tools/{id}/cancel")
                [receipt] = answer.json()["cancelled"]
                assert receipt["tools"] == [{"id": id, "outcome": "stopped"}]
            assert working_in(work_dir) == []
            await gate.reached.wait()
            gate.open()
            assert (await server.ended(session_id, run_id))["status"] == "completed"


@pytest.mark.skipif(sys.platform != "linux", reason="keepers are Linux's")
async def test_what_could_not_be_confirmed_is_said_over_http(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The keeper of a command says that something of it is left."""

    honest = KeptChild.end

    async def end(child: KeptChild) -> str:
        await honest(child)
        return "the processes 4711"

    async with serving() as server:
        session_id = await server.session(tools=["bash"])
        target = f"/sessions/{session_id}"
        await server.client.put(target, json={"work_dir": str(tmp_path)})
        server.stage.play(call("bash", command="touch began; sleep 1000"))
        await server.start(session_id)
        await until((tmp_path / "began").exists)
        monkeypatch.setattr(KeptChild, "end", end)
        answer = await server.client.post(f"{target}/cancel")
        [receipt] = answer.json()["cancelled"]
        assert receipt["tools"] == [{"id": "toolu_1", "outcome": "still_running"}]
        # The run itself has stopped, and the session goes on.
        assert "outcome" not in receipt
        assert (await server.send(session_id)).json()["response"] == "Hello."


async def test_cancels_race_fifty_runs_and_each_reaches_its_own_alone() -> None:
    """Every second run is cancelled by name while the session works through all."""
    chance = random.Random(50)
    async with serving() as server:
        gate = Gate()
        session_id = await server.session()
        server.stage.play(gate)
        for _ in range(49):
            server.stage.play(*["a "] * 20)
        runs = [await server.start(session_id, f"{number}") for number in range(50)]
        await gate.reached.wait()
        named = chance.sample(runs, 25)
        receipts: dict[str, list[Any]] = {}

        async def cancel(run_id: str) -> None:
            target = f"/sessions/{session_id}/runs/{run_id}/cancel"
            receipts[run_id] = (await server.client.post(target)).json()["cancelled"]

        async with trio.open_nursery() as nursery:
            for run_id in named:
                nursery.start_soon(cancel, run_id)
            gate.open()
        ended = {run_id: (await server.ended(session_id, run_id))["status"] for run_id in runs}
        for run_id, status in ended.items():
            touched = receipts.get(run_id, [])
            assert [entry["run_id"] for entry in touched] == [run_id] * len(touched)
            # One that had ended by the time of its cancel, or was about to, is none of its doing.
            stopped = [entry for entry in touched if "outcome" not in entry]
            assert status == ("cancelled" if stopped else "completed")
        assert len([run_id for run_id in named if receipts[run_id]]) >= 5
        history = await server.history(session_id)
        asked = [int(m["content"][0]["text"]) for m in history if m["role"] == "user"]
        assert asked == sorted(asked)
        assert {runs[number] for number in asked} >= set(runs) - set(named)
