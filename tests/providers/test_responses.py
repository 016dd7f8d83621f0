"""OpenAI's Responses API: a request as its JSON, its events as parts."""

import json

import httpx
import pytest

from provider_wires import (
    RESPONSES_START,
    openai_text,
    responses_call,
    responses_end,
    responses_item,
    responses_said,
    responses_text,
    sse,
)
from wingman.conversation import (
    ImageBlock,
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from wingman.providers import (
    Finished,
    OpenAI,
    TextDelta,
    ThinkingDelta,
    Transport,
    UsageUpdate,
)
from wingman.providers.openai import ResponsesTranslator, responses_body
from wingman.providers.wire import CallIds
from wingman.sse import Fault, SSEDecoder

REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Hmm."}, {"type": "summary_text", "text": "So."}],
    "encrypted_content": "gAAAA==",
    "content": None,
}
USED = UsageUpdate(Usage(12, 5, cache_read_tokens=5, reasoning_tokens=2))


def parts_of(*events: object, named: bool = True) -> list:
    translator = ResponsesTranslator(CallIds())
    parts = [
        part
        for event in SSEDecoder().feed(sse(*events, named=named))
        for part in translator.feed(event)
    ]
    return [*parts, *translator.end()]


def summary(index: int, *pieces: str) -> list[dict]:
    kind = "response.reasoning_summary_text.delta"
    return [
        {"type": "response.reasoning_summary_part.added", "summary_index": index, "part": {}},
        *({"type": kind, "summary_index": index, "delta": piece} for piece in pieces),
        {"type": "response.reasoning_summary_text.done", "summary_index": index, "text": "x"},
    ]


# --- events → parts -------------------------------------------------------------------------------


def test_text_comes_in_pieces_and_the_end_brings_the_usage():
    assert parts_of(RESPONSES_START, *responses_said(0, "It ", "rains."), responses_end()) == [
        TextDelta("It "),
        TextDelta("rains."),
        USED,
        Finished("end_turn"),
    ]


def test_encrypted_reasoning_is_kept_as_the_item_it_is_and_its_summaries_are_thinking():
    deltas = [*summary(0, "Hm", "m."), *summary(1, "So.")]
    parts = parts_of(
        RESPONSES_START,
        *responses_item(0, REASONING, *deltas),
        *responses_said(1, "Yes."),
        responses_end(),
    )
    pieces = ["Hm", "m.", "\n\n", "So."]
    assert parts[:4] == [ThinkingDelta(piece) for piece in pieces]
    assert isinstance(parts[4], RedactedThinkingBlock)
    assert json.loads(parts[4].data) == REASONING
    assert parts[4].provider == "openai"
    assert parts[5:] == [TextDelta("Yes."), USED, Finished("end_turn")]


def test_reasoning_that_is_not_encrypted_is_kept_to_be_read():
    plain = {"id": "rs_1", "type": "reasoning", "summary": []}
    piece = {"type": "response.reasoning_text.delta", "delta": "Hmm."}
    parts = parts_of(*responses_item(0, plain, piece), *responses_said(1, "Yes."), responses_end())
    assert parts[:3] == [
        ThinkingDelta("Hmm."),
        ThinkingBlock("Hmm.", provider="openai"),
        TextDelta("Yes."),
    ]


def test_a_call_is_known_by_its_call_id_and_not_by_its_items_id():
    parts = parts_of(
        RESPONSES_START,
        *responses_call(0, "forecast", '{"city": "Bern"}'),
        *responses_call(1, "forecast", '{"city": "Basel"}'),
        responses_end(),
    )
    assert parts == [
        ToolUseBlock("call_0", "forecast", {"city": "Bern"}),
        ToolUseBlock("call_1", "forecast", {"city": "Basel"}),
        USED,
        Finished("tool_use"),
    ]


def test_calls_whose_pieces_interleave_are_told_apart_by_index():
    one, two = responses_call(0, "x", '{"n": 1}'), responses_call(1, "y", '{"m": 2}')
    events = [event for pair in zip(one, two, strict=True) for event in pair]
    calls = [p for p in parts_of(*events, responses_end()) if isinstance(p, ToolUseBlock)]
    assert [(call.name, call.input) for call in calls] == [("x", {"n": 1}), ("y", {"m": 2})]


def test_arguments_that_the_whole_item_lacks_are_those_that_came_in_pieces():
    events = responses_call(0, "x", '{"n": 1}')
    events[-1]["item"] = {"type": "function_call", "call_id": "c", "name": "x"}
    assert parts_of(*events, responses_end())[0] == ToolUseBlock("c", "x", {"n": 1})


