"""Chat completions, OpenAI's own and those of servers that are nearly compatible."""

import pytest

from provider_wires import OPENAI_USAGE, openai_call, openai_delta, sse
from wingman.conversation import (
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from wingman.providers import Finished, TextDelta, ThinkingDelta, UsageUpdate
from wingman.providers.openai import ChatTranslator, chat_body
from wingman.providers.wire import CallIds
from wingman.sse import Fault, SSEDecoder


def parts_of(*events: object) -> list:
    translator = ChatTranslator("openai", CallIds())
    parts = [
        part
        for event in SSEDecoder().feed(sse(*events, named=False))
        for part in translator.feed(event)
    ]
    return [*parts, *translator.end()]


def calls_of(*events: object) -> list[tuple]:
    parts = parts_of(*events, openai_delta("tool_calls"), "[DONE]")
    return [(p.name, p.input, p.malformed) for p in parts if isinstance(p, ToolUseBlock)]


# --- events → parts -------------------------------------------------------------------------------


def test_usage_comes_in_a_chunk_without_choices_and_names_its_parts():
    parts = parts_of(openai_delta("stop"), OPENAI_USAGE, "[DONE]")
    expected = Usage(12, 5, cache_read_tokens=5, reasoning_tokens=2)
    assert parts == [UsageUpdate(expected), Finished("end_turn")]


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"prompt_tokens_details": None, "completion_tokens_details": None},
        {"prompt_tokens_details": {"cached_tokens": None}},
    ],
)
def test_usage_may_lack_its_details(details):
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, **details}}
    assert UsageUpdate(Usage(3, 2)) in parts_of(openai_delta("stop"), usage, "[DONE]")


def test_usage_and_done_may_be_absent_once_a_reason_has_come():
    assert parts_of(openai_delta(content="a"), openai_delta("stop")) == [
        TextDelta("a"),
        Finished("end_turn"),
    ]


def test_done_without_a_reason_is_an_end():
    assert parts_of(openai_delta(content="a"), "[DONE]")[-1] == Finished("end_turn")


def test_neither_a_reason_nor_done_is_a_broken_stream():
    with pytest.raises(Fault, match="ended before"):
        parts_of(openai_delta(content="a"))


def test_choices_may_be_null_or_absent():
    parts = parts_of({"choices": None}, {}, openai_delta(content="a"), "[DONE]")
    assert parts[0] == TextDelta("a")


@pytest.mark.parametrize(
    ("error", "message", "error_type"),
    [
        ({"message": "Busy", "type": "server_error"}, "Busy", "server_error"),
        ({"message": "Busy", "code": 502}, "Busy", "502"),
        ({}, "reports an error", None),
        ("plain", "plain", None),
    ],
)
def test_an_error_in_the_stream_is_one(error, message, error_type):
    with pytest.raises(Fault, match=message) as caught:
        parts_of(openai_delta(content="a"), {"error": error})
    assert caught.value.error_type == error_type


