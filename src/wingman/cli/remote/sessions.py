"""`wingman sessions` and `wingman show`: the sessions, and one of them, readable."""

import itertools
from typing import Any, assert_never

import click

from wingman.api import SessionView
from wingman.cli.console import clean, compact, count
from wingman.cli.remote.output import as_json, for_people, json_option, print_rows, when
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client
from wingman.conversation import (
    Block,
    ImageBlock,
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

__all__ = ["sessions_command", "show_command"]

_LINES = 8


@click.command("sessions")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@json_option
@server_options
def sessions_command(server: str, token: str | None, json: bool, limit: int) -> None:
    """List the newest sessions."""
    talk(server, token, _sessions, json, limit)


async def _sessions(client: Client, json: bool, limit: int) -> int:
    found: list[SessionView] = []
    async for session in client.sessions(min(limit, 1000)):
        found.append(session)
        if len(found) == limit:
            break
    rows = [
        {
            "session": one.id,
            "status": one.status,
            "title": one.title,
            "agent_id": one.agent_id,
            "work_dir": one.work_dir,
            "created_at": one.created_at,
            "updated_at": one.updated_at,
            "tokens": one.usage.total_tokens,
        }
        for one in found
    ]
    columns = ("session", "status", "title", "work_dir", "tokens", "updated_at")
    print_rows(columns, rows, json)
    return 0


@click.command("show")
@click.argument("session")
@click.option("--all", "whole", is_flag=True, help="Whole results, and the model's reasoning.")
@json_option
@server_options
def show_command(server: str, token: str | None, json: bool, session: str, whole: bool) -> None:
    """Show a SESSION with its history."""
    talk(server, token, _show, json, session, whole)


async def _show(client: Client, json: bool, session_id: str, whole: bool) -> int:
    session = await client.describe(session_id)
    if not for_people(json):
        as_json(session)
        return 0
    title = clean(session.title or "")
    click.secho(f"{session.id}  {session.status}  {title}", bold=True)
    click.secho(
        f"{clean(session.work_dir)}, {when(session.created_at)}, "
        f"{session.usage.input_tokens:,} tokens in, {session.usage.output_tokens:,} out",
        dim=True,
    )
    for message in session.history or ():
        _message(message, whole)
    return 0


def _message(message: Message, whole: bool) -> None:
    if message.role == "user" and message.text:
        click.echo()
    for block in message.content:
        _block(message.role, block, whole)
    if message.cut_short:
        click.secho(f"({message.cut_short.replace('_', ' ')})", fg="yellow")


def _block(role: str, block: Block | dict[str, Any], whole: bool) -> None:
    match block:
        case dict():  # of a later server: as it is in its JSON
            click.secho(f"(a {clean(str(block.get('type')))}: see --json)", dim=True)
        case TextBlock(text=text) if role == "user":
            click.secho(f"> {clean(text)}", bold=True)
        case TextBlock(text=text):
            click.echo(clean(text))
        case ToolUseBlock(name=name, input=input):
            click.echo(f"{click.style(f'→ {clean(name)}', fg='cyan', bold=True)} {compact(input)}")
        case ToolResultBlock(content=content, is_error=is_error):
            _result(content, is_error, whole)
        case ThinkingBlock(thinking=thinking):
            if whole:
                click.secho(clean(thinking), dim=True)
        case ImageBlock(media_type=media_type):
            click.secho(f"({clean(media_type)})", dim=True)
        case RedactedThinkingBlock():
            pass
        case _:
            assert_never(block)


def _result(content: str, is_error: bool, whole: bool) -> None:
    lines = clean(content).rstrip().split("\n")
    arrow = click.style("←", fg="red" if is_error else "green", bold=True)
    for number, line in enumerate(itertools.islice(lines, None if whole else _LINES)):
        click.echo(f"{arrow if number == 0 else ' '} {line}")
    if not whole and len(lines) > _LINES:
        click.secho(f"  … {count(len(lines) - _LINES, 'more line')}", dim=True)
