"""`wingman permissions` and `wingman answer`: what waits for a person, and the answers."""

from typing import Any, Final

import click
import msgspec

from wingman.api import Decision, PermissionAnswer, PermissionRequest
from wingman.cli.console import clean, compact
from wingman.cli.output import echo
from wingman.cli.remote.output import as_json, for_people, json_option, lasted, print_rows
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client
from wingman.errors import NotFound

__all__ = ["answer_command", "permissions_command"]

_COLUMNS: Final = ("id", "age", "session", "tool", "what")


@click.command("permissions")
@click.option("--session", metavar="ID", help="Those of this session alone.")
@click.option("--all", "every", is_flag=True, help="Also those that wait no more.")
@json_option
@server_options
def permissions_command(
    server: str, token: str | None, json: bool, session: str | None, every: bool
) -> None:
    """List the tool calls that wait for your permission, newest first.

    Answer one with `wingman answer ID once`, `always` or `reject`.
    """
    talk(server, token, _list, json, session, every)


async def _list(client: Client, json: bool, session: str | None, every: bool) -> int:
    requests = client.permissions(session, () if every else ("pending",))
    if not for_people(json):
        async for request in requests:
            as_json(request)
        return 0
    rows = [_row(request) async for request in requests]
    if not rows:
        echo("Nothing was asked." if every else "Nothing waits for permission.", err=True)
        return 0
    print_rows((*_COLUMNS, "status") if every else _COLUMNS, rows, json)
    return 0


def _row(request: PermissionRequest) -> dict[str, Any]:
    return {
        "id": request.id,
        "age": lasted(request.created_at),
        "session": request.session_id,
        "tool": request.tool,
        "what": "; ".join(request.resources) or compact(request.input or {}),
        "status": request.status,
    }


@click.command("answer")
@click.argument("permission", metavar="ID")
@click.argument("decision", type=click.Choice(["once", "always", "reject"]))
@click.option("--message", metavar="TEXT", help="What the model is told.")
@click.option(
    "--input",
    "edited",
    metavar="JSON",
    callback=lambda _context, _option, given: _input(given),
    help="With once: the call runs with this input, an object, in the place of its own.",
)
@click.option("--session", metavar="ID", help="Its session, if that is known.")
@json_option
@server_options
def answer_command(
    server: str,
    token: str | None,
    json: bool,
    permission: str,
    decision: Decision,
    message: str | None,
    edited: dict[str, Any] | None,
    session: str | None,
) -> None:
    """Answer the request with this ID: allow the call once, allow it and the like always, in its
    session, or reject it.

    `wingman permissions` lists what waits. The first answer counts.
    """
    answer = PermissionAnswer(decision, message, edited)
    talk(server, token, _answer, json, permission, answer, session)


async def _answer(
    client: Client, json: bool, permission_id: str, answer: PermissionAnswer, session: str | None
) -> int:
    session = session or await _session_of(client, permission_id)
    request = await client.answer(session, permission_id, answer)
    if not for_people(json):
        as_json(request)
    else:
        what = clean("; ".join(request.resources))
        echo(f"{request.status}: {clean(request.tool)}: {what}")
    return 0


async def _session_of(client: Client, permission_id: str) -> str:
    """The session that a request belongs to: those that wait are looked at before the others."""
    for statuses in (("pending",), ()):
        async for request in client.permissions(None, statuses):
            if request.id == permission_id:
                return request.session_id
    raise NotFound("permission", permission_id)


def _input(given: str | None) -> dict[str, Any] | None:
    if given is None:
        return None
    try:
        return msgspec.json.decode(given, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise click.BadParameter(
            f'{error}; give the whole input of the call as an object, as {{"command": "ls"}}'
        ) from error
