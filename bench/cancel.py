"""The cancel: from its request until every process of the tool is gone.

The server is `wingman serve`; its keyless model runs `bash` as it is told. A client cancels over
HTTP when the processes are there, and looks in /proc until none of them is. Also measured is the
answer to the cancel, which comes when the work has stopped.
"""

import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import trio

from bench._clients import ask, sessions
from bench._report import Row
from bench._rounds import Figure
from bench._servers import Server, wingman_serve

COMMANDS: Final = {
    "sleep": ("sleep 61.25", 1),
    "a pipeline and a background job": ("sleep 61.25 & sleep 61.25 | sleep 61.25", 3),
    "a setsid child": ("setsid sleep 61.25 & sleep 61.25", 2),
    "one that ignores SIGTERM": ("trap '' TERM; sleep 61.25; sleep 61.25", 1),
}
"""What runs, and how many sleep at once; no other process sleeps for just so many seconds."""


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""  # it has ended


def _processes() -> dict[Path, bytes]:
    """The processes of the tool, by their directories in /proc, and their command lines."""
    every = (path for path in Path("/proc").iterdir() if path.name.isdigit())
    lines = {process: _command_line(process) for process in every}
    return {process: line for process, line in lines.items() if b"61.25" in line}


async def _running(sleeps: int) -> dict[Path, bytes]:
    """The processes of the tool, once so many of them sleep."""
    with trio.fail_after(20):
        while True:
            processes = _processes()
            if sum(line.startswith(b"sleep\0") for line in processes.values()) >= sleeps:
                return processes
            await trio.sleep(0.01)


async def _gone(processes: Iterable[Path]) -> None:
    """Return when none of these is left."""
    while any(b"61.25" in _command_line(process) for process in processes):  # noqa: ASYNC110
        await trio.sleep(0.0005)


async def cancelled(
    server: Server, agent_id: str, command: str, sleeps: int
) -> tuple[float, float]:
    """Seconds from a cancel's request until the processes are gone, and until it is answered."""
    (session_id,) = await sessions(server, agent_id, 1)
    run = {"message": "!bash " + json.dumps({"command": command})}
    answered = 0.0

    async def cancel() -> None:
        nonlocal answered
        await ask(server, "POST", f"/sessions/{session_id}/cancel", {})
        answered = time.perf_counter() - begin

    message = f"/sessions/{session_id}/message"
    await ask(server, "POST", message, run, "Prefer: respond-async")
    processes = await _running(sleeps)
    async with trio.open_nursery() as nursery:
        begin = time.perf_counter()
        nursery.start_soon(cancel)
        await _gone(processes)
        gone = time.perf_counter() - begin
    return gone, answered


async def _measured(count: int) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    agent = {"name": "keyless", "provider": {"id": "scripted"}, "tools": ["bash"]}
    with tempfile.TemporaryDirectory() as directory:
        async with wingman_serve(Path(directory, "bench.db")) as server:
            agent_id = (await ask(server, "POST", "/agents", agent))["id"]
            for _ in range(count):
                for name, (command, sleeps) in COMMANDS.items():
                    found[name].append(await cancelled(server, agent_id, command, sleeps))
    return found


def measure(quick: bool) -> list[Row]:
    """Measure all of it; some seconds."""
    found = trio.run(_measured, 3 if quick else 21)
    rows = []
    for name, times in found.items():
        goal = "≤ 10" if name == "sleep" else None
        gone, answered = (Figure.of(values) * 1e3 for values in zip(*times, strict=True))
        rows += [
            Row(f"{name}: gone after", gone, "ms", goal=goal),
            Row(f"{name}: answered after", answered, "ms"),
        ]
    return rows
