"""What is wrong with an agent: all of it, with the place of each."""

import re
from collections.abc import Collection, Iterator
from typing import Final, TypeAlias

import attrs

from wingman.api import AgentRecord, CompactionConfig
from wingman.errors import InvalidRequest, NotFound, ProviderNotConfigured
from wingman.nearest import nearest
from wingman.output import OutputCheck
from wingman.permissions import Rules
from wingman.providers import ProviderRegistry

__all__ = ["AgentProblem", "AgentSurroundings", "check_schema"]

_KEY: Final = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")

Place: TypeAlias = tuple[str | int, ...]


@attrs.frozen
class AgentProblem:
    """Something wrong with an agent, and the keys that lead to it."""

    text: str
    keys: Place

    @property
    def error(self) -> InvalidRequest:
        """The error of a request that has it."""
        path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys)
        return InvalidRequest(f"{self.text.removesuffix('.')} - at `${path}`")


@attrs.frozen
class AgentSurroundings:
    """What an agent may name: tools and providers."""

    tools: Collection[str]
    providers: ProviderRegistry

    def problems_of(self, agent: AgentRecord) -> Iterator[AgentProblem]:
        """All that is wrong with an agent."""
        if not agent.name.strip():
            yield AgentProblem("An agent needs a name.", ("name",))
        if agent.max_steps is not None and agent.max_steps < 1:
            yield AgentProblem("Expected `int` >= 1.", ("max_steps",))
        yield from self._about_provider(agent.provider.id, ("provider", "id"))
        if isinstance(agent.compaction, CompactionConfig) and agent.compaction.provider:
            place = ("compaction", "provider", "id")
            yield from self._about_provider(agent.compaction.provider.id, place)
        try:
            check_schema(agent)
        except InvalidRequest as error:
            text, _, path = error.message.partition(" - at `$")
            yield AgentProblem(f"{text}.", tuple(_keys(path)))
        try:
            Rules.of(agent.permissions)
        except ValueError as error:
            yield AgentProblem(f"{error}", ("permissions",))
        yield from self._about_names("tool", agent.tools, self.tools)

    def _about_provider(self, name: str, place: Place) -> Iterator[AgentProblem]:
        try:
            self.providers.entry(name)
        except NotFound:
            yield AgentProblem(_unknown("provider", name, self.providers.names()), place)
        except ProviderNotConfigured as error:  # an installed one that does not load
            yield AgentProblem(error.message, place)

    def _about_names(
        self, kind: str, names: tuple[str, ...], known: Collection[str]
    ) -> Iterator[AgentProblem]:
        for index, name in enumerate(names):
            if name not in known:
                yield AgentProblem(_unknown(kind, name, known), (f"{kind}s", index))
            elif name in names[:index]:
                text = f"{kind.capitalize()} {name!r} is named twice."
                yield AgentProblem(text, (f"{kind}s", index))


def check_schema(agent: AgentRecord) -> None:
    """Raise `InvalidRequest` for an agent whose `output_schema` is no JSON Schema."""
    if agent.output_schema is not None:
        try:
            OutputCheck(agent.output_schema)
        except ValueError as error:
            raise InvalidRequest(str(error)) from error


def _keys(path: str) -> Iterator[str | int]:
    for key, index in _KEY.findall(path):
        yield int(index) if index else key


def _unknown(kind: str, name: str, known: Collection[str]) -> str:
    meant = nearest(name, known)
    all_known = ", ".join(sorted(known))
    if meant == ".":
        return f"There is no {kind} {name!r}; there are: {all_known}."
    return f"There is no {kind} {name!r}{meant} There are: {all_known}."
