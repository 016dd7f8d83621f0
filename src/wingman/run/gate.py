"""Gate: which of a step's calls may run, which need a person's answer, and which may not run."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec
import trio

from wingman.api import Effect, OnAsk, PermissionRequest
from wingman.conversation import ToolUseBlock
from wingman.errors import ToolError
from wingman.foreign import contained
from wingman.ids import new_id
from wingman.permissions import HOLE, Policy, Resource, parse_apart, resources_of
from wingman.run.clock import now
from wingman.store import RunRecord
from wingman.tools import Tool

__all__ = ["Gate", "Verdict"]

# Characters of a resource: a longer one is shown cut, and no answer can grant it for later.
_LONGEST_SHOWN: Final = 4096
_LONGEST_TOLD: Final = 200
# Actions whose calls may do what rules for these other ones speak of.
_COMES_WITH: Final[Mapping[str, tuple[str, ...]]] = {"bash": ("read", "edit")}


@attrs.frozen
class Verdict:
    """What becomes of one call: it runs; or it is told why not; or a person is asked."""

    refusal: str | None = None
    request: PermissionRequest | None = None


_ALLOWED: Final = Verdict()


@attrs.frozen
class Gate:
    """The rules of one run, held against its calls: `rules` gives those that hold now. `on_ask` is
    what becomes of a call that needs an answer, and `timeout` how many seconds it waits for one;
    None: as long as it takes."""

    rules: Callable[[], Policy]
    work_dir: Path
    on_ask: OnAsk = "wait"
    timeout: float | None = None

    @property
    def policy(self) -> Policy:
        """The rules that hold now."""
        return self.rules()

    async def judge(self, record: RunRecord, tool: Tool | None, block: ToolUseBlock) -> Verdict:
        """What becomes of this call of a run. A call that cannot run anyway is let through: it says
        so by itself."""
        if tool is None or block.malformed is not None:
            return _ALLOWED
        concerned = (*tool.actions, *_COMES_WITH.get(tool.actions[0], ()))
        if not tool.asks and not self.policy.concerns(concerned):
            return _ALLOWED
        try:
            arguments = tool.arguments(block.input)
        except ToolError:
            return _ALLOWED
        resources = await self._resources(tool, arguments)
        usual: Effect = "ask" if tool.asks else "allow"
        effects = [self.policy.effect(tool.actions, resource, usual) for resource in resources]
        for resource, effect in zip(resources, effects, strict=True):
            if effect == "deny":
                return Verdict(_denied(tool, resource))
        asked = [
            resource for resource, effect in zip(resources, effects, strict=True) if effect == "ask"
        ]
        if not asked:
            return _ALLOWED
        if self.on_ask == "reject":
            return Verdict(_nobody(tool, asked[0]))
        return Verdict(request=self._request(record, tool, block, resources, asked))

    async def look_at(self, calls: Iterable[tuple[Tool | None, ToolUseBlock]]) -> None:
        """Parse the command lines of a step's calls together, so that each is known by then."""
        lines: set[str] = set()
        for tool, block in calls:
            if tool is None or block.malformed is not None or tool.actions[0] != "bash":
                continue
            if not isinstance(tool.resources, tuple):
                continue
            if self.policy.concerns((*tool.actions, *_COMES_WITH["bash"])):
                with suppress(ToolError):
                    lines |= _lines("bash", _given(tool, tool.arguments(block.input)))
        if len(lines) > 1:
            await parse_apart(lines)

    async def denies(self, tool: Tool | None, input: Mapping[str, Any]) -> str | None:
        """Why a call with this input may not run, whoever allows it; None: it may.

        Raises `ToolError` where the input does not fit the tool, or there is none.
        """
        if tool is None:
            raise ToolError("The agent has no such tool any more.")
        resources = await self._resources(tool, tool.arguments(input))
        for resource in resources:
            if self.policy.effect(tool.actions, resource) == "deny":
                return f"The permissions deny {tool.actions[0]}: {_clip(resource.shown)}."
        return None

    def allows(self, action: str, resource: str) -> bool:
        """Whether a call may turn to this as well, without anybody being asked."""
        (found,) = resources_of(action, [resource], self.work_dir)
        return self.policy.effect((action,), found) == "allow"

    async def _resources(self, tool: Tool, arguments: Mapping[str, Any]) -> tuple[Resource, ...]:
        """What the call is about. Where that cannot be told, it is one thing that may be any."""
        try:
            if not tool.resources:
                return (Resource(tool.name, ""),)
            # In threads: a tool's own function may take its time, and files are looked for.
            if isinstance(tool.resources, tuple):
                given = _given(tool, arguments)
            else:
                ask = partial(_given, tool, arguments)
                given = await trio.to_thread.run_sync(ask, abandon_on_cancel=True)
            if not given:
                return (Resource(tool.name, HOLE),)
            action = tool.actions[0]
            lines = await parse_apart(_lines(action, given))
            look = partial(resources_of, action, given, self.work_dir, lines.__getitem__)
            return await trio.to_thread.run_sync(look, abandon_on_cancel=True)
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            # A tool's own function may raise anything, and a thread may not be had.
            contained(error)
            return (Resource(tool.name, HOLE),)  # noqa: ASYNC104 the same

    def question(
        self,
        record: RunRecord,
        tool: Tool,
        block: ToolUseBlock,
        words: str,
        schema: Mapping[str, Any],
    ) -> PermissionRequest:
        """What a person is asked by a call that runs already."""
        asked = Resource(words, words)
        request = self._request(record, tool, block, (asked,), ())
        return msgspec.structs.replace(request, input=None, schema=dict(schema))

    def _request(
        self,
        record: RunRecord,
        tool: Tool,
        block: ToolUseBlock,
        resources: Iterable[Resource],
        asked: Iterable[Resource],
    ) -> PermissionRequest:
        moment = now()
        long = any(len(resource.shown) > _LONGEST_SHOWN for resource in asked)
        return PermissionRequest(
            id=new_id(),
            session_id=record.session_id,
            run_id=record.id,
            tool_use_id=block.id,
            tool=tool.name,
            action=tool.actions[0],
            resources=_shown(resources),
            always=() if long else _shown(asked),
            status="pending",
            created_at=moment,
            input=dict(tool.taken(block.input)),
            expires_at=None if self.timeout is None else moment + timedelta(seconds=self.timeout),
        )


