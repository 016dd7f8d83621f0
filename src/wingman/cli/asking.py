"""Asking: what a run needs permission for is asked in the terminal, one call after the other."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import click
import msgspec
import trio

from wingman.api import PermissionAnswer
from wingman.cli.console import Console, clean
from wingman.cli.output import echo
from wingman.cli.proposal import always_of, proposal
from wingman.cli.question import ask_for, question
from wingman.cli.terminal import Gone, edited, editor, read_key, read_line
from wingman.errors import AlreadyResolved, InvalidRequest, NotFound
from wingman.events import Event, PermissionRequested, PermissionResolved, ToolProgress, ToolUse

__all__ = ["Asking"]

Answers: TypeAlias = Callable[[str, PermissionAnswer], Awaitable[object]]
"""Gives the answer to the request with this id."""

_MOST_HELD: Final = 1000  # pieces of progress that come while somebody is asked

_ONCE: Final = PermissionAnswer("once")
_ALWAYS: Final = PermissionAnswer("always")
_REJECT: Final = PermissionAnswer("reject")


@attrs.define(eq=False)
class Asking:
    """Shows a run's events, and asks about the calls that need an answer.

    What comes while somebody is asked is shown afterwards. `work_dir` is where the tools work, if
    that is on this machine.
    """

    console: Console
    answer: Answers
    work_dir: Path | None = None
    _inputs: dict[str, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _waiting: dict[str, PermissionRequested] = attrs.field(factory=dict, init=False)
    _held: list[Event] = attrs.field(factory=list, init=False)
    _asked: str | None = attrs.field(default=None, init=False)  # whose prompt is open
    _given: str | None = attrs.field(default=None, init=False)  # whose answer is given here
    _prompt: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _all: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    editing: bool = attrs.field(default=False, init=False)
    """Whether an editor has the terminal; then Ctrl-C is the editor's."""

    def show(self, event: Event) -> None:
        """Show an event, now or after what is just asked."""
        match event:
            case ToolUse(id=id, input=input):
                self._inputs[id] = input
            case PermissionRequested(id=id):
                self._waiting[id] = event
                self._news.unpark_all()
                return
            case PermissionResolved(id=id, tool_use_id=call):
                self._waiting.pop(id, None)
                self._inputs.pop(call, None)
                if id == self._given:
                    return  # it is known here
                if id == self._asked:
                    self._prompt.cancel()
            case _:
                pass
        if self._asked is None:
            self.console.show(event)
        elif not isinstance(event, ToolProgress) or len(self._held) < _MOST_HELD:
            self._held.append(event)

    async def work(self) -> None:
        """Ask, one after the other, until `end`."""
        with self._all:
            while True:
                while not self._waiting:
                    await self._news.park()
                request = next(iter(self._waiting.values()))
                await self._ask(request)

    def end(self) -> None:
        """Ask no more: the run is ending."""
        self._all.cancel()

    async def _ask(self, request: PermissionRequested) -> None:
        self._asked = request.id
        try:
            await self._until_taken(request)
        finally:
            self._asked = None
            self._waiting.pop(request.id, None)
            self._flush()

    def _flush(self) -> None:
        held, self._held = self._held, []
        for event in held:
            self.console.show(event)

    async def _until_taken(self, request: PermissionRequested) -> None:
        """Ask until there is an answer that is one."""
        input = self._inputs.get(request.tool_use_id, {})
        lines = await trio.to_thread.run_sync(self._lines, request, input, abandon_on_cancel=True)
        self.console.end_line()
        for line in lines:
            echo(line, err=True)
        while True:
            with trio.CancelScope() as self._prompt:
                if request.id not in self._waiting:
                    self._prompt.cancel()
                answer = await self._answer(request, input)
            if self._prompt.cancelled_caught:
                echo("\n  It waits for no answer any more.", err=True)
                return
            try:
                self._given = request.id
                await self.answer(request.id, answer)
                return
            except InvalidRequest as error:
                self._given = None
                echo(f"  {clean(error.message.removesuffix(' - at `$.input`'))}", err=True)
            except (AlreadyResolved, NotFound) as error:
                echo(f"  {clean(error.message)}", err=True)
                return

    def _lines(self, request: PermissionRequested, input: dict[str, Any]) -> list[str]:
        if request.schema is not None:
            return list(question(request))
        return [*proposal(request, input, self.work_dir), *always_of(request)]

    async def _answer(
        self, request: PermissionRequested, input: dict[str, Any]
    ) -> PermissionAnswer:
        keys = ["[y] once", "[a] always", "[n] no", "[w] no, with a word", "[e] edit"]
        if not request.always:
            keys.remove("[a] always")
        words = "  Allow it?"
        if request.schema is not None:
            words, keys = "  Answer it?", ["[y] yes", "[n] no"]
        prompt = click.style(words, bold=True) + f" {'  '.join(keys)} "
        ask = partial(echo, prompt, err=True, nl=False)
        while True:
            try:
                answer = await self._of_key(await read_key(ask), request, input)
            except Gone:
                return _REJECT
            if answer is not None:
                return answer

    async def _of_key(
        self, key: str, request: PermissionRequested, input: dict[str, Any]
    ) -> PermissionAnswer | None:
        """What a key means; None: ask again."""
        match key:
            case "y" | "yes" if request.schema is not None:
                echo("yes", err=True)
                return PermissionAnswer("once", input=await ask_for(request.schema))
            case "y" | "yes" | "once":
                echo("yes, once", err=True)
                return _ONCE
            case "a" | "always" if request.always:
                echo("always", err=True)
                return _ALWAYS
            case "n" | "no":
                echo("no", err=True)
                return _REJECT
            case "w" if request.schema is None:
                echo("no\n  What is the model told? ", err=True, nl=False)
                word = await read_line()
                return PermissionAnswer("reject", word) if word else _REJECT
            case "e" | "edit" if request.schema is None:
                echo("edit", err=True)
                changed = await self._edited(request.tool, input)
                return None if changed is None else PermissionAnswer("once", input=changed)
            case _:
                echo(err=True)
                return None

    async def _edited(self, tool: str, input: dict[str, Any]) -> dict[str, Any] | None:
        """The input as the person wants it; None: it was not changed, and is asked about again."""
        command = editor()
        if not command and tool == "bash":
            echo("  The command to run instead (Enter: as it is): ", err=True, nl=False)
            line = await read_line()
            return {**input, "command": line} if line else None
        if not command:
            echo("  Set VISUAL or EDITOR to an editor, and try again.", err=True)
            return None
        text = msgspec.json.format(msgspec.json.encode(input)).decode()
        self.editing = True
        try:
            changed = msgspec.json.decode(await edited(text, command), type=dict[str, Any])
        except (OSError, ValueError, msgspec.DecodeError) as error:
            echo(f"  {clean(str(error))}", err=True)
            return None
        finally:
            self.editing = False
        if changed == input:
            echo("  It is as it was.", err=True)
            return None
        return changed
