"""Which server a command talks to, and how its errors end the command."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

import click

from wingman.api import Status
from wingman.cli.console import clean
from wingman.cli.launch import launch, leaves_of
from wingman.cli.left_out import HTTP_2, left_out
from wingman.cli.output import echo
from wingman.client import Client, Patience, Retrying
from wingman.errors import InvalidRequest, NotFound, Unavailable, WingmanError

__all__ = ["EXIT", "FAILED", "NOT_FOUND", "UNREACHABLE", "open_client", "server_options", "talk"]

C = TypeVar("C", bound=Callable[..., Any])

FAILED: Final = 3
NOT_FOUND: Final = 6
UNREACHABLE: Final = 7

EXIT: Final[dict[Status, int]] = {
    "completed": 0,
    "failed": FAILED,
    "cancelled": 4,
    "interrupted": 5,
}
"""What a run that has ended is to a script."""

# A person waits. A server that is just restarting has this long.
_PATIENCE: Final = Patience(seconds=20, first_seconds=1)
_TOLD_AT: Final = 5  # failures in a row: a second, which one that was never there is not given


def server_options(command: C) -> C:
    """Give a command `--server` and `--token`."""
    command = click.option(
        "--token",
        envvar="WINGMAN_TOKEN",
        show_envvar=True,
        help="The server's token. The environment hides it from other users, an option does not.",
    )(command)
    return click.option(
        "--server",
        envvar="WINGMAN_SERVER",
        show_envvar=True,
        metavar="URL",
        default="http://127.0.0.1:2323",
        show_default=True,
        help="Where the server is.",
    )(command)


def open_client(server: str, token: str | None) -> Client:
    """The client of a command; `async with` it."""
    return Client(server, token or None, patience=_PATIENCE, on_retry=_note)


def _note(retrying: Retrying) -> None:
    """Say once why nothing comes; what is over at once need not be told."""
    if retrying.failures == _TOLD_AT:
        echo(f"{clean(retrying.error.message).rstrip('.')}; it is tried again.", err=True)


def talk(
    server: str, token: str | None, work: Callable[..., Awaitable[int]], *arguments: Any
) -> None:
    """Do a command's work, `work(client, …)`, and end the command with its exit code."""
    context = click.get_current_context()
    context.with_resource(left_out(HTTP_2))
    for name, value in context.params.items():
        if isinstance(value, str) and not _is_text(value):
            raise click.UsageError(f"What was given as {name} is not UTF-8.")
    launch(partial(_talk, server, token, work, arguments))


async def _talk(
    server: str, token: str | None, work: Callable[..., Awaitable[int]], arguments: tuple[Any, ...]
) -> int:
    try:
        async with open_client(server, token) as client:
            return await work(client, *arguments)
    except (WingmanError, BaseExceptionGroup) as error:
        leaves = list(leaves_of(error))
        if not isinstance(leaves[0], WingmanError) or len(leaves) > 1:
            raise
        echo(f"Error: {_words(leaves[0])}", err=True)
        return _code_of(leaves[0])


def _words(error: WingmanError) -> str:
    """An error's text; the place of a mistake is one in a request's body, which nobody wrote."""
    text = error.message
    return clean(text.partition(" - at `")[0] if isinstance(error, InvalidRequest) else text)


def _is_text(given: str) -> bool:
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def _code_of(error: WingmanError) -> int:
    match error:
        case NotFound():
            return NOT_FOUND
        case Unavailable():
            return UNREACHABLE
        case _:
            return 1
