"""Agent: a frozen template. What to say to the model, which model, which tools, what limits.

An `Agent` is what the run loop works from; an `AgentRecord` is its form on the wire and in the
store, where provider and tools are names. The runtime turns the one into the other.
"""

from collections.abc import Iterable
from typing import Any, Final

import attrs
import msgspec

from wingman.api import AgentRecord, PermissionForm
from wingman.foreign import shown
from wingman.given import of_kind
from wingman.output import OutputCheck
from wingman.permissions import Rules
from wingman.providers import Provider, require_provider
from wingman.tools import Tool, Toolset, toolsets_of

__all__ = ["LEAST_THRESHOLD", "Agent", "ChosenAgent", "Compaction", "weight_of_agent"]


def _tools(tools: Iterable[Tool]) -> tuple[Tool, ...]:
    if isinstance(tools, Tool | str) or not isinstance(tools, Iterable):
        raise TypeError(f"tools are a list, such as tools=[bash], not {shown(tools)}")
    tools = tuple(tools)
    for tool in tools:
        if not isinstance(tool, Tool):
            raise TypeError(
                f"{tool!r} is not a tool: decorate the function with @tool, "
                "or take one of wingman.tools"
            )
    names = [tool.name for tool in tools]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two tools have the same name: {', '.join(twice)}")
    return tools


def _toolsets(given: Iterable[Toolset]) -> tuple[Toolset, ...]:
    if isinstance(given, Toolset | str) or not isinstance(given, Iterable):
        raise TypeError(f"toolsets are a list, not {shown(given)}")
    return toolsets_of(given)


def _rules(given: "PermissionForm | Rules | None") -> Rules:
    return Rules.of(given)


def _is_provider(_agent: object, _field: object, provider: Provider) -> None:
    require_provider(provider)


LEAST_THRESHOLD: Final = 0.1
"""The least part of a window at which a history may be compacted."""


@attrs.frozen
class Compaction:
    """When and how a history that grows beyond its model's window is compacted.

    `threshold` is the part of the window, without the room for an answer, above which it is. The
    summary is written by the agent's own model, or by that of `provider`, a cheaper one perhaps.
    """

    threshold: float = attrs.field(
        default=0.8,
        kw_only=True,
        validator=attrs.validators.and_(
            attrs.validators.ge(LEAST_THRESHOLD), attrs.validators.le(1.0)
        ),
    )
    provider: Provider | None = attrs.field(
        default=None, kw_only=True, validator=attrs.validators.optional(_is_provider)
    )


@attrs.frozen
class Agent:
    """A template for runs. `max_steps` overrides the runtime's limit of inferences per run.

    `toolsets` are tools that are there while something is open, and may change meanwhile: those of
    an MCP server, say. Each is opened when a run needs it.

    `output_schema` is what final responses must fit, and a run's `Result.output` is then the value:
    a JSON Schema (a dict), or a type (a dataclass, a TypedDict, a pydantic model, …), of which the
    output is then an instance. A bad schema raises `ValueError`, here, and a type that is no JSON
    `TypeError`. `output_check` has the JSON Schema in either case.

    `compaction` says when a history that grows beyond the model's window is compacted; None: never,
    and then a run fails with `ContextTooLong`.

    With `instruction_files` the model is also told what `AGENTS.md` says in the session's directory
    and above it, to the root of its repository.

    `permissions` are rules for what its tools may do, as `{"bash": {"*": "ask", "ls *": "allow"}}`:
    without any, whatever they can. Mistakes in them raise `ValueError`.
    """

    name: str = attrs.field(
        validator=attrs.validators.and_(of_kind(str), attrs.validators.min_len(1))
    )
    instructions: str = attrs.field(default="", kw_only=True, validator=of_kind(str))
    provider: Provider = attrs.field(kw_only=True, validator=_is_provider)
    tools: tuple[Tool, ...] = attrs.field(default=(), kw_only=True, converter=_tools)
    toolsets: tuple[Toolset, ...] = attrs.field(default=(), kw_only=True, converter=_toolsets)
    output_schema: Any = attrs.field(default=None, kw_only=True, eq=False)
    max_steps: int | None = attrs.field(
        default=None,
        kw_only=True,
        validator=attrs.validators.optional(
            attrs.validators.and_(of_kind(int), attrs.validators.ge(1))
        ),
    )
    compaction: Compaction | None = attrs.field(
        default=Compaction(), kw_only=True, validator=of_kind(Compaction | None)
    )
    instruction_files: bool = attrs.field(default=False, kw_only=True, validator=of_kind(bool))
    permissions: Rules = attrs.field(default=None, kw_only=True, converter=_rules)
    output_check: OutputCheck | None = attrs.field(init=False, eq=False, repr=False)

    @output_check.default
    def _compile(self) -> OutputCheck | None:
        return None if self.output_schema is None else OutputCheck(self.output_schema)


@attrs.frozen
class ChosenAgent:
    """The agent of one message: the template, its id, and its record as it is now.

    One that a program defines in code has no record: its id is its name. `weight` is how many bytes
    a message has more for its record.
    """

    agent: Agent
    id: str
    record: AgentRecord | None
    weight: int = attrs.field(init=False, eq=False, repr=False)

    @weight.default
    def _weigh(self) -> int:
        return weight_of_agent(self.record)


def weight_of_agent(record: AgentRecord | None) -> int:
    """About how many bytes an agent takes in memory, as it is stored."""
    return 0 if record is None else len(msgspec.json.encode(record))
