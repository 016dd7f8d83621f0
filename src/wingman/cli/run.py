"""`wingman run`: one message, one session in memory, in the terminal."""

from functools import partial
from pathlib import Path
from typing import Final

import click
import trio
from click.core import ParameterSource
from msgspec import UNSET

from wingman.agent import Agent
from wingman.api import NewAgent, PermissionForm, ProviderConfig
from wingman.cli.console import Console
from wingman.cli.environment import FromEnvironment
from wingman.cli.launch import launch
from wingman.cli.one_message import run_in
from wingman.cli.output import echo
from wingman.cli.remote import run_on_server, talk
from wingman.cli.rules import permissions_option
from wingman.cli.run_agent import (
    has_rules,
    loaded_with,
    refuse_beside_an_agent,
    run_agent,
    run_agent_on_server,
)
from wingman.cli.stdin import piped_text
from wingman.cli.terminal import is_terminal
from wingman.errors import (
    ContextTooLong,
    InvalidRequest,
    ProviderAuthError,
    ProviderNotConfigured,
    WingmanError,
)
from wingman.permissions import NO_RULES, Rules
from wingman.providers import Provider, ProviderRegistry
from wingman.runtime import KEYLESS, PREFERRED, Session, default_provider
from wingman.session import instruction_files
from wingman.telemetry import configure_logging
from wingman.tools import BUILTIN, Tool

__all__ = ["run_command"]

_INSTRUCTIONS: Final = (
    "You answer in the user's terminal and work in the current directory. Be brief."
)

# What changes something or goes out. `write` is named by its own name as well as by `edit`, which
# is its action.
_ASKED: Final[PermissionForm] = {"bash": "ask", "write": "ask", "edit": "ask", "webfetch": "ask"}


def _tools(_context: click.Context, _option: click.Parameter, names: str) -> tuple[Tool, ...]:
    if names == "none":
        return ()
    try:
        return tuple(BUILTIN[name] for name in dict.fromkeys(names.split(",")))
    except KeyError as error:
        known = ", ".join(BUILTIN)
        raise click.BadParameter(f"there is no tool {error}; there are: {known}.") from error


@click.command("run", cls=FromEnvironment)
@click.argument("message", required=False)
@click.option(
    "--agent",
    metavar="NAME",
    help="An agent of the configuration file, or, with --server, of the server.  [default: one "
    "that the next options make]",
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration file that has the --agent.  [default: that of wingman serve]",
)
@click.option(
    "--provider",
    metavar="NAME",
    help="anthropic, openai, gemini, ollama, openai-compatible, local, scripted, or an installed "
    "one.  [default: the first of the first three that has a key, else scripted, which needs none]",
)
@click.option("--model", help="Which of the provider's models.  [default: the provider's own]")
@click.option(
    "--work-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default="the current directory",
    help="Where the tools work.",
)
@click.option(
    "--tools",
    metavar="NAMES",
    callback=_tools,
    default=",".join(BUILTIN),
    show_default=True,
    help="Which tools the model has, separated by commas, or none.",
)
@click.option("--max-steps", type=click.IntRange(min=1), help="How many inferences at most.")
@click.option("--instructions", default=_INSTRUCTIONS, help="What the model is told beforehand.")
@permissions_option(
    "Which tool calls you are asked about: all of them (ask), none (allow), or what a JSON FILE of "
    "rules says.  [default: in a terminal bash, write, edit and webfetch, elsewhere none]"
)
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: all tools are allowed.")
@click.option("-v", "--verbose", is_flag=True, help="Show thinking, progress and whole results.")
@click.option(
    "--server",
    metavar="URL",
    show_envvar=True,
    help="Run it on this server, in its directories.",
)
@click.option("--token", envvar="WINGMAN_TOKEN", show_envvar=True, help="The server's token.")
def run_command(
    message: str | None,
    agent: str | None,
    config: Path | None,
    provider: str | None,
    model: str | None,
    work_dir: Path,
    tools: tuple[Tool, ...],
    max_steps: int | None,
    instructions: str,
    permissions: Rules | None,
    yes: bool,
    verbose: bool,
    server: str | None,
    token: str | None,
) -> None:
    """Send one MESSAGE to a model and show what it does.

    What is piped in, or given with <, is sent below the MESSAGE, or in its place where there is
    none, or where it is -. The model's text and its tool calls are shown as they come: text on
    standard output, all else on standard error. Nothing is stored. Ctrl-C cancels the run and says
    what has stopped; a second one leaves at once.

    In a terminal you are asked before a command, a change of a file or a fetch runs. Where standard
    input or standard error is no terminal, nobody can be asked: without --permissions all tools are
    allowed, and with rules a call that needs an answer is rejected. An --agent goes by its own
    rules and those of [permissions], where there are any.
    """
    configure_logging("warning")
    source = click.get_current_context().get_parameter_source("permissions")
    if yes and source is ParameterSource.COMMANDLINE:
        raise click.UsageError("--yes and --permissions exclude each other: give one.")
    console = Console(verbose)
    text = _message(message)
    if agent is not None:
        refuse_beside_an_agent()
        told: PermissionForm | None = None if permissions is None else permissions.rules
        told = "allow" if yes else told
        if server is not None:
            place = work_dir.absolute()
            talk(server, token, run_agent_on_server, agent, told, place, text, console)
            return
        loaded = loaded_with(agent, config)
        if told is None and not has_rules(loaded, agent):
            told = _rules(None, yes=yes).rules
        launch(partial(run_agent, loaded, agent, told, work_dir, text, console), _told)
        return
    rules = _rules(permissions, yes=yes)
    if server is not None:
        if model and not provider:
            raise click.UsageError("--model needs --provider: say whose model it is.")
        fields = NewAgent(
            name="wingman run",
            instructions=instructions,
            tools=tuple(tool.name for tool in tools),
            provider=UNSET if provider is None else ProviderConfig(provider, model),
            max_steps=UNSET if max_steps is None else max_steps,
            instruction_files=True,
            permissions=rules.rules or UNSET,
        )
        talk(server, token, run_on_server, fields, work_dir.absolute(), text, console)
        return
    made = Agent(
        "wingman run",
        instructions=instructions,
        provider=_provider(provider, model, console),
        tools=tools,
        max_steps=max_steps,
        instruction_files=True,
        permissions=rules,
    )
    launch(partial(_run, made, work_dir, text, console), _told)


