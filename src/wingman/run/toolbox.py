"""Toolbox: what a run's model can call: its agent's tools, and those of the toolsets lent to it."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import attrs

from wingman.agent import Agent
from wingman.errors import ToolsetUnavailable
from wingman.telemetry import log_event
from wingman.tools import Tool

__all__ = ["LentToolset", "Toolbox", "missing"]

logger: Final = logging.getLogger("wingman.run")


class LentToolset(Protocol):
    """A toolset that is open for a run, until it is given back."""

    @property
    def name(self) -> str:
        """What people know it by."""

    async def tools(self) -> Sequence[Tool]:
        """Its tools as they are now: the same object while they are the same. Raises
        `ToolsetUnavailable` where it cannot be had now."""

    def give_back(self) -> None:
        """The run needs it no more."""


@attrs.define(eq=False)
class Toolbox:
    """The tools of one run. `problems` says of each toolset that cannot be had why that is so.

    The agent's own tools come first, then those of its toolsets, in order. Where two have one name
    the first counts, and the log says so.
    """

    agent: Agent
    lent: tuple[LentToolset, ...]
    problems: dict[str, str] = attrs.field(factory=dict)
    _given: tuple[Sequence[Tool], ...] = ()
    _current: Agent = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._current = self.agent

    async def filled(self) -> Agent:
        """The agent with all the tools that there are now: the same object while they are the
        same. A toolset that cannot be had is left out."""
        given = tuple([await self._tools_of(toolset) for toolset in self.lent])
        if len(given) != len(self._given) or any(
            new is not old for new, old in zip(given, self._given, strict=True)
        ):
            self._given = given
            self._current = attrs.evolve(self.agent, tools=self._together(given))
        return self._current

    def close(self) -> None:
        """Give all toolsets back."""
        for toolset in self.lent:
            toolset.give_back()

    async def _tools_of(self, toolset: LentToolset) -> Sequence[Tool]:
        try:
            tools = await toolset.tools()
        except ToolsetUnavailable as error:
            if toolset.name not in self.problems:
                event = "a run goes on without a toolset"
                why = {"toolset": toolset.name, "reason": error.message}
                log_event(logger, logging.WARNING, event, **why)
            self.problems[toolset.name] = error.message
            return ()
        self.problems.pop(toolset.name, None)
        return tools

    def _together(self, given: Iterable[Sequence[Tool]]) -> tuple[Tool, ...]:
        found = {tool.name: tool for tool in self.agent.tools}
        for toolset, tools in zip(self.lent, given, strict=True):
            for tool in tools:
                if found.setdefault(tool.name, tool) is not tool:
                    event = "a tool is left out: another one has its name"
                    log_event(logger, logging.WARNING, event, tool=tool.name, toolset=toolset.name)
        return tuple(found.values())


def missing(name: str, tools: Iterable[str], problems: Mapping[str, str]) -> str:
    """What the model is told that has called a tool that is not there."""
    there = ", ".join(sorted(tools)) or "none"
    lines = [f"There is no tool named {name!r}. Available tools: {there}."]
    lines += [
        f"The toolset {toolset!r} is not there now: {why}" for toolset, why in problems.items()
    ]
    return "\n".join(lines)
