"""One inference over the wire: a call goes out, bytes come in, parts come out.

The decoder knows where events end, the translator what they mean; both are sans-I/O. This loop is
all that joins them to the network, and the only async generator on the way: nested ones cannot be
closed from outside.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec

from wingman.errors import ProviderError
from wingman.providers.base import Part
from wingman.providers.transport import Call, Endpoint, Retry, Transport
from wingman.sse import Fault

__all__ = ["Decoder", "Translator", "ask_for_models", "bearer_call", "converse"]

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
    transport: Transport, call: Call, decoder: Decoder[EventT], translator: Translator[EventT]
) -> AsyncGenerator[Part, None]:
    """Run one inference. Close it (`contextlib.aclosing`) if it is not read to its end."""
    stream = await transport.open_stream(call)
    try:
        while not translator.finished:
            chunk = await stream.receive()
            for event in decoder.feed(chunk) if chunk else decoder.end():
                if not translator.finished:
                    for part in translator.feed(event):
                        yield part
            if not chunk:
                break
        stream.complete()
        for part in translator.end():
            yield part
    except Fault as fault:
        raise stream.broken(fault.message, fault.error_type) from fault
    finally:
        await stream.aclose()


def bearer_call(provider: str, endpoint: Endpoint, path: str, body: object = None) -> Call:
    """A call whose key, if there is one, is a bearer token; `body` is sent as JSON."""
    headers = {"content-type": "application/json"}
    if endpoint.key:
        headers["authorization"] = f"Bearer {endpoint.key}"
    data = None if body is None else msgspec.json.encode(body)
    return Call(provider, endpoint.base_url + path, headers, data, endpoint.key)


async def ask_for_models(transport: Transport, call: Call, type: type[T]) -> T:
    """Ask a provider for its list of models. Someone is waiting: only one more attempt is made."""
    answer = await transport.get_json(call, retry=Retry(attempts=2, elapsed=10.0))
    try:
        return msgspec.convert(answer, type)
    except msgspec.ValidationError as error:
        raise ProviderError(
            f"its list of models is none: {error}", provider=call.provider
        ) from error
