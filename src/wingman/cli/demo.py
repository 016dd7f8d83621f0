"""`wingman demo`: a server and its client in one process, over real HTTP, checked step by step."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import click
import httpx
import trio

from wingman.cli.launch import launch
from wingman.cli.output import Command, echo
from wingman.cli.processes import VISIBLE, working_in
from wingman.cli.program import program
from wingman.cli.wire import Wire
from wingman.runtime import Runtime
from wingman.telemetry import configure_logging

__all__ = ["demo_command"]

_LONGEST: Final = 30.0  # seconds for the whole demo; it takes one or two

_FILE: Final = "README.md"
_CONTENT: Final = "A project to work on."
_TOOLS: Final = ["bash", "read"]

# A process in the background and one in front: both belong to the call, and end with it.
_SLEEP: Final = "!bash sleep 60 & echo It runs.; sleep 60"

_BY_HAND: Final = """\
AGENT=$(curl -s http://localhost:2323/agents -H "Content-Type: application/json" \\
  -d '{"name": "Demo", "tools": ["bash"], "provider": {"id": "scripted"}}' | cut -d'"' -f4)
SESSION=$(curl -s http://localhost:2323/sessions -H "Content-Type: application/json" \\
  -d '{"work_dir": "/tmp"}' | cut -d'"' -f4)
curl -N http://localhost:2323/sessions/$SESSION/message/stream \\
  -H "Content-Type: application/json" \\
  -d '{"agent_id": "'$AGENT'", "message": "!bash echo hello; sleep 60"}' &

curl -X POST http://localhost:2323/sessions/$SESSION/cancel"""


@click.command("demo", cls=Command)
def demo_command() -> None:
    """Show a server at work, and cancel it in the middle of a tool call.

    Starts a server on a free port, talks to it over HTTP, and checks each step. Its model needs no
    key and uses none; its database and its files are gone afterwards.
    """
    configure_logging("warning")
    with TemporaryDirectory(prefix="wingman-demo-") as directory:
        launch(partial(_demo, Path(directory)))


async def _demo(directory: Path) -> int:
    # Quart and Hypercorn: heavy, and no other command's matter.
    from wingman.server import serve  # noqa: PLC0415

    shutdown = trio.Event()
    async with Runtime(directory / "demo.db") as runtime, trio.open_nursery() as nursery:
        url = await nursery.start(partial(serve, runtime, port=0, grace=0, shutdown=shutdown))
        echo(f"A server listens on {url}; its model is keyless, and no language model.")
        with trio.move_on_after(_LONGEST) as clock:
            await _tell(url, directory)
        if clock.cancelled_caught:
            raise click.ClickException(f"The demo: expected its end within {_LONGEST:g} s.")
        shutdown.set()
    echo(click.style("\nAll was as it should be. To go on by hand:\n", bold=True))
    echo(f"{program()} serve\n\n{_BY_HAND}")
    return 0


async def _tell(url: str, directory: Path) -> None:
    """The story, step by step. The first check that fails ends it."""
    work_dir = directory / "project"
    await trio.Path(work_dir).mkdir()
    await trio.Path(work_dir / _FILE).write_text(f"{_CONTENT}\n")
    try:
        async with Wire.to(url) as wire:
            session = await _create(wire, work_dir)
            await _stream(wire, session)
            await _cancel(wire, session, work_dir)
            await _go_on(wire, session)
    except httpx.HTTPError as error:
        raise click.ClickException(f"The server: expected an answer, found {error!r}.") from error


async def _create(wire: Wire, work_dir: Path) -> str:
    """Make an agent and a session; return the session's path."""
    _heading("An agent, and a session for it")
    about = {"name": "Demo", "tools": _TOOLS, "provider": {"id": "scripted"}}
    agent = await wire.post("/agents", about)
    session = await wire.post("/sessions", {"work_dir": str(work_dir), "agent_id": agent["id"]})
    _check("the session is idle", session["status"] == "idle", session)
    return f"/sessions/{session['id']}"


async def _stream(wire: Wire, session: str) -> None:
    _heading("A message, streamed: two steps with a tool call each, then text")
    message = f"!bash ls\n---\n!read {_FILE}"
    async with wire.stream(f"{session}/message/stream", {"message": message}) as events:
        done = await events.until("done")
    calls, response = done["tool_calls"], done["response"]
    outputs = [call["output"].strip() for call in calls]
    _check("bash and read were called", [call["tool_name"] for call in calls] == _TOOLS, calls)
    _check("they have found the file", _FILE in outputs[0] and _CONTENT in outputs[1], calls)
    _check("the response quotes them", all(output in response for output in outputs), response)
    _check("the turn came to its end", done["stop_reason"] == "end_turn", done["stop_reason"])


async def _cancel(wire: Wire, session: str, work_dir: Path) -> None:
    _heading("Another one, cancelled in the middle of `sleep 60`")
    path = f"{session}/message/stream?include=progress"
    async with wire.stream(path, {"message": _SLEEP}) as events:
        await events.until("tool_progress")  # the command speaks: it runs
        running = _processes(wire, work_dir)
        receipt = await wire.post(f"{session}/cancel")
        left = _processes(wire, work_dir)
        done = await events.until("done")
    if VISIBLE:
        _check("its processes were running", bool(running), running)
        _check("none of them was left when the cancel had answered", not left, left)
    stopped = [tool["outcome"] for run in receipt["cancelled"] for tool in run["tools"]]
    _check("the receipt says that the tool was stopped", stopped == ["stopped"], receipt)
    _check("the stream says that the run was cancelled", done["stop_reason"] == "cancelled", done)


async def _go_on(wire: Wire, session: str) -> None:
    _heading("The same session, ready at once for its next message")
    result = await wire.post(f"{session}/message", {"message": "!bash echo still here"})
    _check("it answers", "still here" in result["response"], result)
    _check("and ends its turn", result["stop_reason"] == "end_turn", result["stop_reason"])


def _processes(wire: Wire, work_dir: Path) -> list[str]:
    found = working_in(work_dir)
    wire.note("processes", ", ".join(found) or ("none" if VISIBLE else "not shown by this system"))
    return found


def _heading(text: str) -> None:
    echo(click.style(f"\n{text}", bold=True))


def _check(expectation: str, holds: bool, found: Any) -> None:
    """Show that an expectation holds, or end the demo with what was found instead."""
    if not holds:
        raise click.ClickException(f"Expected: {expectation}. Found: {found!r}")
    echo(f"   {click.style('✓', fg='green', bold=True)} {expectation}")