@pytest.mark.parametrize(
    ("arguments", "input", "malformed"),
    [("", {}, None), ('{"n": ', {}, '{"n": '), ("[1]", {}, "[1]"), ("null", {}, "null")],
)
def test_arguments_may_be_empty_or_malformed(arguments, input, malformed):
    parts = parts_of(*responses_call(0, "x", arguments), responses_end())
    assert parts[0] == ToolUseBlock("call_0", "x", input, malformed)


@pytest.mark.parametrize("arguments", ["", '{"n": '])
def test_a_call_that_was_cut_off_is_malformed_even_if_it_is_empty(arguments):
    events = responses_call(0, "x", arguments, status="incomplete")
    end = responses_end("incomplete", incomplete_details={"reason": "max_output_tokens"})
    parts = parts_of(*events, end)
    assert parts[0] == ToolUseBlock("call_0", "x", {}, malformed=arguments)
    assert parts[-1] == Finished("max_tokens")


def test_a_call_that_is_cut_off_before_it_is_whole_is_left_out():
    events = responses_call(0, "x", '{"n": 1}')[:-1]
    end = responses_end("incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert parts_of(*events, end) == [USED, Finished("max_tokens")]


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"reason": "max_output_tokens"}, "max_tokens"),
        ({"reason": "content_filter"}, "refusal"),
        ({"reason": "token_limit"}, "max_tokens"),
        (None, "max_tokens"),
    ],
)
def test_why_it_is_incomplete(details, reason):
    end = responses_end("incomplete", incomplete_details=details)
    assert parts_of(*responses_said(0, "It"), end)[-1] == Finished(reason)


def test_a_refusal_is_text_and_a_reason():
    refused = {"id": "msg_1", "type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    deltas = [
        {"type": "response.refusal.delta", "delta": "No."},
        {"type": "response.refusal.done", "refusal": "No."},
    ]
    parts = parts_of(*responses_item(0, refused, *deltas), responses_end())
    assert parts == [TextDelta("No."), USED, Finished("refusal")]


def test_an_empty_response_is_one():
    assert parts_of(RESPONSES_START, responses_end()) == [USED, Finished("end_turn")]


def test_usage_may_lack_its_details_or_be_absent():
    short = responses_end(usage={"input_tokens": 3, "output_tokens": 2})
    assert parts_of(short) == [UsageUpdate(Usage(3, 2)), Finished("end_turn")]
    assert parts_of(responses_end(usage=None)) == [Finished("end_turn")]


@pytest.mark.parametrize(
    ("event", "message", "error_type"),
    [
        ({"type": "error", "message": "Slow", "code": "rate_limit"}, "Slow", "rate_limit"),
        ({"type": "error", "error": {"message": "Busy", "type": "overload"}}, "Busy", "overload"),
        ({"type": "error"}, "reports an error", None),
        (
            responses_end("failed", error={"code": "server_error", "message": "Oops"}),
            "Oops",
            "server_error",
        ),
        (responses_end("failed", error=None, usage=None), "reports an error", None),
    ],
)
def test_every_form_of_error_is_one(event, message, error_type):
    with pytest.raises(Fault, match=message) as caught:
        parts_of(RESPONSES_START, *responses_said(0, "It"), event)
    assert caught.value.error_type == error_type


@pytest.mark.parametrize(
    "events",
    [
        [],
        [RESPONSES_START, *responses_said(0, "It")],
        [*responses_call(0, "x", "{}")[:-1], responses_end()],
        [{"type": "response.output_text.delta", "delta": 3}, responses_end()],
        [{"type": "response.output_item.done", "output_index": 0}, responses_end()],
    ],
)
def test_a_stream_that_is_not_whole_is_broken(events):
    with pytest.raises(Fault):
        parts_of(*events)


def test_what_is_unknown_is_passed_over():
    search = {"id": "ws_1", "type": "web_search_call", "arguments": None, "action": {"x": 1}}
    parts = parts_of(
        {"type": "keepalive", "sequence_number": 1},
        {"type": "response.output_audio.delta", "delta": {"of": "another type"}},
        RESPONSES_START | {"new": 1},
        *responses_item(0, search),
        *responses_said(1, "Yes."),
        responses_end(new={"x": 1}),
    )
    assert parts == [TextDelta("Yes."), USED, Finished("end_turn")]


def test_events_without_a_name_are_known_by_their_data():
    assert parts_of(responses_end(), named=False) == [USED, Finished("end_turn")]


def done_only(*levels: str) -> list[dict]:
    """A message whose text comes in no delta, but whole: by itself, in its part, in its item."""
    place = {"output_index": 0, "content_index": 0, "item_id": "msg_0"}
    part = {"type": "output_text", "text": "It rains. 😀", "annotations": []}
    item = {"id": "msg_0", "type": "message", "role": "assistant", "content": [part]}
    events = {
        "text": {"type": "response.output_text.done", "text": part["text"], **place},
        "part": {"type": "response.content_part.done", "part": part, **place},
        "item": {"type": "response.output_item.done", "output_index": 0, "item": item},
        "end": responses_end(output=[item]),
    }
    added = {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": item | {"content": []},
    }
    begun = [] if levels == ("end",) else [added]
    end = [] if "end" in levels else [responses_end()]
    return [*begun, *(events[level] for level in levels), *end]


