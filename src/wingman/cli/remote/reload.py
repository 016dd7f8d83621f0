"""`wingman reload`: have the server read its configuration again."""

import click

from wingman.cli.console import clean
from wingman.cli.output import echo
from wingman.cli.remote.output import as_json, for_people, json_option
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client
from wingman.errors import NotReloaded

__all__ = ["reload_command"]


@click.command("reload")
@json_option
@server_options
def reload_command(server: str, token: str | None, json: bool) -> None:
    """Have the server read its configuration file again, without touching a run.

    It says what has changed, and what needs a restart. Where the file has a mistake, each is told
    in a line, and the configuration stays as it was.
    """
    talk(server, token, _reload, json)


async def _reload(client: Client, json: bool) -> int:
    try:
        reloaded = await client.reload()
    except NotReloaded as error:
        for line in error.message.splitlines():
            echo(clean(line), err=True)
        return 1
    if not for_people(json):
        as_json(reloaded)
        return 0
    for key in reloaded.changed:
        echo(f"changed: {clean(key)}")
    for key in reloaded.needs_restart:
        echo(f"needs a restart: {clean(key)}")
    if not reloaded.changed and not reloaded.needs_restart:
        echo(f"nothing has changed in {clean(reloaded.file)}")
    return 0
