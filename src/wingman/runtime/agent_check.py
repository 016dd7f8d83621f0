"""What is wrong with an agent: all of it, with the place of each."""

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Final, TypeAlias

import attrs
import msgspec
from msgspec import UNSET

from wingman.api import AgentFields, AgentRecord, CompactionConfig, NewAgent, ProviderConfig
from wingman.errors import InvalidRequest, NotFound, ProviderNotConfigured
from wingman.nearest import nearest
from wingman.output import OutputCheck
from wingman.permissions import Rules
from wingman.providers import ProviderRegistry

__all__ = ["AgentProblem", "AgentSurroundings", "blank_agent", "check_schema", "with_fields"]

_NO_PROVIDER: Final = ProviderConfig("")

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
    """What an agent may name: tools, toolsets and providers."""

    tools: Collection[str]
    toolsets: Collection[str]
    providers: ProviderRegistry

    def problems_of_new(self, fields: NewAgent) -> Iterator[AgentProblem]:
        """All that is wrong with an agent before it is made."""
        moment = datetime.now(UTC)
        blank = blank_agent(fields.name, _NO_PROVIDER, moment)
        for problem in self.problems_of(with_fields(blank, fields, moment)):
            if fields.provider is not UNSET or problem.keys[0] != "provider":
                yield problem

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
        yield from _about_names("tool", agent.tools, self.tools)
        yield from _about_names("toolset", agent.toolsets, self.toolsets)
        for index, name in enumerate(agent.toolsets):
            taken = [tool for tool in agent.tools if tool.startswith(f"{name}_")]
            if taken:
                text = (
                    f"The tools of {name!r} are called {name}_…, as the tool {taken[0]!r} is: "
                    "leave one of the two out."
                )
                yield AgentProblem(text, ("toolsets", index))

    def _about_provider(self, name: str, place: Place) -> Iterator[AgentProblem]:
        try:
            self.providers.entry(name)
        except NotFound:
            yield AgentProblem(_unknown("provider", name, self.providers.names()), place)
        except ProviderNotConfigured as error:  # an installed one that does not load
            yield AgentProblem(error.message, place)


def blank_agent(agent_id: str, provider: ProviderConfig, moment: datetime) -> AgentRecord:
    """An agent of which nothing is said."""
    return AgentRecord(
        id=agent_id,
        name="",
        instructions="",
        tools=(),
        provider=provider,
        output_schema=None,
        max_steps=None,
        created_at=moment,
        updated_at=moment,
    )


def with_fields(old: AgentRecord, fields: AgentFields, moment: datetime) -> AgentRecord:
    """An agent with the fields that are given."""
    given = {
        name: value for name, value in msgspec.structs.asdict(fields).items() if value is not UNSET
    }
    return msgspec.structs.replace(old, **given, updated_at=moment)


def _about_names(
    kind: str, names: tuple[str, ...], known: Collection[str]
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
    all_known = ", ".join(sorted(known)) or "none"
    if meant == ".":
        return f"There is no {kind} {name!r}; there are: {all_known}."
    return f"There is no {kind} {name!r}{meant} There are: {all_known}."