def _rules(given: Rules | None, *, yes: bool) -> Rules:
    """The rules of this run, saying so where nobody can be asked."""
    if yes or (given is None and not is_terminal()):
        return NO_RULES
    rules = Rules.of(_ASKED) if given is None else given
    if not is_terminal() and any(rule.effect == "ask" for rule in rules.rules):
        echo("There is no terminal to ask in: calls that need permission are rejected.", err=True)
    return rules


def _message(given: str | None) -> str:
    """The message: what is given, what standard input has, or the one above the other."""
    piped = piped_text()
    if piped is None and given is None:
        raise click.UsageError("Missing argument 'MESSAGE': give one, or pipe a text in.")
    if piped is None and given == "-":
        raise click.UsageError("Standard input is a terminal, or closed: pipe a text in.")
    if given in (None, "-"):
        text = piped or ""
    elif piped is None or not piped.strip():
        text = given or ""
    else:
        text = f"{given}\n\n{piped}"
    if not text.strip():
        raise click.UsageError("The message is empty.")
    return text


def _told(error: WingmanError) -> str:
    """An error in words that advise what `wingman run` can do."""
    match error:
        case ProviderNotConfigured():
            return error.by_environment
        case ProviderAuthError() if variable := _key_variable(error.provider):
            return f"{error.message} Look at {variable} in the environment."
        case ContextTooLong():
            facts, _, _ = error.message.partition(": ")
            return f"{facts}: choose a model with a larger one (--model), or send less."
        case InvalidRequest():
            return error.message.partition(" - at `")[0]  # the place is one in a request's body
        case _ if error.code == "internal_error":
            return f"{error.message} The log is what stands above."
        case _:
            return error.message


def _key_variable(provider: str) -> str | None:
    registry = ProviderRegistry()
    return registry.entry(provider).key_variable if provider in registry.names() else None


def _provider(name: str | None, model: str | None, console: Console) -> Provider:
    """The provider that is named, or the default one, saying so if that is no model."""
    registry = ProviderRegistry()
    if name is None:
        name = default_provider(lambda name: registry.entry(name).configured())
        if name == KEYLESS:
            keys = " or ".join(str(registry.entry(name).key_variable) for name in PREFERRED)
            console.note(
                f"No {keys} is set: this is the keyless model, which is no language model."
            )
    if name not in registry.names():
        known = ", ".join(registry.names())
        raise click.UsageError(f"There is no provider {name!r}; there are: {known}.")
    entry = registry.entry(name)
    if not (model or entry.default_model):
        raise click.UsageError(f"{name} has no default model: name one with --model.")
    return registry.create(name, model)


async def _run(agent: Agent, work_dir: Path, message: str, console: Console) -> int:
    if console.verbose and agent.instruction_files:
        directory = Path(await trio.Path(work_dir).resolve())
        for path in await instruction_files(directory):
            console.note(f"instructions from {path}")
    async with Session(agent, work_dir=work_dir) as session:
        return await run_in(session, work_dir, message, console)
