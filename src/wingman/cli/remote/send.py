"""`wingman send`: a message to a session."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import click
import trio

from wingman.api import NewAgent, OnAsk, OnBusy
from wingman.cli.asking import Asking
from wingman.cli.console import Console, clean
from wingman.cli.interrupt import follow_run
from wingman.cli.output import echo
from wingman.cli.remote.output import as_json, events_option
from wingman.cli.remote.server import EXIT, FAILED, server_options, talk
from wingman.cli.stdin import piped_text
from wingman.cli.terminal import is_terminal
from wingman.client import Client, Session
from wingman.errors import InvalidRequest, WingmanError
from wingman.events import Done, Error, Event

__all__ = ["run_on_server", "send_command"]

_LAST_SECONDS: Final = 5.0


@click.command("send")
@click.argument("session")
@click.argument("message")
@click.option("--detach", is_flag=True, help="Do not wait: print the run, which goes on.")
@click.option(
    "--on-busy",
    type=click.Choice(["queue", "reject", "interrupt"]),
    default="queue",
    show_default=True,
    help="What to do where a run is in flight; with --detach.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show thinking, progress and whole results.")
@events_option
@server_options
def send_command(
    server: str,
    token: str | None,
    json: bool,
    session: str,
    message: str,
    detach: bool,
    on_busy: OnBusy,
    verbose: bool,
) -> None:
    """Send a MESSAGE to a SESSION, and show what it does.

    Where MESSAGE is -, it is read from standard input; one that begins with a dash stands after
    --. The model's text goes to standard output, all else to standard error. With --json the events
    go to standard output, one a line. Ctrl-C cancels the run.
    """
    text = piped_text() if message == "-" else message
    if text is None:
        raise click.UsageError("Standard input is a terminal, or closed: pipe a text in.")
    if not text.strip():
        raise click.UsageError("The message is empty.")
    if on_busy != "queue" and not detach:
        raise click.UsageError("--on-busy goes with --detach.")
    if detach:
        talk(server, token, _detach, session, text, on_busy)
    else:
        talk(server, token, _send, session, text, Console(verbose), json)


async def _detach(client: Client, session_id: str, text: str, on_busy: OnBusy) -> int:
    session = await client.session(session_id)
    with _told_of_agents(session_id):
        run = await session.submit(text, on_busy=on_busy)
    as_json({"run_id": run.id, "session_id": session_id, "status": run.status})
    return 0


async def _send(client: Client, session_id: str, text: str, console: Console, json: bool) -> int:
    session = await client.session(session_id)
    with _told_of_agents(session_id):
        return await send_to(session, text, console, json)


@contextmanager
def _told_of_agents(session_id: str) -> Iterator[None]:
    """Say what to do about a session without an agent: no agent is named with a message here."""
    try:
        yield
    except InvalidRequest as error:
        if not error.message.endswith("`$.agent_id`"):
            raise
        raise InvalidRequest(
            "The session has no agent: give it one with "
            f"`wingman sessions update {session_id} --agent AGENT`."
        ) from error


async def run_on_server(
    client: Client, fields: NewAgent, work_dir: Path, text: str, console: Console
) -> int:
    """Run one message in a session of its own, of which nothing stays; return the exit code."""
    agent = await client.agents.create(fields)
    try:
        session = await client.create_session(agent.id, work_dir=work_dir, title=fields.name)
        try:
            # Nobody else knows of this session: without a terminal nobody would answer.
            on_ask: OnAsk = "wait" if is_terminal() else "reject"
            return await send_to(session, text, console, on_ask=on_ask)
        finally:
            with trio.move_on_after(_LAST_SECONDS, shield=True):
                await client.delete(session.id)
    finally:
        with trio.move_on_after(_LAST_SECONDS, shield=True):
            await client.agents.delete(agent.id)


async def send_to(
    session: Session,
    text: str,
    console: Console,
    json: bool = False,
    on_ask: OnAsk | None = None,
) -> int:
    """Send a message, show its run, and return the exit code. In a terminal a person is asked about
    the calls that need permission."""
    asking = Asking(console, session.answer) if is_terminal() and not json else None
    async with session.run_stream(text, on_ask=on_ask) as stream:
        try:
            if json:
                show: Callable[[Event], None] = partial(_as_json, stream.run.id)
            else:
                show = console.show if asking is None else asking.show
            code = await follow_run(stream, console, show, asking)
        except* WingmanError as errors:
            if not stream.run.ended:
                raise
            failure = errors.exceptions[0]
            console.end_line()
            if json and isinstance(failure, WingmanError):
                told = Error(failure.code, failure.message, stream.run.id)
                _as_json(stream.run.id, told)
            echo(f"Error: {clean(str(failure))}", err=True)
            code = FAILED
        finally:
            console.end_line()
        if code != FAILED and not json:
            console.summary(stream.result)
            if code == 0 and stream.run.status == "cancelled":
                console.note("The run was cancelled.", "yellow")
    return code or EXIT.get(stream.run.status, 1)


def _as_json(run_id: str, event: Event) -> None:
    data = event.result if isinstance(event, Done) else event
    as_json({"run_id": run_id, "event": event.kind, "data": data})
