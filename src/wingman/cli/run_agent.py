"""`wingman run --agent`: an agent of the configuration file, or of a server."""

from pathlib import Path

import click
import trio
from click.core import ParameterSource
from msgspec import UNSET

from wingman.api import OnAsk, PermissionForm
from wingman.cli.configuration import Mistaken
from wingman.cli.console import Console, clean
from wingman.cli.one_message import run_in
from wingman.cli.remote import send_to
from wingman.cli.terminal import is_terminal
from wingman.client import Client
from wingman.config import ConfigError, Loaded, Loader, default_path
from wingman.nearest import nearest
from wingman.runtime import Runtime

__all__ = ["has_rules", "loaded_with", "refuse_beside_an_agent", "run_agent", "run_agent_on_server"]

# What an agent has of itself.
_ITS_OWN = ("provider", "model", "tools", "max_steps", "instructions")
_LAST_SECONDS = 5.0


def refuse_beside_an_agent() -> None:
    """Raise for an option of the command line that the agent says itself."""
    context = click.get_current_context()
    for name in _ITS_OWN:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = name.replace("_", "-")
            raise click.UsageError(f"--agent says --{option} itself: give one of the two.")


def loaded_with(agent: str, path: Path | None) -> Loaded:
    """The configuration that has this agent."""
    place = path or default_path()
    try:
        loaded = Loader(place).load()
    except FileNotFoundError:
        raise click.UsageError(f"There is no configuration file {clean(str(place))}.") from None
    except ConfigError as error:
        raise Mistaken(error) from error
    agents = loaded.configuration.agents
    if agent not in agents:
        meant = nearest(agent, agents)
        raise click.UsageError(f"There is no agent {agent!r} in {clean(str(place))}{meant}")
    return loaded


def has_rules(loaded: Loaded, agent: str) -> bool:
    """Whether the file has rules for this agent."""
    own = loaded.configuration.agents[agent].permissions
    return own is not UNSET or bool(loaded.rules)


async def run_agent(
    loaded: Loaded,
    agent: str,
    permissions: PermissionForm | None,
    work_dir: Path,
    message: str,
    console: Console,
) -> int:
    """Run one message of an agent of the file, here; return the exit code."""
    async with Runtime(settings=loaded.settings) as runtime:
        session = await runtime.create_session(agent, work_dir=work_dir, permissions=permissions)
        return await run_in(session, work_dir, message, console)


async def run_agent_on_server(
    client: Client,
    agent: str,
    permissions: PermissionForm | None,
    work_dir: Path,
    message: str,
    console: Console,
) -> int:
    """Run one message of a server's agent in a session of which nothing stays."""
    session = await client.create_session(
        agent, work_dir=work_dir, title="wingman run", permissions=permissions
    )
    try:
        on_ask: OnAsk = "wait" if is_terminal() else "reject"
        return await send_to(session, message, console, on_ask=on_ask)
    finally:
        with trio.move_on_after(_LAST_SECONDS, shield=True):
            await client.delete(session.id)
