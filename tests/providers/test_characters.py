"""Characters that are split over reads, deltas or lines come out whole, and crash nothing."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_wires import sse
from wingman.conversation import TextBlock, ThinkingBlock, ToolUseBlock
from wingman.providers import TextDelta, ThinkingDelta
from wingman.providers.anthropic import AnthropicTranslator
from wingman.providers.gemini import GeminiTranslator
from wingman.providers.ollama import OllamaTranslator
from wingman.providers.openai import ChatTranslator, ResponsesTranslator
from wingman.providers.wire import CallIds, Characters, whole
from wingman.sse import Fault, LineDecoder, SSEDecoder

HALVES = ["\ud83d", "\ude00"]


# --- one text -------------------------------------------------------------------------------------


def fed(pieces: Sequence[str]) -> str:
    characters = Characters()
    return "".join([*map(characters.feed, pieces), characters.end()])


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (HALVES, "😀"),
        (["a\ud83d", "\ude00b"], "a😀b"),
        (["\ud83d", "", "\ude00"], "😀"),
        (["\ud83d\ud83d", "\ude00"], "\ufffd😀"),
        (["\ud83d", "x"], "\ufffdx"),
        (["\ud83d"], "\ufffd"),
        (["\ude00!"], "\ufffd!"),
        (["\ude00", "\ud83d"], "\ufffd\ufffd"),
        (["\ud83d", "\udc80"], "\U0001f480"),  # whose second half might be a byte, too
        (["\udce2\udc98", "\udc94"], "☔"),
        (["\udce2", "\udc98", "\udc94x"], "☔x"),
        (["a\udcf0\udc9f", "\udc98\udc80"], "a😀"),
        (["\udce2\udc98", "x"], "\ufffdx"),
        (["!\udce2"], "!\ufffd"),
        (["\udcff", "y"], "\ufffdy"),
        (["é☔😀"], "é☔😀"),
        ([], ""),
    ],
)
def test_halves_become_whole_and_what_never_does_is_replaced(pieces, text):
    assert fed(pieces) == text
    assert fed(pieces).encode().decode() == text


@given(st.text(), st.data())
def test_a_text_cut_by_utf_16_units_or_by_bytes_comes_out_as_it_was(text, data):
    units = text.encode("utf-16-be", "surrogatepass")
    as_units = [
        units[i : i + 2].decode("utf-16-be", "surrogatepass") for i in range(0, len(units), 2)
    ]
    as_bytes = [bytes([byte]).decode("utf-8", "surrogateescape") for byte in text.encode()]
    for atoms in (as_units, as_bytes):
        places = data.draw(st.lists(st.integers(0, max(0, len(atoms))), max_size=5))
        edges = [0, *sorted(places), len(atoms)]
        pieces = ["".join(atoms[a:b]) for a, b in pairwise(edges)]
        assert fed(pieces) == text


@given(st.lists(st.text(st.characters(categories=["Cs", "Lu"]), max_size=4), max_size=6))
def test_whatever_comes_what_goes_out_can_be_encoded(pieces):
    characters = Characters()
    out = [*map(characters.feed, pieces), characters.end()]
    for piece in out:
        piece.encode()
    assert fed(pieces) == whole("".join(pieces)) or "\ufffd" in "".join(out)


# --- every wire -----------------------------------------------------------------------------------


def escaped(*events: dict, named: bool = True) -> bytes:
    """Events with all that is not ASCII as `\\u` escapes, halves of characters too."""
    return sse(*(json.dumps(event) for event in events), named=named)


def raw(*events: dict, halves: str = "surrogateescape") -> bytes:
    """Events whose texts have bytes as they are, half of a character as well."""
    lines = (json.dumps(event, ensure_ascii=False).encode("utf-8", halves) for event in events)
    return b"".join(b"data: " + line + b"\n\n" for line in lines)


def passed(*events: dict) -> bytes:
    """Events whose halves of characters stand in UTF-8 as if they were characters."""
    return raw(*events, halves="surrogatepass")


def read(translator, data: bytes) -> list:
    decoder = LineDecoder() if isinstance(translator, OllamaTranslator) else SSEDecoder()
    parts = []
    for byte in data:  # and every character is split over reads
        for event in decoder.feed(bytes([byte])):
            parts += translator.feed(event)
    for event in decoder.end():
        parts += translator.feed(event)
    return [*parts, *translator.end()]


def said(parts: list) -> tuple[str, str]:
    text = "".join(part.text for part in parts if isinstance(part, TextDelta))
    return text, "".join(part.text for part in parts if isinstance(part, ThinkingDelta))


def chat(thoughts, texts):
    events = [
        *({"choices": [{"delta": {"reasoning": piece}}]} for piece in thoughts),
        *({"choices": [{"delta": {"content": piece}}]} for piece in texts),
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    ]
    return ChatTranslator("o", CallIds()), events


def anthropic(thoughts, texts):
    def delta(index, kind, key, piece):
        return {
            "type": "content_block_delta",
            "index": index,
            "delta": {"type": kind, key: piece},
        }

    events = [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}},
        *(delta(0, "thinking_delta", "thinking", piece) for piece in thoughts),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text"}},
        *(delta(1, "text_delta", "text", piece) for piece in texts),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    return AnthropicTranslator("a", CallIds()), events


def responses(thoughts, texts):
    reasoning, message = {"type": "reasoning", "id": "r"}, {"type": "message", "id": "m"}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": reasoning},
        *({"type": "response.reasoning_text.delta", "delta": piece} for piece in thoughts),
        {"type": "response.output_item.done", "output_index": 0, "item": reasoning},
        *(
            {"type": "response.output_text.delta", "output_index": 1, "delta": piece}
            for piece in texts
        ),
        {"type": "response.output_item.done", "output_index": 1, "item": message},
        {"type": "response.completed", "response": {}},
    ]
    return ResponsesTranslator(CallIds()), events


def gemini(thoughts, texts):
    parts = [*({"text": t, "thought": True} for t in thoughts), *({"text": t} for t in texts)]
    events = [{"candidates": [{"content": {"parts": [part]}}]} for part in parts]
    return GeminiTranslator(CallIds()), [*events, {"candidates": [{"finishReason": "STOP"}]}]


def ollama(thoughts, texts):
    lines = [*({"thinking": t} for t in thoughts), *({"content": t} for t in texts)]
    done = {"done": True, "done_reason": "stop"}
    return OllamaTranslator(CallIds()), [*({"message": line} for line in lines), done]


WIRES = [chat, anthropic, responses, gemini, ollama]
TEXTS = [
    *(
        (how, pieces, text)
        for how in (escaped, passed)
        for pieces, text in (
            (HALVES, "😀"),
            (["It ", "\ud83d", "\ude00 rains"], "It 😀 rains"),
            (["\ud83d"], "\ufffd"),
            (["a\ude00", "b"], "a\ufffdb"),
            (["☔", "é"], "☔é"),
        )
    ),
    (raw, ["\udce2\udc98", "\udc94"], "☔"),
    (raw, ["It \udcf0", "\udc9f", "\udc98", "\udc80 rains"], "It 😀 rains"),
    (raw, ["\udce2", "x"], "\ufffdx"),
]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("how", "pieces", "text"), TEXTS)
def test_text_and_thinking_come_out_whole(wire, how, pieces, text):
    translator, events = wire(pieces, pieces)
    if isinstance(translator, OllamaTranslator):
        data = how(*events).replace(b"data: ", b"").replace(b"\n\n", b"\n")
    else:
        data = how(*events)
    parts = read(translator, data)
    assert said(parts) == (text, text)
    for part in parts:
        if isinstance(part, ThinkingBlock):
            assert part.thinking == text
        if isinstance(part, TextBlock):
            assert part.text == text


def test_arguments_come_out_whole():
    pieces = ['{"a": "\ud83d', "\ude00\\ud83d", '\\ude00\\ud83d", "b": "\udce2', '\udc98\udc94"}']
    expected = {"a": "😀😀\ufffd", "b": "☔"}
    events = [
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "function": function}]}}]}
        for function in ({"name": "x", "arguments": piece} for piece in pieces)
    ]
    data = sse(*map(json.dumps, events[:3]), named=False)
    # The halves of `☔` are bytes, which escapes cannot say.
    data = data.replace(rb"\udce2", b"\xe2")
    data += raw(events[3])
    data += sse({"choices": [{"finish_reason": "tool_calls"}]}, named=False)
    (call, _) = read(ChatTranslator("o", CallIds()), data)
    assert call == ToolUseBlock("c", "x", expected)


def test_arguments_that_come_as_an_object_have_no_halves():
    call = {"function": {"name": "x\ud83d", "arguments": {"a\ude00": ["\ud83d"]}}, "id": "\ud83d"}
    lines = [{"message": {"tool_calls": [call]}}, {"done": True, "done_reason": "stop"}]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    block = read(OllamaTranslator(CallIds()), data)[0]
    assert (block.name, block.input, block.id) == ("x\ufffd", {"a\ufffd": ["\ufffd"]}, "\ufffd")


def test_what_a_server_says_of_an_error_has_no_halves():
    with pytest.raises(Fault) as caught:
        read(ChatTranslator("o", CallIds()), escaped({"error": {"message": "No \ud83d."}}))
    caught.value.message.encode()


def test_signed_text_is_whole_by_itself():
    parts = [{"text": "\ud83d", "thoughtSignature": "s\ud83d"}, {"text": "\ude00"}]
    events = [{"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}]
    block = next(
        part
        for part in read(GeminiTranslator(CallIds()), escaped(*events))
        if isinstance(part, TextBlock)
    )
    assert (block.text, block.signature) == ("\ufffd", "s\ufffd")
