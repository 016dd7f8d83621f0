"""What a server lists, as tools.

A list comes from elsewhere: its length, its texts and its schemas are bounded, and an entry that is
not what it should be is left out, with a line in the log.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import attrs
import msgspec
import trio

from wingman.mcp.diary import Diary
from wingman.mcp.inputs import InputCheck
from wingman.mcp.names import tool_names
from wingman.processes import clip
from wingman.schemas import BadSchema
from wingman.tools import Tool, ToolContext, ToolOutput

__all__ = ["Call", "Listing", "made"]

_MOST_TOOLS: Final = 1_000
_LONGEST_NAME: Final = 500
_LONGEST_DESCRIPTION: Final = 10_000
_LARGEST_SCHEMA: Final = 100_000  # bytes
_DEEPEST_SCHEMA: Final = 60

Call: TypeAlias = Callable[[str, Mapping[str, Any], ToolContext], Awaitable[ToolOutput]]
"""Calls one of the server's tools, by the name that the server has for it."""


@attrs.define(eq=False)
class Listing:
    """What one round of `tools/list` gives, page by page. `wanted`: the tools that are to be there,
    None: all."""

    diary: Diary
    wanted: Collection[str] | None
    _seen: dict[str, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _too_many: bool = attrs.field(default=False, init=False)

    def clean(self, entries: object) -> list[dict[str, Any]]:
        """The entries of a page that can be tools, each with what is needed of it."""
        if not isinstance(entries, list):
            return []
        page = []
        for entry in entries:
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
                self._leave_out("one", "it has no name, or one that is too long")
            elif self.wanted is not None and name not in self.wanted:
                continue
            elif name in self._seen:
                self._leave_out(name, "there are two of this name")
            elif len(self._seen) >= _MOST_TOOLS:
                if not self._too_many:
                    self._too_many = True
                    self._leave_out(name, f"there are more than {_MOST_TOOLS:,}, as are others")
                break
            elif (tool := self._tool(name, entry)) is not None:
                self._seen[name] = tool
                page.append(tool)
        return page

    def _tool(self, name: str, entry: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            schema = _object_schema(entry.get("inputSchema"))
        except BadSchema as error:
            self._leave_out(name, str(error))
            return None
        description = entry.get("description") or entry.get("title")
        if not isinstance(description, str) or not description.strip():
            description = f"The tool {name!r} of an MCP server, which does not describe it."
        return {
            "name": name,
            "description": clip(description, _LONGEST_DESCRIPTION),
            "inputSchema": schema,
        }

    def finished(self) -> Sequence[Mapping[str, Any]]:
        """All that were listed."""
        if self.wanted is not None and (missing := sorted(set(self.wanted) - self._seen.keys())):
            self.diary.note(logging.WARNING, f"it has no tool named {', '.join(missing)}")
        return tuple(self._seen.values())

    def _leave_out(self, name: str, why: str) -> None:
        self.diary.note(logging.WARNING, f"the tool {name} is left out: {why}")


async def made(
    server: str, entries: Sequence[Mapping[str, Any]], diary: Diary, call: Call
) -> tuple[Tool, ...]:
    """The tools. Raises `McpFailed` where two would have one name."""
    by_name = {entry["name"]: entry for entry in entries}
    tools = []
    for name, own_name in tool_names(server, by_name).items():
        await trio.lowlevel.checkpoint()  # to compile a schema may take a millisecond
        entry = by_name[own_name]
        try:
            check = InputCheck(entry["inputSchema"])
        except BadSchema as error:
            diary.note(
                logging.WARNING, f"the tool {own_name} is left out: its schema is none: {error}"
            )
            continue
        tools.append(
            Tool(
                name=name,
                description=entry["description"],
                input_schema=entry["inputSchema"],
                call=partial(_checked, check, call, name, own_name),
                permission=server,
            )
        )
    return tuple(tools)


async def _checked(
    check: InputCheck,
    call: Call,
    name: str,
    own_name: str,
    input: Mapping[str, Any],
    context: ToolContext,
) -> ToolOutput:
    check.check(name, input)
    return await call(own_name, input, context)


def _object_schema(schema: object) -> dict[str, Any]:
    """A schema that providers take: of an object, with its properties. Raises `BadSchema`."""
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise BadSchema("its input is no object")
    if _depth(schema) > _DEEPEST_SCHEMA:
        raise BadSchema("its schema is nested too deeply")
    if (size := len(msgspec.json.encode(schema))) > _LARGEST_SCHEMA:
        raise BadSchema(f"its schema has {size:,} bytes, and {_LARGEST_SCHEMA:,} is the most")
    if not isinstance(schema.get("properties", {}), dict):
        raise BadSchema("its properties are none")
    return {"type": "object", "properties": {}, **schema}


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level and depth <= _DEEPEST_SCHEMA:
        depth += 1
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth
