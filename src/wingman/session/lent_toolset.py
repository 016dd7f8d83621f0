"""Lent: a toolset as one run has it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from wingman.actor import ActorStopped, DeliveryCancelled
from wingman.errors import ToolsetUnavailable
from wingman.foreign import contained
from wingman.session.toolset_owner import Give, HeldToolset, why_not
from wingman.session.toolsets import OpenToolsets
from wingman.tools import Tool, ToolContext, ToolOutput, Toolset

__all__ = ["Lent"]


@attrs.define(eq=False)
class Lent:
    """A toolset that one run has lent. The same may be opened anew meanwhile: after a loss, or with
    another configuration."""

    _toolset: Toolset
    _work_dir: Path
    _opened: OpenToolsets = attrs.field(repr=False)
    _held: HeldToolset | None = None
    _seen: Sequence[Tool] = ()
    _tools: tuple[Tool, ...] = ()

    @property
    def name(self) -> str:
        """What people know it by."""
        return self._toolset.name

    def begin(self) -> None:
        """Let it open, if it may; nobody waits for that yet."""
        try:
            toolset = self._within()
        except ToolsetUnavailable:
            return  # said when the tools are asked for
        if self._opened.may_begin(toolset):
            self._held = self._opened.take_now(toolset, self._work_dir)

    async def tools(self) -> Sequence[Tool]:
        """Its tools as they are now; they find it again where it is opened anew meanwhile."""
        while True:
            held = await self._taken()
            try:
                tools = await held.ref.ask(Give())
            except (ActorStopped, DeliveryCancelled) as ended:
                if isinstance(ended, ActorStopped):
                    if held.state != "closed":
                        self._opened.was_lost(held, "It did not open in time.")
                    self.give_back()
                if held.failure is not None and not held.was_open:
                    raise ToolsetUnavailable(held.failure) from ended
                continue  # it was lost or closed meanwhile, or is just ending
            if tools is not self._seen:
                self._seen = tools
                self._tools = tuple(
                    attrs.evolve(tool, call=partial(self._call, held, tool)) for tool in tools
                )
            return self._tools

    def give_back(self) -> None:
        """The run needs it no more."""
        held, self._held = self._held, None
        if held is not None:
            self._opened.leave(held)

    async def _taken(self) -> HeldToolset:
        toolset, held = self._within(), self._held
        if held is not None and (held.state == "closed" or held.toolset != toolset):
            self.give_back()
            if held.failure is not None and not held.was_open:
                raise ToolsetUnavailable(held.failure)  # it was tried for this run
        if self._held is None:
            return self._keep(await self._opened.take(toolset, self._work_dir))
        return self._held

    def _keep(self, taken: HeldToolset) -> HeldToolset:
        if self._held is None:
            self._held, self._seen = taken, ()
        else:  # a sibling call was quicker
            self._opened.leave(taken)
        return self._held

    def _within(self) -> Toolset:
        try:
            return self._toolset.within(self._work_dir)
        except BaseException as error:
            raise ToolsetUnavailable(why_not(contained(error))) from error  # noqa: ASYNC104 no await

    async def _call(
        self, held: HeldToolset, tool: Tool, input: Any, context: ToolContext
    ) -> str | ToolOutput:
        """Call a tool; of a toolset that was closed since, the one that has its name now."""
        if held.state == "closed":
            return await (await self._found_again(tool.name)).call(input, context)
        held.calls += 1
        try:
            return await tool.call(input, context)
        finally:
            held.call_ended()

    async def _found_again(self, name: str) -> Tool:
        try:
            again = {each.name: each for each in await self.tools()}
        except ToolsetUnavailable as error:
            raise ToolsetUnavailable(f"The call was not executed. {error.message}") from error
        if name not in again:
            raise ToolsetUnavailable(
                f"The call was not executed. The toolset {self.name!r} has no such tool any more."
            )
        return again[name]
