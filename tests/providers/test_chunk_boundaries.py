"""Wherever the network cuts a stream, its parts are the same: each wire format, every byte."""

from collections.abc import Callable, Iterable
from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_wires import (
    anthropic_block,
    anthropic_end,
    gemini_call,
    gemini_chunk,
    message_start,
    ndjson,
    ollama_done,
    ollama_said,
    openai_call,
    openai_delta,
    responses_call,
    responses_end,
    responses_item,
    responses_said,
    sse,
)
from wingman.conversation import ToolUseBlock
from wingman.providers import Part, TextDelta
from wingman.providers.anthropic import AnthropicTranslator
from wingman.providers.gemini import GeminiTranslator
from wingman.providers.ollama import OllamaTranslator
from wingman.providers.openai import ChatTranslator, ResponsesTranslator
from wingman.providers.wire import CallIds, Decoder, Translator
from wingman.sse import Fault, LineDecoder, SSEDecoder

SAID = ("Regen, ☔ und ", "Wind: 🌬.")
ARGUMENTS = '{"city": "Zürich"}'


class CountedIds(CallIds):
    """Ids that are the same in each run of a test."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def unique(self, offered: str | None) -> str:
        self._count += 1
        return offered or f"call_{self._count}"


@attrs.frozen
class Format:
    """A wire format, and a stream of it: text and one call of `x`."""

    decoder: Callable[[], Decoder]
    translator: Callable[[], Translator]
    stream: bytes


REASONING = {"id": "rs_1", "type": "reasoning", "encrypted_content": "gA==", "summary": []}
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "x", "input": {}}

FORMATS = {
    "anthropic": Format(
        SSEDecoder,
        lambda: AnthropicTranslator("anthropic", CountedIds()),
        sse(
            message_start(input_tokens=1),
            *anthropic_block(
                0,
                {"type": "text", "text": ""},
                *({"type": "text_delta", "text": piece} for piece in SAID),
            ),
            *anthropic_block(1, TOOL, {"type": "input_json_delta", "partial_json": ARGUMENTS}),
            *anthropic_end("tool_use"),
        ).replace(b"\n", b"\r\n"),
    ),
    "responses": Format(
        SSEDecoder,
        lambda: ResponsesTranslator(CountedIds()),
        sse(
            *responses_item(0, REASONING),
            *responses_said(1, *SAID),
            *responses_call(2, "x", ARGUMENTS),
            responses_end(),
        ),
    ),
    "chat": Format(
        SSEDecoder,
        lambda: ChatTranslator("openai", CountedIds()),
        b": a comment\n\n"
        + sse(
            openai_delta(reasoning="Hm."),
            *(openai_delta(content=piece) for piece in SAID),
            openai_call(0, id="c", name="x", arguments=ARGUMENTS),
            openai_delta("tool_calls"),
            "[DONE]",
            named=False,
        ),
    ),
    "gemini": Format(
        SSEDecoder,
        lambda: GeminiTranslator(CountedIds(), ["x"]),
        sse(
            *(gemini_chunk({"text": piece}) for piece in SAID),
            gemini_chunk(gemini_call("x", {"city": "Zürich"}, thoughtSignature="s"), reason="STOP"),
        ).replace(b"\n", b"\r\n"),
    ),
    "ollama": Format(
        LineDecoder,
        lambda: OllamaTranslator(CountedIds()),
        ndjson(
            *(ollama_said(content=piece) for piece in SAID),
            ollama_said(tool_calls=[{"function": {"name": "x", "arguments": {"city": "Zürich"}}}]),
            ollama_done(),
        ),
    ),
}


def parts_of(format: Format, pieces: Iterable[bytes]) -> list[Part]:
    """As `exchange.converse` does it, without the network."""
    decoder, translator = format.decoder(), format.translator()
    parts: list[Part] = []
    for piece in [*pieces, b""]:
        for event in decoder.feed(piece) if piece else decoder.end():
            if not translator.finished:
                parts += translator.feed(event)
    return [*parts, *translator.end()]


def cut(data: bytes, *places: int) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a != b]


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_means_the_same_however_it_is_cut_in_two(name):
    format = FORMATS[name]
    whole = parts_of(format, [format.stream])
    assert "".join(part.text for part in whole if isinstance(part, TextDelta)) == "".join(SAID)
    assert [p.input for p in whole if isinstance(p, ToolUseBlock)] == [{"city": "Zürich"}]
    for place in range(1, len(format.stream)):
        assert parts_of(format, cut(format.stream, place)) == whole


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_means_the_same_byte_by_byte(name):
    format = FORMATS[name]
    pieces = cut(format.stream, *range(1, len(format.stream)))
    assert parts_of(format, pieces) == parts_of(format, [format.stream])


@pytest.mark.parametrize("name", FORMATS)
@given(places=st.lists(st.integers(1, 5000), max_size=20))
def test_a_stream_means_the_same_however_it_is_cut(name, places):
    format = FORMATS[name]
    places = {place % len(format.stream) for place in places}
    assert parts_of(format, cut(format.stream, *places)) == parts_of(format, [format.stream])


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_that_ends_early_at_any_byte_never_gives_a_call_that_was_not_made(name):
    """What is cut is a fault or is said to be one; it is never a call with other arguments."""
    format = FORMATS[name]
    whole = [part for part in parts_of(format, [format.stream]) if isinstance(part, ToolUseBlock)]
    for end in range(len(format.stream)):
        try:
            parts = parts_of(format, [format.stream[:end]])
        except Fault:
            continue
        assert [part for part in parts if isinstance(part, ToolUseBlock)] == whole
