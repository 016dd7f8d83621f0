"""Wire: an HTTP client that shows what it sends and what comes back, for people to read."""

import shutil
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from textwrap import wrap
from typing import Any, Final, Self

import attrs
import click
import httpx
import msgspec

from wingman.cli.console import clean, compact, count
from wingman.cli.output import echo
from wingman.sse import ServerSentEvent, SSEDecoder

__all__ = ["Wire"]

_INDENT: Final = "   "
_LABEL: Final = 15  # the width of what stands before the content of a line
_NARROWEST: Final = 20  # characters of content on a line
_MOST_LINES: Final = 3  # of one body, or one event


@attrs.define
class Wire:
    """One server's client, and its transcript on stdout. Open it with `Wire.to`."""

    _http: httpx.AsyncClient
    _in_text: bool = attrs.field(default=False, init=False)

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Self]:
        """Open a client for the server at this URL, whatever proxies the environment names."""
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield cls(http)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST, and return the answer's JSON."""
        self._request(path, body)
        response = await self._http.post(path, json=body)
        answer = response.json()
        self._line(str(response.status_code), compact(answer))
        self._succeeded(path, response)
        return answer

    @asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncIterator["Events"]:
        """POST, and hand out the events of the stream that answers. It is read to its end."""
        self._request(path, body)
        async with self._http.stream("POST", path, json=body) as response:
            self._line(str(response.status_code), response.headers.get("content-type", ""))
            self._succeeded(path, response)
            chunks = response.aiter_bytes()
            yield Events(chunks, self._event)
            async for _ in chunks:
                pass

    def note(self, label: str, content: str) -> None:
        """Show something that did not come over the wire."""
        self._line(label, content, colour="yellow")

    def _request(self, path: str, body: Mapping[str, Any] | None) -> None:
        echo(click.style(f"{_INDENT}POST {path}", fg="blue", bold=True))
        if body is not None:
            self._line("", compact(body))

    def _event(self, name: str, data: Mapping[str, Any]) -> None:
        match name:
            case "text":
                self._text(data["text"])
            case "tool_use":
                self._line(name, f"{data['name']} {compact(data['input'])}", "cyan")
            case "tool_result":
                self._line(name, _one_line(data["content"]), "green")
            case "tool_progress":
                self._line(name, _one_line(data["text"]), "cyan")
            case "done":
                calls = count(len(data["tool_calls"]), "tool call")
                steps = count(data["steps"], "step")
                self._line(name, f"{data['stop_reason']}, {steps}, {calls}", "green")
            case _:
                self._line(name, compact(data), "red")

    def _text(self, text: str) -> None:
        """A piece of text, where the piece before it ended."""
        if not self._in_text:
            echo(_label("text", "cyan"), nl=False)
        margin = "\n" + " " * (len(_INDENT) + _LABEL)
        echo(clean(text).replace("\n", margin), nl=False)
        self._in_text = True

    def _line(self, label: str, content: str, colour: str | None = None) -> None:
        if self._in_text:
            echo()
            self._in_text = False
        width = max(shutil.get_terminal_size().columns - len(_INDENT) - _LABEL, _NARROWEST)
        first, *rest = wrap(content, width, max_lines=_MOST_LINES, placeholder=" …") or [""]
        echo(_label(label, colour) + first)
        for line in rest:
            echo(_label("", None) + line)

    def _succeeded(self, path: str, response: httpx.Response) -> None:
        if not response.is_success:
            raise click.ClickException(
                f"Expected: POST {path} succeeds. Found: {response.status_code}."
            )


@attrs.define
class Events:
    """The events of one stream, each shown when it is taken."""

    _chunks: AsyncIterator[bytes]
    _show: Callable[[str, Mapping[str, Any]], None]
    _decoder: SSEDecoder = attrs.field(factory=SSEDecoder, init=False)
    _pending: deque[ServerSentEvent] = attrs.field(factory=deque, init=False)

    async def until(self, name: str) -> dict[str, Any]:
        """Take events up to the first of this name, and return its data."""
        while True:
            while self._pending:
                event = self._pending.popleft()
                data = msgspec.json.decode(event.data, type=dict[str, Any])
                self._show(event.name, data)
                if event.name == name:
                    return data
            chunk = await anext(self._chunks, None)
            if chunk is None:
                raise click.ClickException(f"Expected: an event {name!r}. Found: the stream's end.")
            self._pending.extend(self._decoder.feed(chunk))


def _label(label: str, colour: str | None) -> str:
    return _INDENT + click.style(f"{label:{_LABEL - 1}} ", fg=colour, dim=colour is None)


def _one_line(text: str) -> str:
    return " ⏎ ".join(clean(text).strip().splitlines())
