"""`wingman show`: a session, readable."""

import itertools
from collections.abc import AsyncIterator
from typing import Any, Final, assert_never

import click

from wingman.api import RunView, Status
from wingman.cli.console import clean, clip, compact, count
from wingman.cli.output import echo
from wingman.cli.remote.output import as_json, for_people, json_option, when
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

__all__ = ["show_command"]

_LINES: Final = 8
_WIDEST: Final = 60  # columns of a message

# Runs are listed newest first; of a session that has more, these are shown.
_RUNS: Final = 100
_LIVE: Final[tuple[Status, ...]] = ("running", "cancelling", "queued")


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
    click.secho(
        f"{clean(session.work_dir)}, {when(session.created_at)}, "
        f"{session.usage.input_tokens:,} tokens in, {session.usage.output_tokens:,} out",
        dim=True,
    )
    for message in session.history or ():
        _message(message, whole)
    await _runs(client, session_id)
    return 0


async def _runs(client: Client, session_id: str) -> None:
    """What is not in the history: runs that have not ended, and how the last one failed."""
    newest = await _some(client.runs(session_id, page=1), 1)
    live = await _some(client.runs(session_id, _LIVE, page=_RUNS), _RUNS)
    if newest and newest[0].error is not None:
        echo(click.style(f"The last run failed: {clean(newest[0].error.message)}", fg="red"))
    for run in reversed(live):
        message = clip(" ".join(clean(run.message).split()), _WIDEST)
        echo(click.style(f"{run.status} {run.id}: {message}", fg="yellow"))


async def _some(runs: AsyncIterator[RunView], most: int) -> list[RunView]:
    found: list[RunView] = []
    async for run in runs:
        found.append(run)
        if len(found) == most:
            break
    return found


def _message(message: Message, whole: bool) -> None:
    if message.role == "user" and message.text:
        echo()
    for block in message.content:
        _block(message.role, block, whole)
    if message.cut_short:
        echo(click.style(f"({message.cut_short.replace('_', ' ')})", fg="yellow"))


def _block(role: str, block: Block | dict[str, Any], whole: bool) -> None:
    match block:
        case dict():  # of a later server: as it is in its JSON
            echo(click.style(f"(a {clean(str(block.get('type')))}: see --json)", dim=True))
        case TextBlock(text=text) if role == "user":
            echo(click.style(f"> {clean(text)}", bold=True))
        case TextBlock(text=text):
            echo(clean(text))
        case ToolUseBlock(name=name, input=input):
            echo(f"{click.style(f'→ {clean(name)}', fg='cyan', bold=True)} {compact(input)}")
        case ToolResultBlock(content=content, is_error=is_error):
            _result(content, is_error, whole)
        case ThinkingBlock(thinking=thinking):
            if whole:
                echo(click.style(clean(thinking), dim=True))
        case ImageBlock(media_type=media_type):
            echo(click.style(f"({clean(media_type)})", dim=True))
        case RedactedThinkingBlock():
            pass
        case _:
            assert_never(block)


def _result(content: str, is_error: bool, whole: bool) -> None:
    lines = clean(content).rstrip().split("\n")
    arrow = click.style("←", fg="red" if is_error else "green", bold=True)
    for number, line in enumerate(itertools.islice(lines, None if whole else _LINES)):
        echo(f"{arrow if number == 0 else ' '} {line}")
    if not whole and len(lines) > _LINES:
        echo(click.style(f"  … {count(len(lines) - _LINES, 'more line')}", dim=True))