def texts(parts: list) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


@pytest.mark.parametrize(
    "levels",
    [
        ("text",),
        ("part",),
        ("item",),
        ("end",),
        ("text", "part"),
        ("part", "item"),
        ("text", "part", "item"),
        ("text", "part", "item", "end"),
    ],
)
def test_text_that_comes_only_as_a_whole_is_kept_and_once(levels):
    assert texts(parts_of(*done_only(*levels))) == "It rains. 😀"


@pytest.mark.parametrize("pieces", [["It "], ["It ", "rains. "], ["It ", "rains. 😀"]])
def test_what_the_deltas_lack_is_taken_from_the_whole(pieces):
    deltas = [
        {"type": "response.output_text.delta", "delta": piece, "output_index": 0}
        for piece in pieces
    ]
    added, *rest = done_only("text", "part", "item", "end")
    assert texts(parts_of(added, *deltas, *rest)) == "It rains. 😀"


def test_a_refusal_that_comes_only_as_a_whole_is_kept():
    refused = {"id": "msg_1", "type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    done = {"type": "response.refusal.done", "refusal": "No.", "output_index": 0}
    for events in (responses_item(0, refused), responses_item(0, refused, done)):
        parts = parts_of(*events, responses_end())
        assert parts == [TextDelta("No."), USED, Finished("refusal")]


def test_two_messages_and_two_parts_are_told_one_after_the_other():
    one, two = {"type": "output_text", "text": "One."}, {"type": "output_text", "text": "Two."}
    first = {"id": "m1", "type": "message", "content": [one, two]}
    second = {"id": "m2", "type": "message", "content": [one]}
    events = [*responses_item(0, first), *responses_item(1, second)]
    assert texts(parts_of(*events, responses_end())) == "One.Two.One."
    for event in events:  # as of a server that numbers nothing
        event.pop("output_index")
    assert texts(parts_of(*events, responses_end())) == "One.Two.One."


def test_calls_that_are_told_but_at_the_end_are_made():
    call = {"type": "function_call", "call_id": "c", "name": "x", "arguments": '{"n": 1}'}
    parts = parts_of(RESPONSES_START, responses_end(output=[call]))
    assert parts == [ToolUseBlock("c", "x", {"n": 1}), USED, Finished("tool_use")]


def test_arguments_that_come_only_as_a_whole_are_kept():
    events = responses_call(0, "x", '{"n": 1}')
    bare = {"type": "function_call", "call_id": "c", "name": "x"}
    done = events[-2] | {"output_index": 0}
    parts = parts_of(events[0], done, events[-1] | {"item": bare}, responses_end())
    assert parts[0] == ToolUseBlock("c", "x", {"n": 1})


@pytest.mark.parametrize("reason", ["something_new", "max_tool_calls"])
def test_an_unknown_reason_why_it_is_incomplete_is_a_failure(reason):
    end = responses_end("incomplete", incomplete_details={"reason": reason})
    with pytest.raises(Fault, match=reason):
        parts_of(*responses_said(0, "It"), end)


# --- request → JSON -------------------------------------------------------------------------------

STEP = Message(
    "assistant",
    (
        RedactedThinkingBlock(json.dumps(REASONING), "openai"),
        TextBlock("Let me see."),
        ToolUseBlock("c1", "x", {"n": 1}),
        ToolUseBlock("c2", "bad name", {}, malformed="{"),
    ),
)


def test_the_body_has_the_reasoning_calls_and_results_of_the_history(ask):
    messages = [
        Message.user("a"),
        STEP,
        Message("user", (ToolResultBlock("c1", "ok", False), ToolResultBlock("c2", "no", True))),
        Message("assistant", (TextBlock("b"),)),
        Message.user("c"),
    ]
    body = responses_body(ask(messages, system="Be brief."), "gpt-5", max_tokens=99)
    assert body["input"] == [
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {key: value for key, value in REASONING.items() if value is not None},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "c1", "name": "x", "arguments": '{"n":1}'},
        {"type": "function_call", "call_id": "c2", "name": "bad_name", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
        {"type": "function_call_output", "call_id": "c2", "output": "no"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "c"}]},
    ]
    assert body["instructions"] == "Be brief."
    assert body["max_output_tokens"] == 99
    assert (body["stream"], body["store"]) == (True, False)
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["tools"][0]["name"] == "forecast"
    assert body["tools"][0]["strict"] is False
    assert "temperature" not in body
    assert "reasoning" not in body


