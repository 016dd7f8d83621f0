"""Health, readiness, tools, the live actors, and the configuration."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from wingman.actor import ActorInfo
from wingman.api import (
    ActorsView,
    ActorView,
    Health,
    Readiness,
    Reloaded,
    RunCounts,
    ToolView,
)
from wingman.errors import ForbiddenTool, NotReloaded
from wingman.runtime import Runtime
from wingman.server.callers import comes_from_a_command
from wingman.server.handlers import Handlers
from wingman.session import LiveRun

__all__ = ["Reload", "system_handlers"]


Reload: TypeAlias = Callable[[], Awaitable[Reloaded]]
"""Reads the configuration of the program again. Raises `NotReloaded`."""


def system_handlers(runtime: Runtime, reload_configuration: Reload | None = None) -> Handlers:
    """What an operator asks for."""
    handlers = Handlers()

    @handlers.add
    async def health() -> Health:
        return Health()

    @handlers.add
    async def ready() -> Readiness:
        unready = runtime.status().unready
        if unready is not None:
            raise unready
        return Readiness()

    @handlers.add
    async def list_tools() -> list[ToolView]:
        return [
            ToolView(tool.name, tool.description, dict(tool.input_schema))
            for tool in runtime.agents.tools.values()
        ]

    @handlers.add
    async def list_actors() -> ActorsView:
        status = runtime.status()
        return ActorsView(
            tuple(_actor(info) for info in status.actors),
            status.dead_letters,
            dict(status.quarantined),
            RunCounts(status.in_flight, runtime.limits.runs, status.waiting, status.asking),
        )

    @handlers.add
    async def reload() -> Reloaded:
        if comes_from_a_command(runtime):
            raise ForbiddenTool("A tool's command cannot have the configuration read again.")
        if reload_configuration is None:
            raise NotReloaded("This server is a program's own, and has no configuration file.")
        return await reload_configuration()

    return handlers


def _actor(info: ActorInfo) -> ActorView:
    """An actor as the live runtime sees it; of its message only which run it is."""
    return ActorView(
        name=info.name,
        state=info.state,
        mailbox=info.mailbox,
        doing=f"run {info.processing.id}" if isinstance(info.processing, LiveRun) else None,
        for_seconds=None if info.processing_for is None else round(info.processing_for, 3),
        handled=info.handled,
        restarts=info.restarts,
    )
