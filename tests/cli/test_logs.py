"""The log of `wingman serve`: one line an event, never a secret, waited for by nobody."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from cli.terminal import PATIENCE, Command, wingman

CANARY = "canary-5f1e"
TOKEN = f"token-{CANARY}"
JSON = ("serve", "--port", "0", "--log-format", "json", "--log-level", "debug")


def entries(command: Command) -> list[dict[str, Any]]:
    """What was logged; every line is an object."""
    return [json.loads(line) for line in command.err.splitlines()]


def named(command: Command, event: str) -> list[dict[str, Any]]:
    return [entry for entry in entries(command) if entry["event"] == event]


async def url_in_json(command: Command) -> str:
    await command.says("Wingman listens on")
    return str(named(command, "listening")[0]["url"])


@pytest.fixture
async def echoing_api() -> AsyncIterator[str]:
    """A model's API that refuses what it is sent, and repeats it; its host and port."""
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"

    async def refuse(stream: trio.SocketStream) -> None:
        sent = ""
        while CANARY not in sent:  # the head may come alone
            sent += (await stream.receive_some()).decode()
        body = json.dumps({"error": {"type": "bad_request", "message": sent}}).encode()
        await stream.send_all(
            head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
        )
        await stream.send_eof()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, refuse, 0, host="127.0.0.1"))
        yield f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def test_json_is_an_object_a_line_and_has_no_secret_and_no_content(
    tmp_path: Path, echoing_api: str
) -> None:
    arguments = (*JSON, "--db", "w.db")
    environment = {"WINGMAN_TOKEN": TOKEN, "OPENAI_API_KEY": f"sk-{CANARY}-env"}
    async with wingman(*arguments, home=tmp_path, **environment) as command:
        url = await url_in_json(command)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(
            base_url=url, trust_env=False, timeout=PATIENCE, headers=headers
        ) as http:
            about = {
                "name": CANARY,
                "instructions": CANARY,
                "tools": ["bash", "write"],
                "provider": {"id": "scripted"},
            }
            agent = (await http.post("/agents", json=about)).json()["id"]
            body = {"agent_id": agent, "title": CANARY, "work_dir": str(tmp_path)}
            session = (await http.post("/sessions", json=body)).json()["id"]
            base_url = f"http://u:{CANARY}@{echoing_api}"
            key = {"key": f"sk-{CANARY}", "base_url": base_url}
            stored = {"providers": {"openai": key}}
            assert (await http.put("/provider/auth", json=stored)).status_code == 200
            target = f"/sessions/{session}/message"
            message = f"!bash echo {CANARY}; echo {CANARY} >&2; exit 3\n!write {CANARY}"
            answer = await http.post(target, json={"message": message, "request_id": CANARY})
            assert answer.status_code == 200
            assert CANARY in answer.text
            for wrong in ("not json " + CANARY, json.dumps({"message": 1, CANARY: CANARY})):
                await http.post(target, content=wrong, headers={"Content-Type": "application/json"})
            await http.get(f"/runs?{CANARY}={CANARY}")
            await http.get("/tools", headers={"Authorization": f"Bearer wrong-{CANARY}"})
            models = {"name": "B", "provider": {"id": "openai", "model": "m"}}
            other = (await http.post("/agents", json=models)).json()["id"]
            failed = await http.post(target, json={"message": CANARY, "agent_id": other})
            assert failed.status_code == 502
            assert CANARY in failed.text
            sleeping = {"message": f"!bash echo {CANARY}; sleep 60"}
            run = (
                await http.post(target, json=sleeping, headers={"Prefer": "respond-async"})
            ).json()["run_id"]
            await http.post(f"/sessions/{session}/runs/{run}/cancel")
        command.process.send_signal(signal.SIGTERM)
        assert await command.ended() == 0
    assert CANARY not in command.err
    events = {entry["event"] for entry in entries(command)}
    assert events >= {
        "listening",
        "request",
        "run started",
        "step ended",
        "tool call ended",
        "run ended",
        "run cancelled",
        "a credential was stored",
        "the request failed",
        "shutting down",
        "stopped",
    }
    for entry in entries(command):
        assert {"time", "level", "logger", "event"} <= set(entry)
        assert entry["logger"].startswith("wingman.")
    requests = named(command, "request")
    assert all(request["level"] == "debug" for request in requests)
    assert {request["status"] for request in requests} >= {200, 201, 202, 400, 401, 502}
    (sent,) = [each for each in requests if each["status"] == 202]
    assert sent["path"] == target
    assert sent["method"] == "POST"
    assert sent["bytes"] > 10
    assert sent["ms"] >= 0
    assert len(sent["request_id"]) == 26
    refused = [each["path"] for each in requests if each["status"] == 401]
    assert refused == ["/tools"]