@pytest.mark.parametrize(
    ("reason", "finished"),
    [
        ("stop", "end_turn"),
        ("eos", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("tool_calls", "tool_use"),
        ("function_call", "tool_use"),
    ],
)
def test_why_it_ended(reason, finished):
    assert parts_of(openai_delta(reason), "[DONE]") == [Finished(finished)]


def test_calls_that_end_with_stop_are_calls_all_the_same():
    parts = parts_of(openai_call(0, id="a", name="x"), openai_delta("stop"), "[DONE]")
    assert parts[-1] == Finished("tool_use")


def test_a_refusal_is_text_and_a_reason():
    parts = parts_of(openai_delta(refusal="No."), openai_delta("stop"), "[DONE]")
    assert parts == [TextDelta("No."), Finished("refusal")]


@pytest.mark.parametrize(
    "fields", [["reasoning"], ["reasoning_content"], ["reasoning", "reasoning_content"]]
)
def test_reasoning_under_either_name_or_both_comes_once_and_whole_before_the_text(fields):
    parts = parts_of(
        openai_delta(**dict.fromkeys(fields, "Hm")),
        openai_delta(**dict.fromkeys(fields, "m.")),
        openai_delta(content="Yes."),
        openai_delta("stop"),
        "[DONE]",
    )
    assert parts == [
        ThinkingDelta("Hm"),
        ThinkingDelta("m."),
        ThinkingBlock("Hmm.", fields[-1], "openai"),
        TextDelta("Yes."),
        Finished("end_turn"),
    ]


def test_reasoning_that_ends_in_calls_is_closed_before_them():
    parts = parts_of(
        openai_delta(reasoning="Hm"), openai_call(0, id="a", name="x"), openai_delta("tool_calls")
    )
    kinds = [type(part) for part in parts]
    assert kinds == [ThinkingDelta, ThinkingBlock, ToolUseBlock, Finished]


def test_calls_are_merged_by_index_though_their_pieces_interleave():
    assert calls_of(
        openai_call(0, id="a", name="x", arguments='{"n'),
        openai_call(1, id="b", name="y", arguments='{"m'),
        openai_call(0, arguments='": 1}'),
        openai_call(1, arguments='": 2}'),
    ) == [("x", {"n": 1}, None), ("y", {"m": 2}, None)]


def test_whole_calls_that_all_bear_one_index_are_told_by_their_ids():
    assert calls_of(
        openai_call(0, id="a", name="x", arguments='{"n": 1}'),
        openai_call(0, id="b", name="x", arguments='{"n": 2}'),
    ) == [("x", {"n": 1}, None), ("x", {"n": 2}, None)]


def test_an_id_that_changes_from_piece_to_piece_makes_no_new_call():
    assert calls_of(
        openai_call(0, id="a", name="x", arguments='{"n"'),
        openai_call(0, id="b", arguments=": 1}"),
    ) == [("x", {"n": 1}, None)]


def test_calls_without_an_index_are_told_by_their_ids():
    assert calls_of(
        openai_call(id="a", name="x", arguments='{"n"'),
        openai_call(arguments=": 1}"),
        openai_call(id="b", name="y", arguments="{}"),
    ) == [("x", {"n": 1}, None), ("y", {}, None)]


@pytest.mark.parametrize(
    ("arguments", "input", "malformed"),
    [
        ("", {}, None),
        (" ", {}, None),
        (None, {}, None),
        ({"n": 1}, {"n": 1}, None),
        ('{"n": ', {}, '{"n": '),
        ("3", {}, "3"),
    ],
)
def test_arguments_may_be_empty_an_object_or_malformed(arguments, input, malformed):
    assert calls_of(openai_call(0, id="a", name="x", arguments=arguments)) == [
        ("x", input, malformed)
    ]


def test_missing_and_repeated_ids_are_replaced_by_unique_ones():
    ids = CallIds({"call_0"})
    given = [ids.unique(offered) for offered in ("call_0", None, "", "mine", "mine")]
    assert len({"call_0", *given}) == 6
    assert given[3] == "mine"


# --- request → JSON -------------------------------------------------------------------------------


def test_the_body_has_system_history_calls_and_results(ask):
    messages = [
        Message.user("a"),
        Message(
            "assistant",
            (
                ThinkingBlock("hm", provider="openai"),
                TextBlock("b"),
                ToolUseBlock("c1", "x", {"n": 1}),
                ToolUseBlock("c2", "y", {}, malformed="{"),
            ),
        ),
        Message(
            "user",
            (ToolResultBlock("c1", "ok", False), ToolResultBlock("c2", "no", True), TextBlock("d")),
        ),
        Message("assistant", (ThinkingBlock("cut", provider="openai"),), "cancelled"),
        Message.user("e"),
    ]
    body = chat_body(ask(messages, system="Be brief."), "gpt", "openai", temperature=0.0)
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": "b",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "x", "arguments": '{"n":1}'}},
                {"id": "c2", "type": "function", "function": {"name": "y", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        {"role": "tool", "tool_call_id": "c2", "content": "no"},
        {"role": "assistant", "content": "(no answer)"},
        {"role": "user", "content": "d\n\ne"},
    ]
    assert body["stream_options"] == {"include_usage": True}
    assert body["temperature"] == 0.0
    assert body["tools"][0]["function"]["name"] == "forecast"


def test_an_output_schema_goes_in_its_native_form(ask):
    body = chat_body(ask(output_schema={"type": "object"}, tools=()), "gpt", "openai")
    schema = {"name": "response", "schema": {"type": "object"}}
    assert body["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert "tools" not in body


# --- servers that are nearly compatible -----------------------------------------------------------


def test_content_may_come_in_parts_and_reasoning_as_one_of_them():
    parts = parts_of(
        openai_delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]),
        openai_delta(content=[{"type": "text", "text": "Yes"}, {"type": "text", "text": "."}]),
        openai_delta("stop"),
    )
    assert parts == [
        ThinkingDelta("Hm."),
        ThinkingBlock("Hm.", None, "openai"),
        TextDelta("Yes."),
        Finished("end_turn"),
    ]


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource"])
def test_a_reason_that_is_a_failure_is_an_error(reason):
    with pytest.raises(Fault, match="ended in an error") as caught:
        parts_of(openai_delta(content="a"), openai_delta(reason), "[DONE]")
    assert caught.value.error_type == reason


@pytest.mark.parametrize("arguments", ["", '{"n": '])
def test_the_last_call_of_an_answer_that_was_cut_off_is_malformed_even_if_it_is_empty(arguments):
    first, last, finished = parts_of(
        openai_call(0, id="a", name="x", arguments=""),
        openai_call(1, id="b", name="y", arguments=arguments),
        openai_delta("length"),
    )
    assert first == ToolUseBlock("a", "x", {})
    assert last == ToolUseBlock("b", "y", {}, malformed=arguments)
    assert finished == Finished("max_tokens")


def test_an_empty_answer_is_one():
    assert parts_of(openai_delta("stop"), "[DONE]") == [Finished("end_turn")]


def test_unknown_events_and_fields_are_passed_over():
    parts = parts_of(
        {"object": "ping", "choices": [], "x": {"y": 1}},
        openai_delta(content="a", audio={"id": 1}) | {"provider": "someone", "error": None},
        openai_delta("stop"),
    )
    assert parts == [TextDelta("a"), Finished("end_turn")]


def test_reasoning_goes_back_under_the_name_by_which_it_came_and_only_where_it_came_from(ask):
    said = Message(
        "assistant",
        (
            ThinkingBlock("Hm.", "reasoning_content", "openai-compatible"),
            ThinkingBlock("m.", "reasoning_content", "openai-compatible"),
            ThinkingBlock("unnamed", None, "openai-compatible"),
            ThinkingBlock("theirs", "sig", "anthropic"),
            ToolUseBlock("c1", "x", {}),
        ),
    )
    request = ask([Message.user("a"), said])
    turn = chat_body(request, "m", "openai-compatible")["messages"][1]
    assert turn["reasoning_content"] == "Hm.m."
    assert set(turn) == {"role", "content", "tool_calls", "reasoning_content"}
    assert set(chat_body(request, "m", "openai")["messages"][1]) == {
        "role",
        "content",
        "tool_calls",
    }


def test_images_are_shown_by_the_user_those_of_results_too(ask):
    image = ImageBlock("image/png", "iVBO")
    seen = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    messages = [
        Message("user", (image, TextBlock("Look."))),
        Message("assistant", (ToolUseBlock("c1", "x", {}), ToolUseBlock("c2", "x", {}))),
        Message(
            "user",
            (ToolResultBlock("c1", "", False, images=(image,)), ToolResultBlock("c2", "b", False)),
        ),
    ]
    first, _, *results, between, shown = chat_body(ask(messages), "m", "openai")["messages"]
    assert first == {"role": "user", "content": [seen, {"type": "text", "text": "Look."}]}
    assert [result["role"] for result in results] == ["tool", "tool"]
    assert between == {"role": "assistant", "content": "(no answer)"}
    assert shown["role"] == "user"
    assert shown["content"] == [{"type": "text", "text": "What the tool call c1 shows:"}, seen]


def test_a_message_in_place_of_a_delta_is_read_once():
    whole = {"choices": [{"message": {"content": "It rains."}, "finish_reason": "stop"}]}
    for events in ([whole], [openai_delta(content="It rains."), whole]):
        assert parts_of(*events, "[DONE]") == [TextDelta("It rains."), Finished("end_turn")]


def test_what_cannot_be_read_behind_a_reason_costs_no_answer():
    said = openai_delta(content="It rains.")
    assert parts_of(said, openai_delta("stop"), "{broken") == [
        TextDelta("It rains."),
        Finished("end_turn"),
    ]
    with pytest.raises(Fault):
        parts_of(said, "{broken", openai_delta("stop"))
