"""One odd optional field does not cost an answer: each wire format, each field."""

import json
from typing import Any

import pytest

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
    responses_said,
    sse,
)
from wingman.conversation import ToolUseBlock, Usage
from wingman.providers import Finished, TextDelta, UsageUpdate
from wingman.providers.anthropic import AnthropicTranslator
from wingman.providers.gemini import GeminiTranslator
from wingman.providers.ollama import OllamaTranslator
from wingman.providers.openai import ChatTranslator, ResponsesTranslator
from wingman.providers.wire import CallIds
from wingman.sse import Fault, LineDecoder, SSEDecoder

ODD: list[Any] = [None, "many", "", -1, 1e300, float("nan"), True, [], {}, [1], {"a": 1}, "9" * 400]
"""What makes no sense as a count, nor as an object of counts."""


def read(translator, data: bytes) -> list:
    decoder = LineDecoder() if isinstance(translator, OllamaTranslator) else SSEDecoder()
    parts = []
    for event in [*decoder.feed(data), *decoder.end()]:
        if not translator.finished:
            parts += translator.feed(event)
    return [*parts, *translator.end()]


def chat(*events: object) -> list:
    return read(ChatTranslator("openai", CallIds()), sse(*events, named=False))


def anthropic(*events: object) -> list:
    return read(AnthropicTranslator("anthropic", CallIds()), sse(*events))


def responses(*events: object) -> list:
    return read(ResponsesTranslator(CallIds()), sse(*events))


def gemini(*events: object) -> list:
    return read(GeminiTranslator(CallIds()), sse(*events))


def ollama(*lines: object) -> list:
    return read(OllamaTranslator(CallIds()), ndjson(*lines))


def said(parts: list) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


def used(parts: list) -> Usage | None:
    return next((p.usage for p in reversed(parts) if isinstance(p, UsageUpdate)), None)


def calls(parts: list) -> list[tuple]:
    return [(p.name, p.input, p.malformed) for p in parts if isinstance(p, ToolUseBlock)]


# --- counts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [10, 10.0, "10", "10.0", 10.4])
def test_a_count_is_read_as_what_it_was_meant_to_be(count):
    usage = {"prompt_tokens": count, "completion_tokens": count}
    assert used(chat(openai_delta("stop", content="a"), {"choices": [], "usage": usage})) == Usage(
        10, 10
    )
    start = message_start(input_tokens=count, output_tokens=count)
    assert used(anthropic(start, *anthropic_end(output_tokens=count))) == Usage(10, 10)
    end = responses_end(usage={"input_tokens": count, "output_tokens": count})
    assert used(responses(end)) == Usage(10, 10)
    metadata = {"promptTokenCount": count, "candidatesTokenCount": count}
    assert used(gemini(gemini_chunk(reason="STOP") | {"usageMetadata": metadata})) == Usage(10, 10)
    assert used(ollama(ollama_done() | {"prompt_eval_count": count, "eval_count": count})) == Usage(
        10, 10
    )


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_count_that_makes_no_sense_is_dropped_and_the_answer_is_whole(odd):
    usage = {"prompt_tokens": odd, "completion_tokens": 5, "prompt_tokens_details": odd}
    for given in (usage, odd):
        parts = chat(openai_delta(content="It"), openai_delta("stop"), {"usage": given}, "[DONE]")
        assert (said(parts), parts[-1]) == ("It", Finished("end_turn"))
        details = {"cached_tokens": odd}
        parts = chat(
            openai_delta("stop", content="It"), {"usage": {"prompt_tokens_details": details}}
        )
        assert said(parts) == "It"
        parts = responses(*responses_said(0, "It"), responses_end(usage=given))
        assert (said(parts), parts[-1]) == ("It", Finished("end_turn"))
        parts = gemini(gemini_chunk({"text": "It"}, reason="STOP") | {"usageMetadata": given})
        assert (said(parts), parts[-1]) == ("It", Finished("end_turn"))
    block = anthropic_block(0, {"type": "text", "text": "It"})
    start = {"type": "message_start", "message": {"usage": odd}}
    end = anthropic_end()
    end[0] |= {"usage": {"output_tokens": odd, "input_tokens": 2}}
    parts = anthropic(start, *block, *end)
    assert (said(parts), used(parts).input_tokens) == ("It", 2)
    counts = {"prompt_eval_count": odd, "eval_count": odd, "total_duration": odd}
    parts = ollama(ollama_said(content="It"), ollama_done() | counts)
    assert (said(parts), parts[-1]) == ("It", Finished("end_turn"))


