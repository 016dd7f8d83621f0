"""`wingman sessions` and `wingman show`: the sessions, and one of them, readable."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from msgspec import UNSET
from msgspec.structs import asdict

from wingman.api import SessionView, Status
from wingman.cli.console import clean
from wingman.cli.output import echo
from wingman.cli.remote.history import print_history, print_runs
from wingman.cli.remote.output import Listing, as_json, for_people, json_option, print_rows, when
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client

__all__ = ["sessions_command", "show_command"]

T = TypeVar("T")

_PAGE: Final = 1000
_LIVE: Final[tuple[Status, ...]] = ("running", "waiting", "cancelling", "queued")


@click.group("sessions", cls=Listing)
def sessions_command() -> None:
    """List the sessions of a server, make them, and change them.

    Without a command the newest are listed.
    """


@sessions_command.command("list")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="How many at most.",
)
@json_option
@server_options
def list_command(server: str, token: str | None, json: bool, limit: int) -> None:
    """List the newest sessions."""
    talk(server, token, _list, json, limit)


async def _list(client: Client, json: bool, limit: int) -> int:
    found = await _some(client.sessions(min(limit, _PAGE)), limit)
    columns = ("session", "status", "title", "work_dir", "tokens", "updated_at")
    print_rows(columns, map(_row, found), json)
    return 0


def _row(session: SessionView) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(session).items() if name != "history"}
    return {"session": fields.pop("id"), **fields, "tokens": session.usage.total_tokens}


@sessions_command.command("create")
@click.argument("agent")
@click.option(
    "--work-dir",
    metavar="DIRECTORY",
    default=".",
    show_default="the current directory",
    help="Where the tools work, on the server's machine.",
)
@click.option("--title", help="What it is called in lists.")
@json_option
@server_options
def create_command(
    server: str, token: str | None, json: bool, agent: str, work_dir: str, title: str | None
) -> None:
    """Make a session in which an AGENT answers, and print its id.

    The agent is named by its id or its name.
    """
    talk(server, token, _create, json, agent, Path(work_dir).absolute(), title)


async def _create(client: Client, json: bool, agent: str, work_dir: Path, title: str | None) -> int:
    session = await client.create_session(agent, work_dir=work_dir, title=title)
    if for_people(json):
        echo(session.id)
    else:
        as_json(_row(await session.describe()))
    return 0


@sessions_command.command("update")
@click.argument("session")
@click.option("--agent", help="Which agent answers, by its id or its name.")
@click.option("--work-dir", metavar="DIRECTORY", help="Where the tools work, from the next run on.")
@click.option("--title", help="What it is called in lists.")
@server_options
def update_command(
    server: str,
    token: str | None,
    session: str,
    agent: str | None,
    work_dir: str | None,
    title: str | None,
) -> None:
    """Change what is given of a SESSION."""
    if agent is None and work_dir is None and title is None:
        raise click.UsageError("Say what to change: --agent, --work-dir or --title.")
    where = None if work_dir is None else Path(work_dir).absolute()
    talk(server, token, _update, session, agent, where, title)


async def _update(
    client: Client, session: str, agent: str | None, work_dir: Path | None, title: str | None
) -> int:
    agent_id = None if agent is None else (await client.agents.find(agent)).id
    await client.update_session(
        session,
        work_dir=UNSET if work_dir is None else str(work_dir),
        title=UNSET if title is None else title,
        agent_id=UNSET if agent_id is None else agent_id,
    )
    return 0


@sessions_command.command("delete")
@click.argument("session")
@server_options
def delete_command(server: str, token: str | None, session: str) -> None:
    """Delete a SESSION with its history, after ending what it runs."""
    talk(server, token, _delete, session)


async def _delete(client: Client, session: str) -> int:
    await client.delete(session)
    return 0


@click.command("show")
@click.argument("session")
@click.option("--all", "whole", is_flag=True, help="Whole results, and the model's reasoning.")
@json_option
@server_options
def show_command(server: str, token: str | None, json: bool, session: str, whole: bool) -> None:
    """Show a SESSION with its history, and the runs that are in flight or wait."""
    talk(server, token, _show, json, session, whole)


async def _show(client: Client, json: bool, session_id: str, whole: bool) -> int:
    session = await client.describe(session_id)
    if not for_people(json):
        as_json(session)
        return 0
    title = clean(session.title or "")
    echo(click.style(f"{session.id}  {session.status}  {title}", bold=True))
    about = (
        f"{clean(session.work_dir)}, {when(session.created_at)}, "
        f"{session.usage.input_tokens:,} tokens in, {session.usage.output_tokens:,} out"
    )
    echo(click.style(about, dim=True))
    print_history(session.history or (), whole)
    last = await anext(client.runs(session_id, page=1), None)
    live = await _some(client.runs(session_id, _LIVE, page=_PAGE), _PAGE)
    print_runs(last, sorted(live, key=lambda run: run.created_at))
    return 0


async def _some(pages: AsyncIterator[T], most: int) -> list[T]:
    found: list[T] = []
    async for one in pages:
        found.append(one)
        if len(found) == most:
            break
    return found