@pytest.mark.parametrize("cut", [STEP.content[:1], (*STEP.content[:1], TextBlock(" \n"))])
def test_reasoning_that_nothing_follows_does_not_go_back(ask, cut):
    messages = [Message.user("a"), Message("assistant", cut, "cancelled"), Message.user("b")]
    body = responses_body(ask(messages), "gpt-5")
    assert [item["role"] for item in body["input"]] == ["user", "user"]


@pytest.mark.parametrize(
    "block",
    [
        ThinkingBlock("theirs", "sig", "anthropic"),
        ThinkingBlock("unencrypted", None, "openai"),
        RedactedThinkingBlock("theirs", "anthropic"),
        RedactedThinkingBlock("not JSON", "openai"),
        RedactedThinkingBlock('{"type": "message"}', "openai"),
    ],
)
def test_reasoning_of_others_does_not_go_back(ask, block):
    messages = [Message.user("a"), Message("assistant", (block, TextBlock("b"))), Message.user("c")]
    body = responses_body(ask(messages), "gpt-5")
    assert [item["role"] for item in body["input"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-5", True),
        ("gpt-5.2", True),
        ("o3", True),
        ("o4-mini", True),
        ("gpt-6-turbo", True),
        ("gpt-4.1", False),
        ("gpt-4o-mini", False),
        ("ft:gpt-4o:mine", False),
        ("chatgpt-4o-latest", False),
        ("gpt-5-chat-latest", False),
    ],
)
def test_a_model_that_does_not_reason_is_neither_asked_for_reasoning_nor_sent_any(
    ask, model, reasons
):
    body = responses_body(ask([Message.user("a"), STEP]), model, show_thinking=True)
    assert ("include" in body) == reasons
    assert body.get("reasoning") == ({"summary": "auto"} if reasons else None)
    assert any(item.get("type") == "reasoning" for item in body["input"]) == reasons


def test_images_stand_in_users_messages_and_in_the_outputs_of_functions(ask):
    image = ImageBlock("image/png", "iVBO")
    seen = {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "auto"}
    messages = [
        Message("user", (TextBlock("Look:"), image)),
        Message("assistant", (ToolUseBlock("c1", "x", {}),)),
        Message("user", (ToolResultBlock("c1", "one", False, images=(image,)),)),
    ]
    body = responses_body(ask(messages), "gpt-5")
    assert body["input"][0]["content"] == [{"type": "input_text", "text": "Look:"}, seen]
    assert body["input"][2]["output"] == [{"type": "input_text", "text": "one"}, seen]


def test_an_output_schema_is_strict_where_strict_mode_takes_it(ask):
    strict = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    sent = responses_body(ask(output_schema=strict), "gpt-5")["text"]["format"]
    assert sent == {
        "type": "json_schema",
        "name": "response",
        "schema": strict | {"additionalProperties": False},
        "strict": True,
    }
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}
    sent = responses_body(ask(output_schema=loose), "gpt-5")["text"]["format"]
    assert (sent["schema"], sent["strict"]) == (loose, False)


def test_an_id_that_is_too_long_is_the_same_short_one_in_call_and_result(ask):
    long = "c" * 80
    messages = [
        Message.user("a"),
        Message("assistant", (ToolUseBlock(long, "x", {}),)),
        Message("user", (ToolResultBlock(long, "ok", False),)),
    ]
    _, call, result = responses_body(ask(messages), "gpt-5")["input"]
    assert call["call_id"] == result["call_id"]
    assert len(call["call_id"]) <= 40


# --- which API is spoken where --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "/v1/responses"),
        ({"base_url": "https://API.openai.com/v1/"}, "/v1/responses"),
        ({"base_url": "http://elsewhere.test/v1"}, "/v1/chat/completions"),
        ({"base_url": "http://elsewhere.test/v1", "api": "responses"}, "/v1/responses"),
        ({"api": "chat"}, "/v1/chat/completions"),
    ],
)
async def test_openai_speaks_responses_at_home_and_chat_completions_elsewhere(ask, options, path):
    asked = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        body = openai_text() if "chat" in request.url.path else responses_text()
        return httpx.Response(200, content=body)

    async with Transport(over=httpx.MockTransport(respond)) as transport:
        provider = OpenAI("gpt-5", api_key="k", max_tokens=9, **options)
        parts = [part async for part in provider.stream(ask("Rain?"), transport)]
    assert parts[-1] == Finished("end_turn")
    assert asked[0].url.path == path
    assert asked[0].headers["authorization"] == "Bearer k"
    limits = ("max_output_tokens", "max_completion_tokens", "max_tokens")
    limit = limits[0 if "responses" in path else 1 if "base_url" not in options else 2]
    assert {name for name in limits if name in json.loads(asked[0].content)} == {limit}
