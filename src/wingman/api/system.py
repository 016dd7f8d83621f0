"""What an operator asks for, as the contract has it."""

from typing import Any, Literal

import msgspec

__all__ = ["ActorView", "ActorsView", "Health", "Readiness", "ToolView"]


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """The server takes messages."""

    status: Literal["ready"] = "ready"


class ToolView(msgspec.Struct, frozen=True):
    """A tool that agents can have. `input_schema` is a JSON Schema."""

    name: str
    description: str
    input_schema: dict[str, Any]


class ActorView(msgspec.Struct, frozen=True):
    """A live actor: `mailbox` messages wait; `doing` is the run in flight, for so many seconds."""

    name: str
    state: Literal["starting", "idle", "processing", "restarting", "stopping"]
    mailbox: int
    doing: str | None
    for_seconds: float | None
    handled: int
    restarts: int


class ActorsView(msgspec.Struct, frozen=True):
    """The live actors; `quarantined` has the sessions that are set aside, each with the reason."""

    actors: tuple[ActorView, ...]
    dead_letters: int
    quarantined: dict[str, str]