def _lines(action: str, given: Iterable[Any]) -> set[str]:
    """The command lines among what a call is about."""
    return {each for each in given if isinstance(each, str)} if action == "bash" else set()


def _given(tool: Tool, arguments: Mapping[str, Any]) -> list[Any]:
    """What the arguments name. One that is left out has its default."""
    if not isinstance(tool.resources, tuple):
        return list(tool.resources(arguments))
    properties = tool.input_schema.get("properties", {})
    found = (
        arguments[name] if name in arguments else properties.get(name, {}).get("default")
        for name in tool.resources
    )
    return [value for value in found if value is not None]


def _shown(resources: Iterable[Resource]) -> tuple[str, ...]:
    shown = (
        text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
        for text in (resource.shown for resource in resources)
    )
    return tuple(dict.fromkeys(shown))


def _denied(tool: Tool, resource: Resource) -> str:
    return (
        f"Not allowed: the permissions deny {tool.actions[0]}: {_clip(resource.shown)}. It has "
        "not run. Do it in another way, or tell the user what you would need."
    )


def _nobody(tool: Tool, resource: Resource) -> str:
    return (
        f"Not executed: {tool.actions[0]}: {_clip(resource.shown)} needs the user's permission, "
        "and nobody can be asked in this run. Do it in another way, or tell the user what you "
        "would need."
    )


def _clip(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}…")