async def test_a_path_or_an_id_of_a_client_cannot_forge_a_line(tmp_path: Path) -> None:
    arguments = ("serve", "--port", "0", "--log-level", "debug", "--db", "memory")
    async with wingman(*arguments, home=tmp_path) as command:
        await command.says("(database")
        url = command.err.partition("listens on ")[2].split()[0]
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            path = "/x%0A2026-01-01T00:00:00.000Z%20ERROR%20wingman:%20forged%1B[2J"
            await http.get(path, headers={"X-Request-ID": "a b=c"})
        await command.says("forged")
    shown = [line for line in command.err.splitlines() if "forged" in line]
    (line,) = shown
    assert " DEBUG   wingman.server: request request_id=" in line
    assert "\\n2026" in line
    assert all(line.isprintable() for line in command.err.splitlines())


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def served(home: Path, stderr: Any) -> AsyncIterator[tuple[trio.Process, httpx.AsyncClient]]:
    """A server whose standard error is this, and a client."""
    port = str(free_port())
    program = (sys.executable, "-m", "wingman", "serve", "--port", port, "--log-level", "debug")
    command: tuple[str, ...] = (*program, "--db", str(home / "w.db"))
    if stderr == "closed":
        command = ("/bin/sh", "-c", 'exec "$@" 2>&- <&- >&-', "sh", *command)
        stderr = None
    process = await trio.lowlevel.open_process(
        command, stderr=stderr, stdin=subprocess.DEVNULL, env={**os.environ, "HOME": str(home)}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
            with trio.fail_after(PATIENCE):
                while True:
                    try:
                        await http.get("/health")
                        break
                    except httpx.TransportError:
                        await trio.sleep(0.02)
            yield process, http
    finally:
        if process.returncode is None:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def works(http: httpx.AsyncClient, home: Path, times: int) -> None:
    """Send it so many messages, each with a tool call, and see them answered."""
    about = {"name": "A", "tools": ["bash"], "provider": {"id": "scripted"}}
    agent = (await http.post("/agents", json=about)).json()["id"]
    body = {"agent_id": agent, "work_dir": str(home)}
    session = (await http.post("/sessions", json=body)).json()["id"]
    for _ in range(times):
        answer = await http.post(f"/sessions/{session}/message", json={"message": "!bash echo hi"})
        assert answer.json()["stop_reason"] == "end_turn"


@pytest.fixture
def small_pipe() -> Any:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    os.close(reading)
    os.close(writing)


async def test_a_reader_of_the_log_that_stops_stops_nothing(
    tmp_path: Path, small_pipe: tuple[int, int]
) -> None:
    _, writing = small_pipe
    async with served(tmp_path, writing) as (process, http):
        await works(http, tmp_path, 10)  # more lines than the pipe holds
        began = trio.current_time()
        process.send_signal(signal.SIGTERM)
        with trio.fail_after(PATIENCE):
            assert await process.wait() == 0
        assert trio.current_time() - began < 3


def test_the_last_resort_of_a_shutdown_does_not_wait_for_the_log_either(
    small_pipe: tuple[int, int],
) -> None:
    _, writing = small_pipe
    program = (
        "import logging, time\n"
        "from wingman.cli.serve import _leave_after\n"
        "from wingman.telemetry import configure_logging\n"
        "configure_logging('info')\n"
        "for _ in range(100): logging.getLogger('wingman').info('x' * 1000)\n"
        "_leave_after(0.1)\n"
        "time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stderr=writing, timeout=15, check=False)
    assert done.returncode == 1


@pytest.mark.parametrize("kind", ["closed", "/dev/full"])
async def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, kind: str) -> None:
    stderr: Any = os.open(kind, os.O_WRONLY) if kind == "/dev/full" else kind
    try:
        async with served(tmp_path, stderr) as (process, http):
            await works(http, tmp_path, 2)
            process.send_signal(signal.SIGTERM)
            with trio.fail_after(PATIENCE):
                assert await process.wait() == 0
    finally:
        if isinstance(stderr, int):
            os.close(stderr)
    assert (tmp_path / "w.db").read_bytes().startswith(b"SQLite format 3\0")
    assert b"wingman.run" not in (tmp_path / "w.db").read_bytes()


async def test_warnings_of_libraries_are_shown_and_what_they_send_is_not(tmp_path: Path) -> None:
    program = (
        "import logging\n"
        "from wingman.telemetry import configure_logging\n"
        "configure_logging('debug', 'json')\n"
        "for name in ('httpx', 'httpcore.http11', 'hypercorn.error', 'quart.app', 'anything'):\n"
        "    logging.getLogger(name).debug('Authorization: secret')\n"
        "    logging.getLogger(name).info('GET /?key=secret')\n"
        "    logging.getLogger(name).warning('careful\\nnow')\n"
    )
    done = await trio.run_process(
        [sys.executable, "-c", program], capture_stderr=True, cwd=tmp_path
    )
    lines = [json.loads(line) for line in done.stderr.decode().splitlines()]
    assert [line["event"] for line in lines] == ["careful\nnow"] * 5
