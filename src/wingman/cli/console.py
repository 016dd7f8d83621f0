"""Console: how a run looks in a terminal.

The model's text goes to stdout, so that it can be piped; all else (tool calls, what they gave,
notes) goes to stderr. Colours are click's matter: it leaves them out where there is no terminal.
"""

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, assert_never

import attrs
import click
import msgspec

from wingman.api import Receipt
from wingman.cli.output import echo
from wingman.events import (
    Compacted,
    Done,
    Error,
    Event,
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

__all__ = ["Console", "cells", "clean", "clip", "compact", "count", "escaped"]

_SHOWN_LINES: Final = 5
# What a terminal obeys: controls, and what turns the direction of writing or ends a line.
_BEYOND_ASCII: Final = r"\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_CONTROL: Final = re.compile(rf"[\x00-\x08\x0b-\x1f{_BEYOND_ASCII}]")
_UNESCAPED: Final = re.compile(f"[{_BEYOND_ASCII}]")


@attrs.define
class Console:
    """Shows one run's events as they come; `verbose` shows whole results, thinking and progress."""

    verbose: bool = False
    _names: dict[str, str] = attrs.field(factory=dict, init=False)  # of this step's calls, by id
    _open: str = attrs.field(default="", init=False)  # the stream whose line is begun, if any is

    def show(self, event: Event) -> None:
        """Print an event."""
        match event:
            case Text(text=text):
                self._text(text)
            case ToolUse(id=id, name=name, input=input):
                self._names[id] = name
                arrow = click.style(f"→ {clean(name)}", fg="cyan", bold=True)
                self._line(f"{arrow} {self._clipped(compact(input), len(name) + 3)}")
            case ToolResult(tool_use_id=tool_use_id, content=content, is_error=is_error):
                self._result(tool_use_id, content, is_error)
            case PermissionRequested(id=id, action=action, resources=resources, always=always):
                self.note(
                    f"Permission needed: {clean(action)}: {clean('; '.join(resources))}", "yellow"
                )
                choices = "once|always|reject" if always else "once|reject"
                self.note(f"  Answer it: wingman answer {clean(id)} {choices}")
            case PermissionResolved(tool_use_id=id, status=status):
                self.note(f"Permission {status}: {clean(self._names.get(id, id))}")
            case Compacted(tokens_before=before, tokens_after=after):
                self.note(f"the history is compacted: from about {before:,} tokens to {after:,}")
            case Steered(text=text):
                self.note(f"the run reads: {clean(text)}")
            case Thinking(text=text) | ToolProgress(text=text):
                self._aside(text)
            case Step(step=step):
                self._names.clear()
                if self.verbose:
                    self.note(f"step {step}")
            case Done() | Error():
                self.end_line()
            case _:
                assert_never(event)

    def cancelled(self, receipt: Receipt) -> None:
        """Say what a cancel has stopped."""
        for run in receipt.cancelled:
            tools = [
                f"{clean(self._names.get(t.id, t.id))} {t.outcome.replace('_', ' ')}"
                for t in run.tools
            ]
            what = ", ".join(tools)
            took = f"{run.stopped_in_ms:g} ms"
            if run.outcome in ("completed", "failed"):
                self.note(f"It was about to end, and has {run.outcome}.", "yellow")
            elif run.outcome == "still_running":
                self.note(f"Still running after {took}: {what or 'the run'}.", "red")
            else:
                self.note(f"Cancelled, stopped in {took}{what and f': {what}'}.", "yellow")

    def summary(self, result: Result) -> None:
        """Say what the run came to."""
        usage = result.usage
        self.note(
            f"{count(result.steps, 'step')}, {count(len(result.tool_calls), 'tool call')}, "
            f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"
        )
        if result.stop_reason not in ("end_turn", "cancelled"):
            reason = result.stop_reason.replace("_", " ")
            self.note(f"The run ended early: {reason}.", "yellow")

    def note(self, text: str, colour: str | None = None) -> None:
        """Print a line about the run, to stderr."""
        self._line(click.style(text, fg=colour, dim=colour is None))

    def end_line(self) -> None:
        """End the line that is begun, if one is."""
        if self._open:
            echo(err=self._open == "stderr")
            self._open = ""

    def _text(self, text: str) -> None:
        if self._open == "stderr":
            self.end_line()
        # To a file or a pipe goes what the model said, all of it (`color` keeps click from cleaning
        # it); a terminal would obey what is in it.
        echo(clean(text) if _to_terminal() else text, nl=False, color=True)
        if text:
            self._open = "" if text.endswith("\n") else "stdout"

    def _aside(self, text: str) -> None:
        if not self.verbose or not text:
            return
        if self._open == "stdout":
            self.end_line()
        echo(click.style(clean(text), dim=True), nl=False, err=True)
        self._open = "" if text.endswith("\n") else "stderr"

    def _result(self, id: str, content: str, is_error: bool) -> None:
        lines = clean(content).rstrip().split("\n")
        if len(self._names) > 1:  # of several calls at once; which one is this?
            lines[0] = f"{self._names.get(id, id)}: {lines[0]}"
        shown = lines if self.verbose else lines[:_SHOWN_LINES]
        arrow = click.style("←", fg="red" if is_error else "green", bold=True)
        for number, line in enumerate(shown):
            self._line(f"{arrow if number == 0 else ' '} {self._clipped(line, 2)}")
        if more := len(lines) - len(shown):
            self.note(f"  … {count(more, 'more line')}")

    def _line(self, text: str) -> None:
        self.end_line()
        echo(text, err=True)

    def _clipped(self, text: str, indent: int) -> str:
        return text if self.verbose else clip(text, shutil.get_terminal_size().columns - indent)


def _to_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def clean(text: str) -> str:
    """The text without control characters, by which it could take over the terminal."""
    return _CONTROL.sub("", text)


def escaped(json: str) -> str:
    """JSON, in which what a terminal would obey is escaped; it means the same."""
    return _UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii() and text.isprintable():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415  (its tables take a while to load)

    return cell_len(text)


def clip(text: str, width: int) -> str:
    """The text, cut where it is wider than `width` columns of a terminal."""
    kept = text[: max(width, 0) + 1]
    if kept == text and cells(text) <= width:
        return text
    while kept and cells(kept) >= width:
        kept = kept[:-1]
    return kept + "…"


def compact(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """A value as JSON on one line, for people: with blanks, and without control characters."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    return clean(text)


def count(number: int, noun: str) -> str:
    """A number of things: "1 step", "2 steps"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
