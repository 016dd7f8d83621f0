"""Loading: a file is read and decoded, its tools are imported, its agents checked."""

import os
from collections.abc import Iterator
from pathlib import Path

import attrs
import msgspec

from wingman.api import NewAgent
from wingman.config import files
from wingman.config.decoding import Undecodable, decode, with_lines
from wingman.config.form import Configuration
from wingman.config.imports import Imported, Importer
from wingman.config.mistakes import ConfigError, Mistake
from wingman.permissions import Rules
from wingman.providers import ProviderRegistry
from wingman.runtime import AgentSurroundings, Settings
from wingman.tools import BUILTIN, Tool, Toolset

__all__ = ["Loaded", "Loader"]


@attrs.frozen
class Loaded:
    """A configuration, and what was imported for it."""

    configuration: Configuration = attrs.field(factory=Configuration)
    tools: tuple[Tool, ...] = ()
    toolsets: tuple[Toolset, ...] = ()

    @property
    def rules(self) -> Rules:
        """What [permissions] says."""
        given = self.configuration.permissions
        return Rules.of(None if given is msgspec.UNSET else given)

    @property
    def settings(self) -> Settings:
        """What a runtime is given of it."""
        return Settings(
            agents=tuple(_agents(self.configuration)),
            tools=self.tools,
            toolsets=self.toolsets,
            mcp=self.configuration.mcp,
            permissions=self.rules,
            prices=self.configuration.prices,
        )


@attrs.frozen
class Loader:
    """Loads the file at a path, as often as it is asked to."""

    path: Path
    providers: ProviderRegistry = attrs.field(factory=ProviderRegistry, eq=False)
    _importer: Importer = attrs.field(factory=Importer, init=False, eq=False)

    def load(self) -> Loaded:
        """What the file says. It imports what the file names: foreign code, which takes its time.

        Raises `ConfigError` with all mistakes that were found, `FileNotFoundError` where there is
        no file.
        """
        data = files.read(self.path)
        try:
            configuration = decode(data, os.environ)
        except Undecodable as error:
            raise ConfigError(self.path, error.mistakes) from error
        mistakes: list[Mistake] = []
        directory = Path(os.path.abspath(self.path)).parent  # noqa: PTH100 links are kept
        imported = self._importer.all(configuration.tools, directory, mistakes)
        mistakes += _about_names(configuration, imported)
        mistakes += _about_servers(configuration, imported)
        mistakes += self._about_permissions(configuration)
        mistakes += self._about_agents(configuration, imported, complete=not mistakes)
        if mistakes:
            raise ConfigError(self.path, with_lines(data, mistakes))
        made = [each.made for each in imported]
        tools = tuple(each for each in made if isinstance(each, Tool))
        toolsets = tuple(each for each in made if isinstance(each, Toolset))
        return Loaded(configuration, tools, toolsets)

    def _about_permissions(self, configuration: Configuration) -> Iterator[Mistake]:
        try:
            Loaded(configuration).rules  # noqa: B018 it is made to see whether it can be
        except ValueError as error:
            yield Mistake(f"{error}.", ("permissions",))

    def _about_agents(
        self, configuration: Configuration, imported: list[Imported], *, complete: bool
    ) -> Iterator[Mistake]:
        """What is wrong with agents. Of names, where not all is there that they may mean, nothing
        is said."""
        tools = {*BUILTIN, *(each.made.name for each in imported if isinstance(each.made, Tool))}
        toolsets = {each.made.name for each in imported if isinstance(each.made, Toolset)}
        surroundings = AgentSurroundings(tools, {*toolsets, *configuration.mcp}, self.providers)
        for agent in _agents(configuration):
            for problem in surroundings.problems_of_new(agent):
                if complete or problem.keys[0] not in ("tools", "toolsets"):
                    yield Mistake(problem.text, ("agents", agent.name, *problem.keys))


def _about_names(configuration: Configuration, imported: list[Imported]) -> Iterator[Mistake]:
    """Each tool has a name of its own, and so has each toolset and each MCP server."""
    tools: dict[str, str] = dict.fromkeys(BUILTIN, "Wingman's own tool")
    toolsets = dict.fromkeys(configuration.mcp, "an MCP server")
    for each in imported:
        kind, known = ("tool", tools) if isinstance(each.made, Tool) else ("toolset", toolsets)
        name = each.made.name
        if name in known:
            yield Mistake(f"The {kind} has the name {name!r}, as has {known[name]}.", each.keys)
        known[name] = f"another {kind}"


def _about_servers(configuration: Configuration, imported: list[Imported]) -> Iterator[Mistake]:
    """Rules name a server, or a tool: no two of them have one name."""
    tools = [*BUILTIN.values(), *(each.made for each in imported if isinstance(each.made, Tool))]
    taken = {action for tool in tools for action in tool.actions}
    for name in configuration.mcp:
        if name in taken:
            text = "It has the name of a tool, whose rules would hold for it, too."
            yield Mistake(text, ("mcp", name))


def _agents(configuration: Configuration) -> Iterator[NewAgent]:
    for name, entry in configuration.agents.items():
        yield NewAgent(name=name, **msgspec.structs.asdict(entry))
