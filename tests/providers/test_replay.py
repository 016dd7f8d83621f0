"""Streams played back to the adapters: cut anywhere, very long, or with long arguments."""

import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Final

import attrs
import httpx
import pytest

import provider_wires as wires
from wingman.conversation import ToolUseBlock
from wingman.errors import ProviderStreamError
from wingman.providers import (
    Anthropic,
    Finished,
    Gemini,
    Ollama,
    OpenAI,
    OpenAICompatible,
    Provider,
    TextDelta,
    Transport,
)
from wingman.sse import LIMIT

MILLION: Final = 1_000_000
HERE: Final = "http://127.0.0.1:1"
PIECE: Final = "It will rain, é 雨. " * 30
ARGUMENT: Final = "x" * 200

Script = Callable[[Iterable[str]], Iterator[bytes]]


@attrs.frozen
class Replay:
    """An adapter, and its wire: texts in, the pieces of a stream out; the same for arguments."""

    provider: Provider
    text: Script
    arguments: Script | None
    bodies: tuple[bytes, bytes]
    most: int = 3 * MILLION
    """Bytes of memory that text of ten megabytes may take on its way."""


def anthropic_text(pieces: Iterable[str]) -> Iterator[bytes]:
    yield wires.sse(wires.message_start(input_tokens=1), _block(type="text", text=""))
    yield from (_delta(type="text_delta", text=piece) for piece in pieces)
    yield wires.sse({"type": "content_block_stop", "index": 0}, *wires.anthropic_end())


def anthropic_arguments(pieces: Iterable[str]) -> Iterator[bytes]:
    start = _block(type="tool_use", id="toolu_1", name="write", input={})
    yield wires.sse(wires.message_start(input_tokens=1), start)
    yield from (_delta(type="input_json_delta", partial_json=p) for p in pieces)
    yield wires.sse({"type": "content_block_stop", "index": 0}, *wires.anthropic_end("tool_use"))


def _block(**block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": 0, "content_block": block}


def _delta(**delta: Any) -> bytes:
    return wires.sse({"type": "content_block_delta", "index": 0, "delta": delta})


def chat_text(pieces: Iterable[str]) -> Iterator[bytes]:
    yield from (wires.sse(wires.openai_delta(content=p), named=False) for p in pieces)
    yield wires.sse(wires.openai_delta("stop"), "[DONE]", named=False)


def chat_arguments(pieces: Iterable[str]) -> Iterator[bytes]:
    yield wires.sse(wires.openai_call(0, id="call_1", name="write", arguments=""), named=False)
    yield from (wires.sse(wires.openai_call(0, arguments=p), named=False) for p in pieces)
    yield wires.sse(wires.openai_delta("tool_calls"), "[DONE]", named=False)


def responses_text(pieces: Iterable[str]) -> Iterator[bytes]:
    yield wires.sse(wires.RESPONSES_START)
    kind = "response.output_text.delta"
    yield from (wires.sse({"type": kind, "output_index": 0, "delta": p}) for p in pieces)
    yield wires.sse(wires.responses_end())


def gemini_text(pieces: Iterable[str]) -> Iterator[bytes]:
    for text in pieces:
        content = {"role": "model", "parts": [{"text": text}]}
        yield wires.sse({"candidates": [{"content": content, "index": 0}]}, named=False)
    yield wires.sse({"candidates": [{"finishReason": "STOP", "index": 0}]}, named=False)


def ollama_text(pieces: Iterable[str]) -> Iterator[bytes]:
    yield from (wires.ndjson(wires.ollama_said(content=p)) for p in pieces)
    yield wires.ndjson(wires.ollama_done())


REPLAYS: Final = {
    "anthropic": Replay(
        Anthropic("m", api_key="k", base_url=HERE),
        anthropic_text,
        anthropic_arguments,
        (wires.anthropic_text(), wires.anthropic_tools()),
    ),
    "chat": Replay(
        OpenAICompatible("m", base_url=HERE),
        chat_text,
        chat_arguments,
        (wires.openai_text(), wires.openai_tools()),
    ),
    "responses": Replay(
        OpenAI("m", api_key="k", base_url=HERE, api="responses"),
        responses_text,
        None,
        (wires.responses_text(), wires.responses_tools()),
    ),
    "gemini": Replay(
        Gemini("m", api_key="k", base_url=HERE),
        gemini_text,
        None,
        (wires.gemini_text(), wires.gemini_tools()),
        most=60 * MILLION,  # it may be signed at its end, and is kept until then
    ),
    "ollama": Replay(
        Ollama("m", base_url=HERE),
        ollama_text,
        None,
        (wires.ollama_text(), wires.ollama_tools()),
    ),
}


@pytest.fixture(params=REPLAYS)
def replay(request: pytest.FixtureRequest) -> Replay:
    return REPLAYS[request.param]


def playing(*bodies: Iterable[bytes]) -> Transport:
    """A transport whose answers are these bodies in turn, in just these pieces."""
    answers = iter(bodies)

    async def pieces(body: Iterable[bytes]) -> AsyncIterator[bytes]:
        for piece in body:
            yield piece

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=pieces(next(answers)))

    return Transport(over=httpx.MockTransport(answer))


