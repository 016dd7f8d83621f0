"""Agents as the contract has them."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

__all__ = ["AgentFields", "AgentRecord", "NewAgent", "ProviderConfig"]

Positive = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class ProviderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which provider and model an agent uses. Where the provider lives is its credential's matter.

    `model` may be left out where the provider has a default.
    """

    id: Name
    model: str | None = None
    max_tokens: Positive | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None


class AgentRecord(msgspec.Struct, frozen=True):
    """An agent on the wire and in the store: provider and tools by name."""

    id: str
    name: str
    instructions: str
    tools: tuple[str, ...]
    provider: ProviderConfig
    output_schema: dict[str, Any] | None
    max_steps: int | None
    created_at: datetime
    updated_at: datetime


class AgentFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be changed of an agent; what is not said keeps its value."""

    name: Name | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    tools: tuple[str, ...] | UnsetType = UNSET
    provider: ProviderConfig | UnsetType = UNSET
    output_schema: dict[str, Any] | UnsetType | None = UNSET
    max_steps: Positive | UnsetType | None = UNSET


class NewAgent(AgentFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be said of a new agent; `name` is needed, and the rest has defaults."""

    name: Name
