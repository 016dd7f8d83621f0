"""Anthropic's Messages API: a request as its JSON, its events as parts."""

import json

import pytest

from provider_wires import anthropic_block, anthropic_end, message_start, sse
from wingman.conversation import (
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from wingman.providers import Finished, TextDelta, ThinkingDelta, UsageUpdate
from wingman.providers.anthropic import AnthropicTranslator, anthropic_body
from wingman.providers.wire import CallIds
from wingman.sse import Fault, SSEDecoder

CACHED = {"cache_control": {"type": "ephemeral"}}


def parts_of(*events: object, data: bytes | None = None) -> list:
    translator = AnthropicTranslator("anthropic", CallIds())
    events = SSEDecoder().feed(sse(*events) if data is None else data)
    parts = [part for event in events for part in translator.feed(event)]
    return [*parts, *translator.end()]


def tool(partial_json: str) -> dict:
    return {"type": "input_json_delta", "partial_json": partial_json}


# --- events → parts -------------------------------------------------------------------------------


def test_thinking_comes_in_pieces_and_then_whole_with_its_signature():
    deltas = [
        {"type": "thinking_delta", "thinking": "Hm"},
        {"type": "thinking_delta", "thinking": "m."},
        {"type": "signature_delta", "signature": "sig="},
    ]
    redacted = {"type": "redacted_thinking", "data": "opaque"}
    parts = parts_of(
        message_start(input_tokens=1),
        *anthropic_block(0, {"type": "thinking", "thinking": "", "signature": ""}, *deltas),
        *anthropic_block(1, redacted),
        *anthropic_end(),
    )
    assert [part for part in parts if not isinstance(part, UsageUpdate)] == [
        ThinkingDelta("Hm"),
        ThinkingDelta("m."),
        ThinkingBlock("Hmm.", "sig=", "anthropic"),
        RedactedThinkingBlock("opaque", "anthropic"),
        Finished("end_turn"),
    ]


def test_usage_is_cumulative_and_input_counts_the_cache():
    start = message_start(
        input_tokens=10,
        cache_creation_input_tokens=200,
        cache_read_input_tokens=3000,
        output_tokens=1,
    )
    updates = [p.usage for p in parts_of(start, *anthropic_end()) if isinstance(p, UsageUpdate)]
    assert updates == [Usage(3210, 1, 3000, 200), Usage(3210, 5, 3000, 200)]


def test_counts_that_come_again_at_the_end_replace_those_of_the_start():
    end = {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 9, "output_tokens": 4}}
    updates = parts_of(message_start(input_tokens=0), end, {"type": "message_stop"})
    assert updates[-2] == UsageUpdate(Usage(9, 4))


@pytest.mark.parametrize(
    ("pieces", "input", "malformed"),
    [
        (['{"a"', ": 1}"], {"a": 1}, None),
        ([], {}, None),
        (["", ""], {}, None),
        (['{"a": '], {}, '{"a": '),
        (["[1, 2]"], {}, "[1, 2]"),
        (['"text"'], {}, '"text"'),
        (["null"], {}, "null"),
        (["[" * 5000], {}, "[" * 5000),
    ],
)
def test_input_that_is_no_object_is_malformed_and_never_taken_for_an_empty_one(
    pieces, input, malformed
):
    block = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}
    deltas = [tool(piece) for piece in pieces]
    parts = parts_of(*anthropic_block(0, block, *deltas), *anthropic_end("tool_use"))
    assert parts[0] == ToolUseBlock("toolu_1", "bash", input, malformed)


def test_input_may_come_whole_at_the_start():
    block = {"type": "tool_use", "id": "t", "name": "bash", "input": {"a": 1}}
    parts = parts_of(*anthropic_block(0, block), *anthropic_end("tool_use"))
    assert parts[0] == ToolUseBlock("t", "bash", {"a": 1})


@pytest.mark.parametrize(
    ("reason", "finished"),
    [
        ("end_turn", "end_turn"),
        ("stop_sequence", "end_turn"),
        ("pause_turn", "end_turn"),
        ("tool_use", "tool_use"),
        ("max_tokens", "max_tokens"),
        ("model_context_window_exceeded", "max_tokens"),
        ("refusal", "refusal"),
    ],
)
def test_why_it_ended(reason, finished):
    assert parts_of(*anthropic_end(reason))[-1] == Finished(finished)


def test_what_is_unknown_is_passed_over():
    parts = parts_of(
        {"type": "ping", "index": "not a number"},
        {"type": "brand_new", "delta": "of another type"},
        message_start(input_tokens=1) | {"new": 1},
        *anthropic_block(
            0,
            {"type": "web_search_tool_result", "content": [{"type": "x"}]},
            {"type": "citations_delta", "citation": {"type": "x"}},
        ),
        *anthropic_block(1, {"type": "text", "text": "", "citations": None}),
        *anthropic_end(),
    )
    assert parts[-1] == Finished("end_turn")
    assert not any(isinstance(part, TextDelta) for part in parts)


