"""One inference over the wire: a call goes out, bytes come in, parts come out.

The decoder knows where events end, the translator what they mean; both are sans-I/O. This loop is
all that joins them to the network, and the only async generator on the way: nested ones cannot be
closed from outside.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

import attrs
import msgspec

from wingman.errors import ProviderError
from wingman.providers.base import Part, Request
from wingman.providers.transport import (
    ByteStream,
    Call,
    Endpoint,
    Retry,
    Transport,
    cause,
    stray,
    told,
)
from wingman.providers.wire.history import Outline, written
from wingman.providers.wire.toolcalls import CallIds
from wingman.sse import Fault

__all__ = ["Decoder", "Translator", "ask_for_models", "bearer_call", "converse"]

_LOOKED_AT: Final = 16 * 1024
_TAIL: Final = 4 * 1024

T = TypeVar("T")
EventT = TypeVar("EventT")
EventT_co = TypeVar("EventT_co", covariant=True)
EventT_contra = TypeVar("EventT_contra", contravariant=True)


class Decoder(Protocol[EventT_co]):
    """Bytes in, whole events out; raises `Fault`."""

    def feed(self, chunk: bytes) -> Sequence[EventT_co]:
        """Return the events that this chunk completes."""

    def end(self) -> Sequence[EventT_co]:
        """The stream is over: return the last event, if it was still open."""


class Translator(Protocol[EventT_contra]):
    """A provider's events in, parts out; raises `Fault`."""

    @property
    def finished(self) -> bool:
        """Whether the event has come after which nothing of interest does."""

    def feed(self, event: EventT_contra) -> Iterable[Part]:
        """Return the parts that this event brings."""

    def end(self) -> Iterable[Part]:
        """The stream is over: return the last parts, `Finished` among them, or raise `Fault`."""


async def converse(
    transport: Transport,
    call: Call,
    outline: Outline,
    request: Request,
    decoder: Decoder[EventT],
    translating: Callable[[CallIds], Translator[EventT]],
) -> AsyncGenerator[Part, None]:
    """Run one inference. Close it (`contextlib.aclosing`) if it is not read to its end.

    `call` is without its body, which `outline` and the request's history make.
    """
    body, ids = await written(outline, request)
    call, translator = attrs.evolve(call, body=body), translating(CallIds(ids))
    stream = await transport.open_stream(call)
    seen = _Seen()
    try:
        while not translator.finished:
            chunk = await stream.receive()
            seen.add(chunk)
            for event in decoder.feed(chunk) if chunk else decoder.end():
                if not translator.finished:
                    for part in translator.feed(event):
                        seen.understood = True
                        yield part
            if not chunk:
                break
        stream.complete()
        for part in translator.end():
            seen.understood = True
            yield part
    except Fault as fault:
        seen.understood = seen.understood or translator.finished
        raise await _failure(fault, stream, seen) from cause(fault, call.secrets)
    finally:
        await stream.aclose()


class _Seen:
    """The beginning and the end of what has come, to say what it was if it was no stream."""

    def __init__(self) -> None:
        self.beginning = b""
        self.tail = b""
        self.understood = False  # whether anything came of it

    def add(self, chunk: bytes) -> None:
        if len(self.beginning) < _LOOKED_AT:
            self.beginning = (self.beginning + chunk)[:_LOOKED_AT]
        if len(chunk) >= _TAIL:
            self.tail = b""
        tail = self.tail + chunk[-_TAIL:]
        if len(tail) > _TAIL or len(chunk) > _TAIL:
            tail = tail[-_TAIL:].partition(b"\n")[2]  # not the rest of a line
        self.tail = tail


async def _failure(fault: Fault, stream: ByteStream, seen: _Seen) -> ProviderError:
    """What went wrong with a stream, in the words of whoever sent it where there are any."""
    if fault.said is not None:
        return stream.reported(fault.said)
    if not seen.understood:
        if (error := await stream.no_stream(seen.beginning)) is not None:
            return error
    elif (said := stray(seen.tail)) is not None:
        return stream.reported(said)
    return stream.broken(fault.message, fault.error_type)


def bearer_call(provider: str, endpoint: Endpoint, path: str) -> Call:
    """A call whose key, if there is one, is a bearer token."""
    headers = {"content-type": "application/json"}
    if endpoint.key:
        headers["authorization"] = f"Bearer {endpoint.key}"
    return Call(provider, endpoint.base_url + path, headers, secret=endpoint.key)


async def ask_for_models(transport: Transport, call: Call, type: type[T]) -> T:
    """Ask a provider for its list of models. Someone is waiting: only one more attempt is made."""
    answer = await transport.get_json(call, retry=Retry(attempts=2, elapsed=10.0))
    try:
        return msgspec.convert(answer, type)
    except msgspec.ValidationError as error:
        text = f"its list of models is none: {error}"
        raise told(ProviderError, text, call.provider, call.secrets) from error
