"""A history, and the runs that are not in it, readable."""

import itertools
from collections.abc import Iterable
from typing import Any, Final, assert_never

import click

from wingman.api import RunView
from wingman.cli.console import clean, clip, compact, count
from wingman.cli.output import echo
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

__all__ = ["print_history", "print_runs"]

_LINES: Final = 8
_WIDEST: Final = 60  # columns of a message


def print_history(history: Iterable[Message], whole: bool) -> None:
    """Print messages; with `whole` also the model's reasoning, and all of tools' results."""
    for message in history:
        _message(message, whole)


def print_runs(last: RunView | None, live: Iterable[RunView]) -> None:
    """Print what is not in the history: how the last run failed, and the runs to come to an end."""
    if last is not None and last.error is not None:
        echo(click.style(f"The last run failed: {clean(last.error.message)}", fg="red"))
    for run in live:
        message = clip(" ".join(clean(run.message).split()), _WIDEST)
        echo(click.style(f"{run.status} {run.id}: {message}", fg="yellow"))
        if run.status == "waiting":
            echo(f"  It needs permission: `wingman permissions --session {run.session_id}`")


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
