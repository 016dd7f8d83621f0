"""The tool protocol: what the run needs of a tool, and what a tool is given.

A tool is called with its input (an object, straight from the model) and a `ToolContext`. It returns
the text that the model reads (or a `ToolOutput`, with images), or raises: `ToolError` with a text
for the model, or anything else, which the run reports to the model as the tool's failure. Tools
know nothing of sessions or actors.
"""

import re
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from wingman.given import listed, of_kind
from wingman.tools.output import ToolOutput

__all__ = ["Elicit", "Tool", "ToolContext"]


Resources: TypeAlias = Callable[[Mapping[str, Any]], Iterable[str]]
"""What a call is about, by its arguments."""

Elicit: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]
"""Asks a person, in words, for what fits a JSON Schema. None: it was declined."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _resources(given: "Iterable[str] | Resources") -> "tuple[str, ...] | Resources":
    if callable(given):
        return given
    return listed("resources", given, str)


def _discard(text: str) -> None:
    """What a tool says to which nobody listens."""


def _allow(action: str, resource: str) -> bool:
    """There are no rules."""
    return True


def _as_it_is(input: Mapping[str, Any]) -> Mapping[str, Any]:
    return input


def _check_name(_tool: object, _field: object, name: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"a tool's name is 1 to 64 of A-Z a-z 0-9 _ -, not {name!r}: give it one, "
            "@tool(name=...)"
        )


@attrs.frozen
class ToolContext:
    """What one call of a tool may know of its surroundings.

    A tool function that has a parameter of this type is given it; the model never sees it.
    `work_dir` is absolute and resolved. `progress` publishes a piece of output while the tool is
    running; any thread may call it, also one that the tool has started. It never blocks, is heard
    at a bounded rate, and after the call's end not at all; if it raises, a command goes on without
    it. `max_output` is how many characters of output the model will be shown.

    `environment` is what a command of the tool is to find in its environment, beside what
    Wingman's own has: whatever starts one passes it on.

    `report_still_running` is called, before the call ends, with a few words on what of it could not
    be stopped and goes on: a thread that did not return, a process that outlived SIGKILL. Any
    thread may call it, it never blocks, and nothing but the truth depends on it.

    `leave_behind` is called by a call that is being cancelled, with the text that it has to show so
    far: the model reads it below the reason. The last text counts.

    `note` takes a short line that the model reads below the result, however the call ends, such as
    what of its input was left out. The last line counts. Any thread may call it.

    `elicit` asks a person while the call runs: the question's words, and a JSON Schema that the
    answer is to fit. It returns the answer, or None where it was declined; where it is None itself,
    nobody can be asked.

    `allows` says whether the call may turn to one more resource of an action, such as the URL that
    it is redirected to: the permissions allow it, without anybody being asked.
    """

    work_dir: Path
    progress: Callable[[str], None] = _discard
    max_output: int = 30_000
    report_still_running: Callable[[str], None] = _discard
    environment: Mapping[str, str] = attrs.field(factory=dict)
    leave_behind: Callable[[str], None] = _discard
    note: Callable[[str], None] = _discard
    allows: Callable[[str, str], bool] = _allow
    elicit: Elicit | None = None


_OURS: Final = str(Path(__file__).parents[1])


@attrs.frozen
class Tool:
    """A tool: its name, what the model is told of it, and the function behind it.

    `name` is 1 to 64 of `A-Z a-z 0-9 _ -`, which every provider accepts. `call` validates the input
    against `input_schema` before anything else, and raises `ToolError` naming the field's path
    where it does not fit.

    `permission` is the action that rules for calls of it name, beside its own name: `"edit"` for
    what changes files. `resources` is what a call is about: the names of those parameters, or a
    function from the arguments to texts. Of `bash` they are command lines, of `read` and `edit`
    paths, of `webfetch` URLs. `arguments` is what an input means, in the parameters' types; it
    raises `ToolError` where the input does not fit. `leaves_out_unknown` says that `call` leaves
    out what `input_schema` does not name, with a note: a person who is asked about a call is not
    shown that either.

    Where no rule speaks of a tool that `asks`, a person is asked before each call of it.

    Without a `description` the model has the name alone to go by: that is a warning in the log, and
    no error, since a model can often guess, and a program need not stop for it.
    """

    name: str = attrs.field(validator=_check_name)
    description: str = attrs.field(validator=attrs.validators.instance_of(str))
    input_schema: Mapping[str, Any] = attrs.field(eq=False)
    call: Callable[[Mapping[str, Any], ToolContext], Awaitable[str | ToolOutput]] = attrs.field(
        repr=False
    )
    permission: str | None = attrs.field(
        default=None, kw_only=True, validator=attrs.validators.optional(_check_name)
    )
    resources: tuple[str, ...] | Resources = attrs.field(
        default=(), kw_only=True, converter=_resources, repr=False
    )
    arguments: Callable[[Mapping[str, Any]], Mapping[str, Any]] = attrs.field(
        default=_as_it_is, kw_only=True, repr=False
    )
    asks: bool = attrs.field(default=False, kw_only=True, validator=of_kind(bool))
    leaves_out_unknown: bool = attrs.field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if isinstance(self.resources, tuple):
            known = self.input_schema.get("properties", {})
            if unknown := [name for name in self.resources if name not in known]:
                raise ValueError(
                    f"tool {self.name!r}: resources name its parameters, and {unknown[0]!r} is none"
                )
        if not self.description.strip():
            warnings.warn(
                f"the tool {self.name!r} has no description, and a model would not know what it is "
                "for: write a docstring, or @tool(description=...)",
                stacklevel=_to_the_user(),
            )

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that rules may name for it: its permission, and its own name."""
        if self.permission is None or self.permission == self.name:
            return (self.name,)
        return (self.permission, self.name)

    def taken(self, input: Mapping[str, Any]) -> Mapping[str, Any]:
        """An input without what the call leaves out of it."""
        if not self.leaves_out_unknown:
            return input
        known = self.input_schema.get("properties", {})
        return {name: value for name, value in input.items() if name in known}


def _to_the_user() -> int:
    """The level of the stack at which a tool is made by code that is not ours, for a warning."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(("<attrs", _OURS)):
        level, frame = level + 1, frame.f_back
    return level
