"""`wingman console`: the address of the page."""

import click

from wingman.cli.output import echo
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client

__all__ = ["console_command"]


@click.command("console")
@server_options
def console_command(server: str, token: str | None) -> None:
    """Print the address of the server's console, to be opened in a browser.

    Where the server has a token, the address is a link that works once, for 10 minutes. Whoever
    opens it has the console for 12 hours.
    """
    talk(server, token, _console)


async def _console(client: Client) -> int:
    echo(await client.console_link())
    return 0
