"""Published: one event of a session's channel, and what it is as a Server-Sent Event."""

from typing import Final

import msgspec

from wingman.events import (
    Done,
    Error,
    Event,
    PermissionRequested,
    PermissionResolved,
    Text,
    Thinking,
    ToolProgress,
    ToolResult,
    ToolUse,
)
from wingman.sse import frame

__all__ = ["Published", "encode_event"]

_HAVE_RUN_ID: Final = (Done, Error, PermissionRequested, PermissionResolved)

_encode = msgspec.json.Encoder().encode

# What an event takes in memory beside its text: its objects, and its place in the channel.
_OVERHEAD: Final = 256


def encode_event(event: Event) -> bytes:
    """An event's JSON, one line: for `Done`, its result."""
    return _encode(event.result if type(event) is Done else event)


class Published:
    """One event of the channel: its id, its run, and, once somebody asked, its frames.

    `size` is about how many bytes it takes in memory, without its frames. `pins` counts the readers
    that have sent a part of its frame, and need the rest.
    """

    __slots__ = (
        "_framed",
        "_run_frame",
        "_session_frame",
        "event",
        "id",
        "pins",
        "revoked",
        "run_id",
        "size",
    )

    def __init__(self, id: int, run_id: str, event: Event) -> None:
        self.id = id
        self.run_id = run_id
        self.event = event
        self.size = _OVERHEAD + _text_size(event)
        self._framed = 0
        self.pins = 0
        self.revoked = False
        self._run_frame: bytes | None = None
        self._session_frame: bytes | None = None

    @property
    def held(self) -> int:
        """About how many bytes it takes in memory, with its frames."""
        return self.size + self._framed

    def run_frame(self) -> bytes:
        """The event for who reads its run; made at the first asking and shared from then on."""
        if self._run_frame is None:
            self._run_frame = self._kept(frame(self.id, self.event.kind, encode_event(self.event)))
        return self._run_frame

    def session_frame(self) -> bytes:
        """The event for who reads its session: the data has the `run_id` as well."""
        if self._session_frame is None:
            if isinstance(self.event, _HAVE_RUN_ID):
                return self.run_frame()
            # The data is a JSON object with at least one field: this puts another in front.
            data = b'{"run_id":"%b",%b' % (self.run_id.encode(), encode_event(self.event)[1:])
            self._session_frame = self._kept(frame(self.id, self.event.kind, data))
        return self._session_frame

    def drop_frames(self) -> int:
        """Let go of the frames, which may be made again; how many bytes that frees."""
        self._run_frame = self._session_frame = None
        freed, self._framed = self._framed, 0
        return freed

    def revoke(self) -> None:
        """Let go of the frames, also where a reader has not sent all of one: it is cut off."""
        self.revoked = True
        self._run_frame = self._session_frame = b""

    def _kept(self, made: bytes) -> bytes:
        self._framed += len(made)
        return made


def _text_size(event: Event) -> int:
    """About how many bytes the texts of an event take; other values hardly count."""
    match event:
        case Text(text=text) | Thinking(text=text) | ToolProgress(text=text):
            return text.__sizeof__()
        case ToolResult(content=content, structured=None):
            return content.__sizeof__()
        case ToolResult(content=content, structured=structured):
            return content.__sizeof__() + len(msgspec.json.encode(structured))
        case ToolUse(input=input):
            return sum(value.__sizeof__() for value in input.values())
        case PermissionRequested(resources=resources, always=always):
            return sum(text.__sizeof__() for text in (*resources, *always))
        case Done(result=result):
            # Its texts are the history's: they are there with or without this event.
            return len(result.tool_calls) * _OVERHEAD
        case _:
            return _OVERHEAD
