"""What a server says besides its answers: stderr, its log, what is no message. It goes to the log
`wingman.mcp`, bounded in length and in rate, and without what is secret."""

import codecs
import logging
from collections import deque
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import attrs
import trio

from wingman.api import McpServer

__all__ = ["Diary", "secrets_of", "visible"]

logger = logging.getLogger("wingman.mcp")

_LONGEST: Final = 500  # characters of a line that are shown
_HELD: Final = 4 * _LONGEST  # bytes of a line: a character has four at most
_AT_ONCE: Final = 50  # lines
_A_SECOND: Final = 5  # lines
_LAST: Final = 5  # lines of stderr that are kept for the reason of a failure
_SHORTEST_SECRET: Final = 6  # characters; what is shorter is too likely to be a word

_HIDDEN: Final = "[hidden]"


def visible(text: str, longest: int = _LONGEST) -> str:
    """The beginning of a foreign text as one line, with its control characters made visible."""
    start = text[:longest]
    if not start.isprintable():
        start = "".join(each if each.isprintable() else _escaped(each) for each in start)
    return start if len(text) <= longest else f"{start}…"


def _escaped(character: str) -> str:
    return " " if character == "\t" else character.encode("unicode_escape").decode()


def _secrets(values: Iterable[str]) -> tuple[str, ...]:
    """What must not be shown: the values, and their words, such as the key after `Bearer`."""
    words = {word for value in values for word in (value, *value.split())}
    return tuple(sorted((w for w in words if len(w) >= _SHORTEST_SECRET), key=len, reverse=True))


def secrets_of(server: McpServer) -> tuple[str, ...]:
    """What of a server's settings is never shown."""
    url = urlsplit(server.url or "")
    query = (value for _, value in parse_qsl(url.query))
    return (
        *server.env.values(),
        *server.headers.values(),
        *filter(None, (url.username, url.password)),
        *query,
    )


@attrs.define(eq=False)
class Diary:
    """The log of one server. `secrets` are texts that are never shown."""

    name: str
    secrets: tuple[str, ...] = attrs.field(converter=_secrets, repr=False)
    _last: deque[str] = attrs.field(factory=lambda: deque(maxlen=_LAST), init=False)
    _line: bytearray = attrs.field(factory=bytearray, init=False)
    _tokens: float = attrs.field(default=float(_AT_ONCE), init=False)
    _counted: float = attrs.field(factory=trio.current_time, init=False)
    _left_out: int = attrs.field(default=0, init=False)

    def begin(self) -> None:
        """A program begins: what the one before it said is its own affair."""
        self._last.clear()

    @property
    def last_words(self) -> str:
        """The last lines of its stderr, for the reason of a failure: "" where it said nothing."""
        return " | ".join(self._last)

    def shown(self, text: str, longest: int = _LONGEST) -> str:
        """A foreign text as it may be shown to anyone."""
        text = text[: 2 * longest + 10_000]
        for secret in self.secrets:
            text = text.replace(secret, _HIDDEN)
        return visible(text, longest)

    def stderr(self, data: bytes | bytearray) -> None:
        """Take what it has written there."""
        first, *others = bytes(data).split(b"\n")
        self._hold(first)
        for line in others:
            self._end_of_line()
            self._hold(line)

    def end(self) -> None:
        """There is no more of its stderr."""
        self._end_of_line()

    def note(self, level: int, text: str) -> None:
        """Log a line, if there have not been too many of late."""
        now = trio.current_time()
        self._tokens = min(self._tokens + (now - self._counted) * _A_SECOND, _AT_ONCE)
        self._counted = now
        if self._tokens < 1:
            self._left_out += 1
            return
        self._tokens -= 1
        if self._left_out:
            logger.warning("%s: %d lines were left out here", self.name, self._left_out)
            self._left_out = 0
        logger.log(level, "%s: %s", self.name, self.shown(text))

    def _hold(self, part: bytes) -> None:
        room = _HELD - len(self._line)
        if room > 0:
            self._line += part[:room]

    def _end_of_line(self) -> None:
        line = codecs.decode(bytes(self._line), "utf-8", "replace").strip()
        self._line.clear()
        if line:
            self._last.append(self.shown(line, 300))
            self.note(logging.INFO, line)