# --- places, names, nulls -------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["0", 0.0, "0.0"])
def test_a_place_may_be_a_text_or_a_float(index):
    pieces = ['{"n"', ": 1}"]
    assert calls(
        chat(
            openai_call(index, id="a", name="x", arguments=pieces[0]),
            openai_call(index, arguments=pieces[1]),
            openai_delta("tool_calls"),
        )
    ) == [("x", {"n": 1}, None)]
    block = {"type": "tool_use", "id": "t", "name": "x", "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    events = [event | {"index": index} for event in anthropic_block(0, block, *deltas)]
    assert calls(anthropic(*events, *anthropic_end("tool_use"))) == [("x", {"n": 1}, None)]
    events = [event | {"output_index": index} for event in responses_call(0, "x", '{"n": 1}')]
    assert calls(responses(*events, responses_end())) == [("x", {"n": 1}, None)]


def test_a_null_may_stand_wherever_a_text_may_be_empty():
    nothing = dict.fromkeys(("content", "refusal", "reasoning", "tool_calls", "function_call"))
    parts = chat(openai_delta(**nothing), openai_delta("stop", content="It", role=None))
    assert said(parts) == "It"
    empty = {"type": "text", "text": None, "citations": None}
    delta = {"type": "text_delta", "text": "It", "thinking": None, "partial_json": None}
    assert said(anthropic(*anthropic_block(0, empty, delta), *anthropic_end())) == "It"
    part = {"text": None, "thought": None, "thoughtSignature": None, "functionCall": None}
    assert said(gemini(gemini_chunk(part, {"text": "It"}, reason="STOP"))) == "It"
    line = ollama_said(content=None, thinking=None, tool_calls=None)
    assert said(ollama(line, ollama_said(content="It"), ollama_done())) == "It"
    delta = {"type": "response.output_text.delta", "delta": None, "output_index": 0}
    assert said(responses(delta, *responses_said(0, "It"), responses_end())) == "It"


@pytest.mark.parametrize("id", [5, "", None, 5.5, [], {"a": 1}])
def test_an_id_that_is_no_text_is_replaced_or_read(id):
    whole = {"name": "x", "arguments": "{}"}
    for parts in (
        chat(openai_call(0, id=id, **whole), openai_delta("tool_calls")),
        gemini(gemini_chunk({"functionCall": {"name": "x", "id": id}}, reason="STOP")),
        ollama(ollama_said(tool_calls=[{"id": id, "function": whole}]), ollama_done()),
        anthropic(
            *anthropic_block(0, {"type": "tool_use", "id": id, "name": "x"}),
            *anthropic_end("tool_use"),
        ),
    ):
        (call,) = (part for part in parts if isinstance(part, ToolUseBlock))
        assert (call.name, call.input) == ("x", {})
        assert call.id


def test_one_object_may_stand_for_a_list_of_one():
    delta = {"index": 0, "id": "a", "function": {"name": "x", "arguments": "{}"}}
    assert calls(chat(openai_delta(tool_calls=delta), openai_delta("tool_calls"))) == [
        ("x", {}, None)
    ]
    call = {"function": {"name": "x", "arguments": {}}}
    assert calls(ollama(ollama_said(tool_calls=call), ollama_done())) == [("x", {}, None)]
    content = {"content": {"parts": {"text": "It"}}, "finishReason": "STOP"}
    assert said(gemini({"candidates": content})) == "It"


@pytest.mark.parametrize(
    "noise",
    [
        b"data: ping\n\n",
        b"data: null\n\n",
        b"data: true\n\n",
        b"data: 7\n\n",
        b'data: "keep-alive"\n\n',
        b"data:\n\n",
        b"data: \n\n",
        b"data: []\n\n",
        b"data: {}\n\n",
        b"data: [null]\n\n",
        b": ping\n\n",
        b"event: ping\n\n",
        b"event: ping\ndata: {}\n\n",
        b"event: ping\ndata: pong\n\n",
        b'event: later\ndata: {"type": "later", "index": "x", "delta": 5}\n\n',
        b'data: {"type": "later"}\n\n',
        b"id: 5\nretry: 10\n\n",
        b"\n\n\r\n",
    ],
)
def test_what_says_nothing_is_passed_over_in_a_stream_of_events(noise):
    streams = [
        (ChatTranslator("o", CallIds()), [openai_delta(content="It"), openai_delta("stop")]),
        (ResponsesTranslator(CallIds()), [*responses_said(0, "It"), responses_end()]),
        (GeminiTranslator(CallIds()), [gemini_chunk({"text": "It"}), gemini_chunk(reason="STOP")]),
        (
            AnthropicTranslator("anthropic", CallIds()),
            [*anthropic_block(0, {"type": "text", "text": "It"}), *anthropic_end()],
        ),
    ]
    for translator, events in streams:
        data = noise + b"".join(
            sse(event, named=not isinstance(translator, ChatTranslator)) + noise for event in events
        )
        parts = read(translator, data)
        assert (said(parts), parts[-1]) == ("It", Finished("end_turn"))


@pytest.mark.parametrize("noise", ["", " ", "null", "ping", "true", "[]", "{}", '{"later": 1}'])
def test_what_says_nothing_is_passed_over_in_a_stream_of_lines(noise):
    lines = [json.dumps(ollama_said(content="It")), noise, json.dumps(ollama_done())]
    parts = read(OllamaTranslator(CallIds()), "\n".join(lines).encode())
    assert (said(parts), parts[-1]) == ("It", Finished("end_turn"))


def test_numbers_that_are_none_of_jsons_are_read_all_the_same():
    chunk = json.dumps(openai_delta("stop", content="It"))[:-1]
    for odd in ("NaN", "Infinity", "1" * 500):
        assert said(chat(f'{chunk}, "logprobs": {odd}}}')) == "It"


def test_unknown_blocks_and_parts_are_passed_over():
    parts = anthropic(
        *anthropic_block(0, {"type": "later", "text": 5} | {"text": None}, {"type": "later"}),
        *anthropic_block(1, {"type": "text", "text": "It"}),
        *anthropic_end(),
    )
    assert said(parts) == "It"
    assert said(gemini(gemini_chunk({"later": {}}, {"text": "It"}, reason="STOP"))) == "It"
    assert said(chat(openai_delta("stop", content=[{"type": "later"}, "I", {"text": "t"}]))) == "It"


# --- what is essential ----------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [5, {"a": 1}, True])
def test_a_text_that_is_none_is_never_dropped(odd):
    block = anthropic_block(0, {"type": "text"}, {"type": "text_delta", "text": odd})
    for broken in (
        lambda: chat(openai_delta("stop", content=odd)),
        lambda: ollama(ollama_said(content=odd), ollama_done()),
        lambda: gemini(gemini_chunk({"text": odd}, reason="STOP")),
        lambda: responses({"type": "response.output_text.delta", "delta": odd}, responses_end()),
        lambda: anthropic(*block, *anthropic_end()),
    ):
        with pytest.raises(Fault, match="does not know"):
            broken()


@pytest.mark.parametrize("odd", [5, [1], True])
def test_arguments_that_make_no_sense_are_malformed_and_never_dropped(odd):
    found = calls(chat(openai_call(0, id="a", name="x", arguments=odd), openai_delta("stop")))
    found += calls(gemini(gemini_chunk(gemini_call("x", odd), reason="STOP")))
    call = {"function": {"name": "x", "arguments": odd}}
    found += calls(ollama(ollama_said(tool_calls=[call]), ollama_done()))
    assert [input for _, input, _ in found] == [{}] * 3
    assert all(malformed for _, _, malformed in found)


@pytest.mark.parametrize("data", [b'data: {"choices": [{\n\n', b"data: {]\n\n", b"data: [{\n\n"])
def test_json_that_breaks_off_is_a_fault(data):
    for translator in (
        ChatTranslator("o", CallIds()),
        AnthropicTranslator("a", CallIds()),
        ResponsesTranslator(CallIds()),
        GeminiTranslator(CallIds()),
    ):
        with pytest.raises(Fault, match="does not know"):
            read(translator, data)


@pytest.mark.parametrize("odd", ["x", 5])
def test_a_list_that_is_none_is_a_fault(odd):
    for broken in (
        lambda: chat({"choices": odd}),
        lambda: chat(openai_delta(tool_calls=odd)),
        lambda: gemini({"candidates": odd}),
        lambda: ollama(ollama_said(tool_calls=odd)),
    ):
        with pytest.raises(Fault):
            broken()
