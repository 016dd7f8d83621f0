"""Frames: what a stream of Server-Sent Events has in it, by the name of the event."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from wingman.events import (
    Compacted,
    Error,
    PermissionRequested,
    PermissionResolved,
    Result,
    Steered,
    Step,
    Text,
    Thinking,
    ToolProgress,
    ToolResult,
    ToolUse,
)

__all__ = ["EXTRA", "RUN_STREAM", "SESSION_STREAM", "USUAL", "Frames", "Notice"]

USUAL: Final = frozenset(
    {
        "text",
        "tool_use",
        "tool_result",
        "permission_requested",
        "permission_resolved",
        "steered",
        "compacted",
        "done",
        "error",
    }
)
"""The events that every stream has. Those of permissions come only where there are rules."""

EXTRA: Final[Mapping[str, str]] = MappingProxyType(
    {"thinking": "thinking", "step": "step", "progress": "tool_progress"}
)
"""The events that a stream has where `?include=` asks for them, by what is written there."""


class Frames(msgspec.Struct, frozen=True):
    """The frames of a kind of stream.

    `data` is the type of each event's JSON. The data of those in `with_run_id` has the id of its
    run besides.
    """

    name: str
    data: Mapping[str, Any]
    with_run_id: frozenset[str] = frozenset()


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong: with a run, where `run_id` names it, or else with the stream."""

    code: str
    message: str
    run_id: str | None = None


_RUN: Final = {
    "text": Text,
    "tool_use": ToolUse,
    "tool_result": ToolResult,
    "permission_requested": PermissionRequested,
    "permission_resolved": PermissionResolved,
    "steered": Steered,
    "compacted": Compacted,
    "done": Result,
    "error": Error,
    "thinking": Thinking,
    "step": Step,
    "tool_progress": ToolProgress,
}

RUN_STREAM: Final = Frames("RunFrame", _RUN)
"""One run, from its admission to its end."""

SESSION_STREAM: Final = Frames(
    "SessionFrame",
    {**_RUN, "error": Notice, "resync": Notice},
    with_run_id=frozenset(_RUN) - {"permission_requested", "permission_resolved", "done", "error"},
)
"""A session, from run to run."""
