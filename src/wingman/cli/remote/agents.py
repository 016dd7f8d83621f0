"""`wingman agents`: the agents of a server."""

from typing import Any

import click
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from wingman.api import AgentFields, AgentRecord, NewAgent, ProviderConfig
from wingman.cli.console import clean
from wingman.cli.output import echo
from wingman.cli.remote.output import Listing, as_json, for_people, json_option, print_rows
from wingman.cli.remote.server import server_options, talk
from wingman.client import Client

__all__ = ["agents_command"]


@click.group("agents", cls=Listing)
def agents_command() -> None:
    """List the agents of a server, make them, and change them.

    Without a command they are listed.
    """


def _fields(command: Any) -> Any:
    """What may be said of an agent."""
    for option in (
        click.option(
            "--max-steps", type=click.IntRange(min=1), help="How many inferences a run has at most."
        ),
        click.option("--model", help="Which of the provider's models."),
        click.option(
            "--provider", metavar="NAME", help="Whose model it is: anthropic, openai, ollama, …"
        ),
        click.option(
            "--tools",
            metavar="NAMES",
            help="Which tools the model has, separated by commas, or none.",
        ),
        click.option(
            "--toolsets",
            metavar="NAMES",
            help="Which toolsets, such as MCP servers, separated by commas, or none.",
        ),
        click.option("--instructions", help="What the model is told beforehand."),
    ):
        command = option(command)
    return command


def _given(
    instructions: str | None,
    tools: str | None,
    toolsets: str | None,
    provider: str | None,
    model: str | None,
    max_steps: int | None,
) -> dict[str, Any]:
    if model and not provider:
        raise click.UsageError("--model needs --provider: say whose model it is.")
    given = {
        "instructions": UNSET if instructions is None else instructions,
        "tools": _names(tools),
        "toolsets": _names(toolsets),
        "provider": ProviderConfig(provider, model) if provider else UNSET,
        "max_steps": UNSET if max_steps is None else max_steps,
    }
    return {name: value for name, value in given.items() if value is not UNSET}


def _names(text: str | None) -> tuple[str, ...] | UnsetType:
    if text is None:
        return UNSET
    listed = [] if text == "none" else [name.strip() for name in text.split(",")]
    return tuple(name for name in listed if name)


@agents_command.command("list")
@json_option
@server_options
def list_command(server: str, token: str | None, json: bool) -> None:
    """List all agents."""

    async def work(client: Client) -> int:
        agents = await client.agents.list()
        if for_people(json):
            rows = [{**asdict(one), "model": _model(one)} for one in agents]
            print_rows(("id", "name", "model", "tools"), rows, json)
        else:
            for one in agents:
                as_json(one)
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
    echo(click.style(f"{agent.id}  {clean(agent.name)}", bold=True))
    echo(f"model         {clean(_model(agent))}")
    echo(f"tools         {clean(', '.join(agent.tools)) or 'none'}")
    if agent.toolsets:
        echo(f"toolsets      {clean(', '.join(agent.toolsets))}")
    if agent.max_steps is not None:
        echo(f"max steps     {agent.max_steps}")
    if agent.instructions:
        echo(f"instructions  {clean(agent.instructions)}")


def _model(agent: AgentRecord) -> str:
    return "/".join(part for part in (agent.provider.id, agent.provider.model) if part)
