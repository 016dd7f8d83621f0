"""Where one event ends and the next begins: incremental decoders, bytes in, events out.

Sans-I/O: they are fed what the network gives, cut anywhere, and return what is complete. What a
decoder holds back is bounded by `limit` bytes (16 MiB), since a server's word on where its lines
end is not to be trusted with this process's memory; beyond it they raise `Fault`. Providers and the
client of Wingman's own server read their streams with them.
"""

from typing import Any, Final, NamedTuple

__all__ = ["LIMIT", "Fault", "LineDecoder", "SSEDecoder", "ServerSentEvent"]

LIMIT: Final = 16 * 1024 * 1024
"""How many bytes one line, or the data of one event, may have."""

_MOST_LINES: Final = 100_000
"""How many lines of data one event may have: empty ones take memory, too."""

_BOM: Final = b"\xef\xbb\xbf"


class Fault(Exception):
    """What a server sent is not what its protocol says, or is an error that it reports.

    Pure decoders and translators raise it; they do not know whose stream they read. Who does
    turns it into an error that names it. `said` is what the server says, where it reports an
    error, in the form of who reads it.
    """

    def __init__(self, message: str, error_type: str | None = None, said: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_type = error_type
        self.said = said


class ServerSentEvent(NamedTuple):
    """One event of a `text/event-stream`: its name (`message` by default), its data, and its own
    `id`, where it has one."""

    name: str
    data: bytes
    id: str | None = None


class LineDecoder:
    """Bytes in, whole lines out, without their end: LF, CR or CRLF. NDJSON needs no more."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes."""
        first, *rest = self._normalised(chunk).split(b"\n")
        self._hold(first)
        if not rest:
            return []
        lines = [self._release(), *rest[:-1]]
        self._hold(rest[-1])
        return lines

    def end(self) -> list[bytes]:
        """The stream is over: return the last line, where it has no end."""
        return [self._release()] if self._size else []

    def _normalised(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk:
            # That CR has ended its line already; an LF here is the other half of a CRLF.
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _hold(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise Fault(f"a line is longer than {self._limit} bytes")
        if piece:
            self._pending.append(piece)

    def _release(self) -> bytes:
        line = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        if self._at_start:
            self._at_start = False
            return line.removeprefix(_BOM)
        return line


class SSEDecoder:
    """Bytes in, Server-Sent Events out.

    Comments and `retry` are passed over, and an event without data is none. What comes after
    the last blank line is no event. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lines = LineDecoder(limit)
        self._name = ""
        self._id: str | None = None
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that this chunk completes."""
        events = []
        for line in self._lines.feed(chunk):
            if line:
                self._field(line)
            elif event := self._dispatch():
                events.append(event)
        return events

    def end(self) -> list[ServerSentEvent]:
        """The stream is over: an event without its blank line is not one."""
        return []

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field in (b"data", b"error"):
            self._size += len(value)
            if len(self._data) >= _MOST_LINES:
                raise Fault(f"an event has more than {_MOST_LINES} lines")
            if self._size > self._limit:
                raise Fault(f"an event is larger than {self._limit} bytes")
            self._data.append(value)
            if field == b"error":  # as older servers of llama.cpp tell of one
                self._name = "error"
        elif field == b"event":
            self._name = value.decode(errors="replace")
        elif field == b"id":
            self._id = value.decode(errors="replace")

    def _dispatch(self) -> ServerSentEvent | None:
        name, data, id = self._name or "message", self._data, self._id
        self._name, self._id, self._data, self._size = "", None, [], 0
        return ServerSentEvent(name, b"\n".join(data), id) if data else None