async def parts_of(replay: Replay, request: Any, transport: Transport) -> list[Any]:
    """The parts, but for ids that are made up."""
    parts = []
    async with aclosing(replay.provider.stream(request, transport)) as stream:
        async for part in stream:
            if isinstance(part, ToolUseBlock):
                part = (part.name, part.input, part.malformed)
            parts.append(part)
    return parts


async def test_a_stream_cut_at_every_byte_says_the_same(replay, ask):
    text, _ = replay.bodies
    cuts = [(text[:place], text[place:]) for place in range(1, len(text))]
    async with playing([text], *cuts) as transport:
        whole = await parts_of(replay, ask("Rain?"), transport)
        for _ in cuts:
            assert await parts_of(replay, ask("Rain?"), transport) == whole


async def test_calls_that_come_byte_by_byte_are_the_same(replay, ask):
    _, tools = replay.bodies
    async with playing([tools], [bytes([byte]) for byte in tools]) as transport:
        whole = await parts_of(replay, ask("Rain?"), transport)
        assert await parts_of(replay, ask("Rain?"), transport) == whole
    calls = [part[:2] for part in whole if isinstance(part, tuple)]
    assert calls == wires.WEATHER


async def test_a_stream_cut_off_at_any_event_is_broken_and_never_an_answer(replay, ask):
    mark = b"\n" if isinstance(replay.provider, Ollama) else b"\n\n"
    events = [event + mark for event in replay.bodies[1].split(mark) if event]
    # What may lack at the end, once it is known why it ended, is known of each protocol.
    for count in range(len(events) // 2):
        async with playing(events[:count]) as transport:
            with pytest.raises(ProviderStreamError):
                await parts_of(replay, ask("Rain?"), transport)


async def test_ten_megabytes_pass_through_in_bounded_memory_and_sane_time(replay, ask):
    pieces = (PIECE for _ in range(10 * MILLION // len(PIECE.encode())))
    characters = 0
    async with playing(_gathered(replay.text(pieces))) as transport:
        request = ask("Rain?")
        tracemalloc.start()
        started = time.monotonic()
        try:
            async with aclosing(replay.provider.stream(request, transport)) as parts:
                async for part in parts:
                    if isinstance(part, TextDelta):
                        characters += len(part.text)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert part == Finished("end_turn")
    assert characters == 10 * MILLION // len(PIECE.encode()) * len(PIECE)
    assert peak < replay.most
    assert time.monotonic() - started < 15  # one or two, on a machine that does nothing else


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces as a network brings them: some tens of kilobytes at once."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) > 65_536:
            yield bytes(held)
            held.clear()
    yield bytes(held)


@pytest.mark.parametrize("name", ["anthropic", "chat"])
async def test_a_megabyte_of_arguments_in_small_pieces_takes_sane_time(name, ask):
    replay = REPLAYS[name]
    text = json.dumps({"content": ARGUMENT * (MILLION // len(ARGUMENT))})
    pieces = [text[place : place + 20] for place in range(0, len(text), 20)]
    started = time.monotonic()
    async with playing(_gathered(replay.arguments(pieces))) as transport:
        parts = await parts_of(replay, ask("Write."), transport)
    assert ("write", json.loads(text), None) in parts
    assert time.monotonic() - started < 15


async def test_a_line_that_never_ends_is_given_up_at_the_limit(replay, ask):
    endless = (b"data: " + b"x" * MILLION if n == 0 else b"x" * MILLION for n in range(100))
    async with playing(endless) as transport:
        with pytest.raises(ProviderStreamError, match=f"longer than {LIMIT} bytes"):
            await parts_of(replay, ask("Rain?"), transport)
