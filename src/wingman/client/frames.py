"""Frames: a stream of Server-Sent Events as Wingman's events."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from wingman.api import EXTRA, SESSION_STREAM, Notice
from wingman.client.exchange import Broken
from wingman.client.lenient import convert
from wingman.events import Done, Error, Event, Result
from wingman.sse import Fault, ServerSentEvent, SSEDecoder

if TYPE_CHECKING:
    from wingman.client.connection import Stream

__all__ = ["INCLUDE", "Frame", "Frames"]

INCLUDE: Final = ",".join(EXTRA)
"""All that a stream can have: the events of the SDK."""

_DIGITS: Final = 18
_RUN: Final = re.compile(r"/runs/([0-9A-Za-z_-]{1,64})\Z")

_TYPES: Final[Mapping[str, Any]] = SESSION_STREAM.data


class _OfRun(msgspec.Struct, frozen=True):
    run_id: str = ""


@attrs.frozen
class Frame:
    """One frame: its id, if it has one, its name, its event, and its run, where it says which.

    `resync` is a name of its own; its event is an `Error`.
    """

    id: int | None
    name: str
    event: Event
    run_id: str


class Frames:
    """The frames of one stream, as they come. Whoever opened the stream closes this."""

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._decoder = SSEDecoder()
        self._fault: Broken | None = None

    @property
    def run_id(self) -> str | None:
        """The run that the stream is of, as its `Location` says; None where it names none."""
        found = _RUN.search(self._stream.headers.get("location", ""))
        return found[1] if found else None

    async def receive(self) -> "list[Frame] | None":
        """What has come; nothing where that was a sign of life alone, None at the end.

        Kinds of events that this client does not know are passed over. Raises `Broken`.
        """
        if self._fault is not None:
            raise self._fault
        chunk = await self._stream.receive()
        if not chunk:
            return None
        frames: list[Frame] = []
        try:
            for event in self._decoder.feed(chunk):
                if (frame := _frame(event)) is not None:
                    frames.append(frame)  # noqa: PERF401 those before a bad one count
        except (Fault, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            reason = error.message if isinstance(error, Fault) else str(error)
            self._fault = Broken(f"a frame is not Wingman's: {reason}", sent=True)
            if not frames:  # first comes what has come before it
                raise self._fault from error
        return frames

    async def aclose(self, *, drain: bool = False) -> None:
        """Close the stream; `drain`: its end has come, or is just coming."""
        await self._stream.aclose(drain=drain)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise Fault("its id is no number")
    return int(text)


def _frame(sent: ServerSentEvent) -> Frame | None:
    type_ = _TYPES.get(sent.name)
    if type_ is None:
        return None
    id = _number(sent.id) if sent.id else None
    try:
        data = msgspec.json.decode(sent.data, type=type_)
    except msgspec.ValidationError:
        data = convert(msgspec.json.decode(sent.data), type_)
    if isinstance(data, Result):
        return Frame(id, sent.name, Done(data), data.run_id)
    if isinstance(data, Notice):
        run_id = data.run_id or ""
        return Frame(id, sent.name, Error(data.code, data.message, run_id), run_id)
    return Frame(id, sent.name, data, msgspec.json.decode(sent.data, type=_OfRun).run_id)
