"""Transcript: what a client asks of a server and what comes back, for people to read."""

import shutil
from textwrap import wrap
from typing import Any, Final, assert_never

import attrs
import click
import msgspec

from wingman.cli.console import clean, compact, count
from wingman.cli.output import echo
from wingman.events import (
    Compacted,
    Done,
    Error,
    Event,
    PermissionRequested,
    PermissionResolved,
    Steered,
    Step,
    Text,
    Thinking,
    ToolProgress,
    ToolResult,
    ToolUse,
)

__all__ = ["Transcript"]

_INDENT: Final = "   "
_LABEL: Final = 15  # the width of what stands before the content of a line
_NARROWEST: Final = 20  # characters of content on a line
_MOST_LINES: Final = 3  # of one body, or one event


@attrs.define
class Transcript:
    """Prints to stdout what is asked, what is answered, and the events of streams."""

    _in_text: bool = attrs.field(default=False, init=False)

    def asks(self, what: str, content: Any = None) -> None:
        """Show what is asked of the server."""
        self._end_text()
        echo(click.style(f"{_INDENT}{what}", fg="blue", bold=True))
        if content is not None:
            self._line("", compact(msgspec.to_builtins(content)))

    def answers(self, content: Any) -> None:
        """Show what it answers."""
        self._line("answer", compact(msgspec.to_builtins(content)))

    def note(self, label: str, content: str) -> None:
        """Show something that no server says."""
        self._line(label, content, colour="yellow")

    def event(self, event: Event) -> None:
        """Show an event of a stream."""
        match event:
            case Text(text=text):
                self._text(text)
            case ToolUse(name=name, input=input):
                self._line(event.kind, f"{clean(name)} {compact(input)}", "cyan")
            case ToolResult(content=content):
                self._line(event.kind, _one_line(content), "green")
            case PermissionRequested(action=action, resources=resources):
                self._line(event.kind, f"{clean(action)} {clean('; '.join(resources))}", "yellow")
            case PermissionResolved(status=status):
                self._line(event.kind, status, "yellow")
            case Compacted(tokens_before=before, tokens_after=after):
                self._line(event.kind, f"from about {before:,} tokens to {after:,}", "yellow")
            case Steered(text=text):
                self._line(event.kind, _one_line(text), "yellow")
            case ToolProgress(text=text):
                self._line(event.kind, _one_line(text), "cyan")
            case Done(result=result):
                calls = count(len(result.tool_calls), "tool call")
                steps = count(result.steps, "step")
                self._line(event.kind, f"{result.stop_reason}, {steps}, {calls}", "green")
            case Error(message=message):
                self._line(event.kind, clean(message), "red")
            case Step() | Thinking():
                pass
            case _:
                assert_never(event)

    def _text(self, text: str) -> None:
        """A piece of text, where the piece before it ended."""
        if not self._in_text:
            echo(_label("text", "cyan"), nl=False)
        margin = "\n" + " " * (len(_INDENT) + _LABEL)
        echo(clean(text).replace("\n", margin), nl=False)
        self._in_text = True

    def _line(self, label: str, content: str, colour: str | None = None) -> None:
        self._end_text()
        width = max(shutil.get_terminal_size().columns - len(_INDENT) - _LABEL, _NARROWEST)
        first, *rest = wrap(content, width, max_lines=_MOST_LINES, placeholder=" …") or [""]
        echo(_label(label, colour) + first)
        for line in rest:
            echo(_label("", None) + line)

    def _end_text(self) -> None:
        if self._in_text:
            echo()
            self._in_text = False


def _label(label: str, colour: str | None) -> str:
    return _INDENT + click.style(f"{label:{_LABEL - 1}} ", fg=colour, dim=colour is None)


def _one_line(text: str) -> str:
    return " ⏎ ".join(clean(text).strip().splitlines())
