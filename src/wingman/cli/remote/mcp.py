"""`wingman mcp`: the MCP servers of a server."""

from collections.abc import Iterable
from typing import Any

import click

from wingman.api import McpServer, McpServerView
from wingman.cli.console import clean
from wingman.cli.output import echo
from wingman.cli.remote.output import Listing, as_json, for_people, json_option, print_rows
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client

__all__ = ["mcp_command"]


@click.group("mcp", cls=Listing)
def mcp_command() -> None:
    """List the MCP servers of a server, add them, and look at their tools.

    Without a command they are listed.
    """


def _work_dir_option(command: Any) -> Any:
    return click.option(
        "--work-dir",
        metavar="DIRECTORY",
        help="For sessions of which directory of the server's machine.",
    )(command)


@mcp_command.command("list")
@json_option
@server_options
def list_command(server: str, token: str | None, json: bool) -> None:
    """List all MCP servers, and how they stand."""

    async def work(client: Client) -> int:
        views = await client.mcp.list()
        if for_people(json):
            rows = [
                {"name": view.name, "status": view.status, "from": view.origin, "is": _what(view)}
                for view in views
            ]
            print_rows(("name", "status", "from", "is"), rows, json)
            for view in views:
                if view.reason is not None:
                    echo(f"{clean(view.name)}: {clean(view.reason)}")
        else:
            for view in views:
                as_json(view)
        return 0

    talk(server, token, work)


@mcp_command.command("add")
@click.argument("name")
@click.argument("command", nargs=-1)
@click.option("--url", help="Where a server listens that runs already; then there is no COMMAND.")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME=VALUE",
    help="What each request to the URL has in its head; may be given again.",
)
@click.option(
    "--env",
    "env",
    multiple=True,
    metavar="NAME=VALUE",
    help="What the program finds in its environment; may be given again.",
)
@click.option("--cwd", metavar="DIRECTORY", help="Where the program starts: one for all sessions.")
@click.option("--tools", metavar="NAMES", help="Which of its tools, separated by commas.")
@click.option("--timeout", type=click.FloatRange(min=0.001), help="Seconds that a call may take.")
@json_option
@server_options
def add_command(
    server: str,
    token: str | None,
    json: bool,
    name: str,
    command: tuple[str, ...],
    url: str | None,
    headers: tuple[str, ...],
    env: tuple[str, ...],
    cwd: str | None,
    tools: str | None,
    timeout: float | None,
) -> None:
    """Add the MCP server NAME, or replace it, and connect to it.

    COMMAND is the program with its arguments, after `--`:

        wingman mcp add files -- npx -y @modelcontextprotocol/server-filesystem

    It is kept also where it cannot be connected to: that is said, and the exit code is 1.
    """
    given: dict[str, Any] = {
        "command": command or None,
        "url": url,
        "headers": _pairs("--header", headers),
        "env": _pairs("--env", env),
        "cwd": cwd,
        "tools": None if tools is None else tuple(_names(tools)),
    }
    if timeout is not None:
        given["execution_timeout"] = timeout
    try:
        new = McpServer(**given)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error

    async def work(client: Client) -> int:
        await client.mcp.put(name, new)
        return _show(await client.mcp.connect(name), json)

    talk(server, token, work)


@mcp_command.command("show")
@click.argument("name")
@json_option
@server_options
def show_command(server: str, token: str | None, json: bool, name: str) -> None:
    """Show the MCP server NAME, and how it stands."""

    async def work(client: Client) -> int:
        _show(await client.mcp.get(name), json)
        return 0

    talk(server, token, work)


@mcp_command.command("remove")
@click.argument("name")
@server_options
def remove_command(server: str, token: str | None, name: str) -> None:
    """Remove the MCP server NAME. Agents that name it go on without it."""

    async def work(client: Client) -> int:
        await client.mcp.delete(name)
        return 0

    talk(server, token, work)


@mcp_command.command("tools")
@click.argument("name")
@_work_dir_option
@json_option
@server_options
def tools_command(
    server: str, token: str | None, json: bool, name: str, work_dir: str | None
) -> None:
    """List the tools of the MCP server NAME. It is connected to, if it is not yet."""

    async def work(client: Client) -> int:
        tools = await client.mcp.tools(name, work_dir=work_dir)
        if for_people(json):
            for tool in tools:
                first = tool.description.strip().partition("\n")[0]
                echo(f"{click.style(clean(tool.name), bold=True)}  {clean(first)}")
        else:
            for tool in tools:
                as_json(tool)
        return 0

    talk(server, token, work)


@mcp_command.command("connect")
@click.argument("name")
@_work_dir_option
@json_option
@server_options
def connect_command(
    server: str, token: str | None, json: bool, name: str, work_dir: str | None
) -> None:
    """Connect to the MCP server NAME now. Where that fails, the exit code is 1."""

    async def work(client: Client) -> int:
        return _show(await client.mcp.connect(name, work_dir=work_dir), json)

    talk(server, token, work)


@mcp_command.command("disconnect")
@click.argument("name")
@json_option
@server_options
def disconnect_command(server: str, token: str | None, json: bool, name: str) -> None:
    """Close the connections to the MCP server NAME; who needs it connects again."""

    async def work(client: Client) -> int:
        _show(await client.mcp.disconnect(name), json)
        return 0

    talk(server, token, work)


def _show(view: McpServerView, json: bool) -> int:
    """Print how it stands; the exit code that says whether that is well."""
    code = 1 if view.status == "failed" else 0
    if not for_people(json):
        as_json(view)
        return code
    echo(click.style(f"{clean(view.name)}  {view.status}", bold=True))
    if view.reason is not None:
        echo(clean(view.reason))
    echo(f"is           {clean(_what(view))}")
    for label, names in (("environment", view.env), ("headers", view.headers)):
        if names:
            echo(f"{label:<12} {clean(', '.join(names))}")
    for each in view.connections:
        where = f" in {each.work_dir}" if each.work_dir else ""
        process = f", process {each.pid}" if each.pid else ""
        counts = f"{each.tools} tools, {each.calls} calls in flight"
        echo(f"{each.status:<12} {clean(f'{counts}{process}{where}')}")
    return code


def _what(view: McpServerView) -> str:
    return view.url or " ".join(view.command or ())


def _names(text: str) -> Iterable[str]:
    return filter(None, (name.strip() for name in text.split(",")))


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    for name, equals, _ in pairs:
        if not (name and equals):
            # The value may be a key: it is not repeated.
            raise click.UsageError(f"{option} is NAME=VALUE.")
    return {name: value for name, _, value in pairs}
