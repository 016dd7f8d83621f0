"""`wingman agents`: the agents of a server."""

from typing import Any

import click
from msgspec import UNSET

from wingman.api import AgentFields, AgentRecord, NewAgent, ProviderConfig
from wingman.cli.console import clean
from wingman.cli.remote.output import as_json, for_people, json_option, print_rows
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client

__all__ = ["agents_command"]


@click.group("agents")
def agents_command() -> None:
    """List the agents of a server, make them, and change them."""


def _fields(command: Any) -> Any:
    """What may be said of an agent."""
    for option in (
        click.option("--max-steps", type=click.IntRange(min=1), help="Inferences per run at most."),
        click.option("--model", help="Which of the provider's models."),
        click.option("--provider", metavar="ID", help="Whose model it is."),
        click.option("--tools", metavar="NAMES", help="With commas, or none."),
        click.option("--instructions", help="What the model is told beforehand."),
    ):
        command = option(command)
    return command


def _given(
    instructions: str | None,
    tools: str | None,
    provider: str | None,
    model: str | None,
    max_steps: int | None,
) -> dict[str, Any]:
    if model and not provider:
        raise click.UsageError("--model needs --provider: say whose model it is.")
    names = () if tools == "none" else tuple(name for name in (tools or "").split(",") if name)
    given = {
        "instructions": UNSET if instructions is None else instructions,
        "tools": UNSET if tools is None else names,
        "provider": ProviderConfig(provider, model) if provider else UNSET,
        "max_steps": UNSET if max_steps is None else max_steps,
    }
    return {name: value for name, value in given.items() if value is not UNSET}


@agents_command.command("list")
@json_option
@server_options
def list_command(server: str, token: str | None, json: bool) -> None:
    """List all agents."""

    async def work(client: Client) -> int:
        rows = [
            {
                "id": one.id,
                "name": one.name,
                "provider": one.provider.id,
                "model": one.provider.model,
                "tools": ", ".join(one.tools),
            }
            for one in await client.agents.list()
        ]
        print_rows(("id", "name", "provider", "model", "tools"), rows, json)
        return 0

    talk(server, token, work)


@agents_command.command("create")
@click.argument("name")
@_fields
@json_option
@server_options
def create_command(server: str, token: str | None, json: bool, name: str, **fields: Any) -> None:
    """Make an agent of this NAME."""
    new = NewAgent(name=name, **_given(**fields))

    async def work(client: Client) -> int:
        _show(await client.agents.create(new), json)
        return 0

    talk(server, token, work)


@agents_command.command("show")
@click.argument("agent")
@json_option
@server_options
def show_command(server: str, token: str | None, json: bool, agent: str) -> None:
    """Show an AGENT, by its id or its name."""

    async def work(client: Client) -> int:
        _show(await client.agents.find(agent), json)
        return 0

    talk(server, token, work)


@agents_command.command("update")
@click.argument("agent")
@click.option("--name", help="Another name.")
@_fields
@json_option
@server_options
def update_command(
    server: str, token: str | None, json: bool, agent: str, name: str | None, **fields: Any
) -> None:
    """Change what is given of an AGENT, by its id or its name."""
    given = _given(**fields)
    if name is not None:
        given["name"] = name
    change = AgentFields(**given)

    async def work(client: Client) -> int:
        found = await client.agents.find(agent)
        _show(await client.agents.update(found.id, change), json)
        return 0

    talk(server, token, work)


@agents_command.command("delete")
@click.argument("agent")
@server_options
def delete_command(server: str, token: str | None, agent: str) -> None:
    """Delete an AGENT, by its id or its name. Runs that are admitted keep their copy."""

    async def work(client: Client) -> int:
        found = await client.agents.find(agent)
        await client.agents.delete(found.id)
        return 0

    talk(server, token, work)


def _show(agent: AgentRecord, json: bool) -> None:
    if not for_people(json):
        as_json(agent)
        return
    model = "/".join(part for part in (agent.provider.id, agent.provider.model) if part)
    click.secho(f"{agent.id}  {clean(agent.name)}", bold=True)
    click.echo(f"model         {clean(model)}")
    click.echo(f"tools         {', '.join(agent.tools) or 'none'}")
    if agent.max_steps is not None:
        click.echo(f"max steps     {agent.max_steps}")
    if agent.instructions:
        click.echo(f"instructions  {clean(agent.instructions)}")
