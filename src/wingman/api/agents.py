"""Agents as the contract has them."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from wingman.api.permissions import PermissionForm
from wingman.api.route import DELETED, LINK, LOCATION, WRITE, Answer, Body, Limit, Route, Time

__all__ = [
    "ROUTES",
    "AgentFields",
    "AgentRecord",
    "AgentsQuery",
    "CompactionConfig",
    "NewAgent",
    "ProviderConfig",
]

Positive = Annotated[int, msgspec.Meta(ge=1)]
Steps = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
AgentCursor = Annotated[
    str,
    msgspec.Meta(pattern=r"^(code|[0-9]{1,18})\.", description="That of a `Link` header."),
]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class ProviderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which provider and model an agent uses. Where the provider lives is its credential's matter.

    `model` may be left out where the provider has a default.
    """

    id: Name
    model: str | None = None
    max_tokens: Positive | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None


class CompactionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a history that grows beyond its model's window is compacted, and by which model.

    `threshold` is the part of the window, without the room for an answer, above which it is. The
    summary is written by the agent's own model, or by that of `provider`.
    """

    threshold: Annotated[float, msgspec.Meta(ge=0.1, le=1)] = 0.8
    provider: ProviderConfig | None = None


class AgentRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An agent on the wire and in the store: provider, tools and toolsets by name. `compaction` is
    false for none; null, or true: as the server has it."""

    id: str
    name: str
    instructions: str
    tools: tuple[str, ...]
    provider: ProviderConfig
    output_schema: dict[str, Any] | None
    max_steps: int | None
    created_at: Time
    updated_at: Time
    permissions: PermissionForm | None = None
    instruction_files: bool = False
    compaction: CompactionConfig | bool | None = None
    toolsets: tuple[str, ...] = ()


class AgentFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed of an agent; what is not said keeps its value."""

    name: Name | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    tools: tuple[str, ...] | UnsetType = UNSET
    provider: ProviderConfig | UnsetType = UNSET
    output_schema: dict[str, Any] | UnsetType | None = UNSET
    max_steps: Steps | UnsetType | None = UNSET
    permissions: PermissionForm | UnsetType | None = UNSET
    instruction_files: bool | UnsetType = UNSET
    compaction: CompactionConfig | bool | UnsetType | None = UNSET
    toolsets: tuple[str, ...] | UnsetType = UNSET


class NewAgent(AgentFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be said of a new agent; `name` is needed, and the rest has defaults."""

    name: Name


class AgentsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of the list: `cursor` is that of the page before, from its `Link` header.

    It has 1,000 where nothing is said: clients that know no pages get as many as they did.
    """

    limit: Limit = 1000
    cursor: AgentCursor | None = None


_AGENT: Final = {"name": "Assistant", "tools": ["bash", "read"]}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="create_agent",
        method="POST",
        path="/agents",
        section="agents",
        summary="Create an agent",
        body=Body(NewAgent, _AGENT),
        answers=(Answer(201, "The agent.", AgentRecord, headers=(LOCATION,)),),
        errors=WRITE,
    ),
    Route(
        name="list_agents",
        method="GET",
        path="/agents",
        section="agents",
        summary="List agents",
        description="First those that the program defines in code, by name, then those of the "
        "store, newest first.",
        query=AgentsQuery,
        answers=(Answer(200, "Some agents.", tuple[AgentRecord, ...], headers=(LINK,)),),
    ),
    Route(
        name="read_agent",
        method="GET",
        path="/agents/{agent_id}",
        section="agents",
        summary="Read an agent",
        answers=(Answer(200, "The agent.", AgentRecord),),
        errors=("agent_not_found",),
    ),
    Route(
        name="update_agent",
        method="PUT",
        path="/agents/{agent_id}",
        section="agents",
        summary="Change an agent",
        description="Fields that are not given keep their values. Runs that are admitted already "
        "keep the agent as it was.",
        body=Body(
            AgentFields,
            {"instructions": "Answer in one sentence."},
            ignored=frozenset({"id", "created_at", "updated_at"}),
        ),
        answers=(Answer(200, "The agent.", AgentRecord),),
        errors=("agent_not_found", *WRITE),
    ),
    Route(
        name="delete_agent",
        method="DELETE",
        path="/agents/{agent_id}",
        section="agents",
        summary="Delete an agent",
        answers=(DELETED,),
        errors=("invalid_request", "agent_not_found", *WRITE),
    ),
)
