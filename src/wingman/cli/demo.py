"""`wingman demo`: a server and its client in one process, over real HTTP, checked step by step."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import click
import trio

from wingman.api import NewAgent, ProviderConfig
from wingman.cli.launch import launch
from wingman.cli.output import Command, echo
from wingman.cli.processes import VISIBLE, working_in
from wingman.cli.program import program
from wingman.cli.transcript import Transcript
from wingman.client import Client, Session
from wingman.errors import WingmanError
from wingman.events import ToolProgress
from wingman.runtime import Runtime
from wingman.telemetry import configure_logging

__all__ = ["demo_command"]

_LONGEST: Final = 30.0  # seconds for the whole demo; it takes one or two

_FILE: Final = "README.md"
_CONTENT: Final = "A project to work on."
_TOOLS: Final = ("bash", "read")

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
    transcript = Transcript()
    try:
        async with Client(url) as client:
            session = await _create(client, transcript, work_dir)
            await _stream(session, transcript)
            await _cancel(session, transcript, work_dir)
            await _go_on(session, transcript)
    except WingmanError as error:
        raise click.ClickException(f"The server: expected an answer, found {error!r}.") from error


async def _create(client: Client, transcript: Transcript, work_dir: Path) -> Session:
    """Make an agent and a session."""
    _heading("An agent, and a session for it")
    fields = NewAgent(name="Demo", tools=_TOOLS, provider=ProviderConfig("scripted"))
    transcript.asks("create an agent", fields)
    agent = await client.agents.create(fields)
    transcript.answers(agent)
    transcript.asks("create a session", {"work_dir": str(work_dir), "agent_id": agent.id})
    session = await client.create_session(agent.id, work_dir=work_dir)
    view = await session.describe()
    transcript.answers(view)
    _check("the session is idle", view.status == "idle", view)
    return session


async def _stream(session: Session, transcript: Transcript) -> None:
    _heading("A message, streamed: two steps with a tool call each, then text")
    message = f"!bash ls\n---\n!read {_FILE}"
    transcript.asks("send a message", {"message": message})
    async with session.run_stream(message) as stream:
        async for event in stream:
            transcript.event(event)
    result = stream.result
    outputs = [call.output.strip() for call in result.tool_calls]
    names = tuple(call.tool_name for call in result.tool_calls)
    _check("bash and read were called", names == _TOOLS, result.tool_calls)
    found = _FILE in outputs[0] and _CONTENT in outputs[1]
    _check("they have found the file", found, result.tool_calls)
    quoted = all(output in result.response for output in outputs)
    _check("the response quotes them", quoted, result.response)
    _check("the turn came to its end", result.stop_reason == "end_turn", result.stop_reason)


async def _cancel(session: Session, transcript: Transcript, work_dir: Path) -> None:
    _heading("Another one, cancelled in the middle of `sleep 60`")
    transcript.asks("send a message", {"message": _SLEEP})
    async with session.run_stream(_SLEEP) as stream:
        async for event in stream:
            transcript.event(event)
            if isinstance(event, ToolProgress):
                break  # the command speaks: it runs
        running = _processes(transcript, work_dir)
        transcript.asks("cancel what the session runs")
        receipt = await session.cancel()
        transcript.answers(receipt)
        left = _processes(transcript, work_dir)
        async for event in stream:
            transcript.event(event)
    if VISIBLE:
        _check("its processes were running", bool(running), running)
        _check("none of them was left when the cancel had answered", not left, left)
    stopped = [tool.outcome for run in receipt.cancelled for tool in run.tools]
    _check("the receipt says that the tool was stopped", stopped == ["stopped"], receipt)
    reason = stream.result.stop_reason
    _check("the stream says that the run was cancelled", reason == "cancelled", reason)


async def _go_on(session: Session, transcript: Transcript) -> None:
    _heading("The same session, ready at once for its next message")
    message = "!bash echo still here"
    transcript.asks("send a message", {"message": message})
    result = await session.run(message)
    transcript.answers(result)
    _check("it answers", "still here" in result.response, result)
    _check("and ends its turn", result.stop_reason == "end_turn", result.stop_reason)


def _processes(transcript: Transcript, work_dir: Path) -> list[str]:
    found = working_in(work_dir)
    said = ", ".join(found) or ("none" if VISIBLE else "not shown by this system")
    transcript.note("processes", said)
    return found


def _heading(text: str) -> None:
    echo(click.style(f"\n{text}", bold=True))


def _check(expectation: str, holds: bool, found: Any) -> None:
    """Show that an expectation holds, or end the demo with what was found instead."""
    if not holds:
        raise click.ClickException(f"Expected: {expectation}. Found: {found!r}")
    echo(f"   {click.style('✓', fg='green', bold=True)} {expectation}")