def test_events_without_a_name_are_known_by_their_data():
    unnamed = sse(*anthropic_end(), named=False)
    assert parts_of(data=unnamed)[-1] == Finished("end_turn")


def test_an_error_in_the_stream_is_one():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(Fault, match="Overloaded") as caught:
        parts_of(message_start(), error)
    assert caught.value.error_type == "overloaded_error"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [message_start()],
        anthropic_end()[:1],
        [*anthropic_block(0, {"type": "text"})[:1], *anthropic_end()],
        [{"type": "content_block_delta", "index": 3, "delta": {"text": "x"}}, *anthropic_end()],
        [{"type": "message_start", "message": "x"}, *anthropic_end()],
    ],
)
def test_a_stream_that_is_not_whole_is_broken(events):
    with pytest.raises(Fault):
        parts_of(*events)


def test_an_event_that_is_not_json_is_a_fault():
    with pytest.raises(Fault, match="does not know"):
        parts_of(data=b"event: message_stop\ndata: {nope\n\n")


# --- request → JSON -------------------------------------------------------------------------------


def test_the_simplest_body(ask):
    body = anthropic_body(ask("Rain?", tools=()), "claude")
    assert body == {
        "model": "claude",
        "max_tokens": 8192,
        "stream": True,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Rain?", **CACHED}]}],
    }


def test_what_stays_the_same_is_marked_for_the_cache_at_most_four_times(ask):
    messages = [Message.user("a"), Message("assistant", (TextBlock("b"),)), Message.user("c")]
    body = anthropic_body(ask(messages, system="Be brief."), "claude", 100, 0.5)
    assert body["system"] == [{"type": "text", "text": "Be brief.", **CACHED}]
    assert body["tools"][-1]["cache_control"] == CACHED["cache_control"]
    assert body["messages"][-1]["content"][-1]["cache_control"] == CACHED["cache_control"]
    assert json.dumps(body).count("ephemeral") == 3
    assert (body["max_tokens"], body["temperature"]) == (100, 0.5)


def test_asking_changes_nothing_of_what_was_asked(ask):
    request = ask("Rain?")
    assert anthropic_body(request, "m") == anthropic_body(request, "m")
    assert "cache_control" not in request.tools[-1].input_schema


def test_thinking_goes_back_unchanged_and_only_to_where_it_came_from(ask):
    said = Message(
        "assistant",
        (
            ThinkingBlock("mine", "sig", "anthropic"),
            RedactedThinkingBlock("data", "anthropic"),
            ThinkingBlock("theirs", "sig", "openai"),
            RedactedThinkingBlock("theirs", "other"),
            ThinkingBlock("unsigned", None, "anthropic"),
            TextBlock("b"),
        ),
    )
    body = anthropic_body(ask([Message.user("a"), said, Message.user("c")]), "m")
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "sig"},
        {"type": "redacted_thinking", "data": "data"},
        {"type": "text", "text": "b"},
    ]


def test_what_the_api_refuses_is_not_sent(ask):
    messages = [
        Message.user("a"),
        Message("assistant", (TextBlock(""),), "cancelled"),
        Message.user("b"),
        Message("assistant", (ThinkingBlock("cut", "sig", "anthropic"),), "cancelled"),
        Message.user("  "),
        Message("assistant", (TextBlock(" \n"), TextBlock("c"))),
        Message.user(""),
    ]
    turns = anthropic_body(ask(messages), "m")["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert [block["text"] for block in turns[0]["content"]] == ["a", "b", "(empty message)"]
    assert turns[1]["content"] == [{"type": "text", "text": "c"}]
    assert turns[2]["content"][0]["text"] == "(empty message)"


def test_calls_and_results_go_back_as_they_were_with_ids_the_api_accepts(ask):
    messages = [
        Message.user("a"),
        Message(
            "assistant",
            (ToolUseBlock("call:1", "x", {"a": 1}), ToolUseBlock("t2", "y", {}, malformed="{")),
        ),
        Message("user", (ToolResultBlock("call:1", "", False), ToolResultBlock("t2", "no", True))),
    ]
    turns = anthropic_body(ask(messages), "m")["messages"]
    assert turns[1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "x", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "y", "input": {}},
    ]
    error = {"type": "tool_result", "tool_use_id": "t2", "content": "no", "is_error": True}
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": ""},
        error | CACHED,
    ]


def test_an_output_schema_goes_in_its_native_form_with_every_object_closed(ask):
    inner = {"type": "object", "properties": {"b": {"type": "string"}}}
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": inner}}}
    body = anthropic_body(ask(output_schema=schema), "m")
    sent = body["output_config"]["format"]
    assert sent["type"] == "json_schema"
    assert sent["schema"]["additionalProperties"] is False
    assert sent["schema"]["properties"]["a"]["items"]["additionalProperties"] is False
    assert "additionalProperties" not in schema
