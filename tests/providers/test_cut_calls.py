"""A call that was cut is never run: not with half of its arguments, and not without any."""

import json

import pytest
import trio

from provider_wires import (
    anthropic_block,
    anthropic_end,
    chunks,
    gemini_chunk,
    message_start,
    ndjson,
    ollama_done,
    ollama_said,
    openai_call,
    openai_delta,
    receive_request,
    response_head,
    responses_call,
    responses_end,
    responses_said,
    sse,
)
from wingman import Agent, Session
from wingman.conversation import TextBlock, ToolUseBlock
from wingman.providers import Finished, OpenAICompatible, TextDelta
from wingman.providers.anthropic import AnthropicTranslator
from wingman.providers.gemini import GeminiTranslator
from wingman.providers.ollama import OllamaTranslator
from wingman.providers.openai import ChatTranslator, ResponsesTranslator
from wingman.providers.wire import CallIds
from wingman.sse import LineDecoder, SSEDecoder
from wingman.tools import tool


def anthropic(reason: str, *calls: str) -> list:
    events = [message_start()]
    for number, arguments in enumerate(calls):
        block = {"type": "tool_use", "id": f"c{number}", "name": "x", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": arguments}
        events += anthropic_block(number, block, *([delta] if arguments else []))
    reason = {"length": "max_tokens", "filter": "refusal", "calls": "tool_use"}[reason]
    return read(AnthropicTranslator("a", CallIds()), sse(*events, *anthropic_end(reason)))


def chat(reason: str, *calls: str) -> list:
    events = [
        openai_call(number, id=f"c{number}", name="x", arguments=arguments)
        for number, arguments in enumerate(calls)
    ]
    reason = {"length": "length", "filter": "content_filter", "calls": "tool_calls"}[reason]
    data = sse(*events, openai_delta(reason), "[DONE]", named=False)
    return read(ChatTranslator("o", CallIds()), data)


def responses(reason: str, *calls: str) -> list:
    events = [
        event
        for number, arguments in enumerate(calls)
        for event in responses_call(number, "x", arguments)
    ]
    why = {"length": "max_output_tokens", "filter": "content_filter"}.get(reason)
    end = responses_end("incomplete", incomplete_details={"reason": why})
    return read(ResponsesTranslator(CallIds()), sse(*events, end if why else responses_end()))


def gemini(reason: str, *calls: str) -> list:
    parts = [
        {"functionCall": {"name": "x", "id": f"c{n}"} | ({"args": json.loads(a)} if a else {})}
        for n, a in enumerate(calls)
    ]
    reason = {"length": "MAX_TOKENS", "filter": "SAFETY", "calls": "STOP"}[reason]
    return read(GeminiTranslator(CallIds()), sse(gemini_chunk(*parts), gemini_chunk(reason=reason)))


def ollama(reason: str, *calls: str) -> list:
    lines = [
        ollama_said(
            tool_calls=[
                {"id": f"c{n}", "function": {"name": "x", "arguments": a and json.loads(a)}}
            ]
        )
        for n, a in enumerate(calls)
    ]
    reason = {"length": "length", "filter": "content_filter", "calls": "stop"}[reason]
    return read(OllamaTranslator(CallIds()), ndjson(*lines, ollama_done(reason)))


def read(translator, data: bytes) -> list:
    decoder = LineDecoder() if isinstance(translator, OllamaTranslator) else SSEDecoder()
    parts = []
    for event in [*decoder.feed(data), *decoder.end()]:
        if not translator.finished:
            parts += translator.feed(event)
    return [*parts, *translator.end()]


def made(parts: list) -> list[ToolUseBlock]:
    return [part for part in parts if isinstance(part, ToolUseBlock)]


WIRES = [anthropic, chat, responses, gemini, ollama]
STREAMED = [anthropic, chat, responses]  # the others' calls come whole or not at all


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("reason", ["length", "filter"])
def test_the_last_call_of_a_cut_answer_is_malformed_if_it_has_no_arguments(wire, reason):
    first, last = made(wire(reason, '{"n": 1}', ""))
    assert (first.input, first.malformed) == ({"n": 1}, None)
    assert (last.input, last.malformed) == ({}, "")
    (only,) = made(wire(reason, ""))
    assert only.malformed is not None


@pytest.mark.parametrize("wire", STREAMED)
@pytest.mark.parametrize("arguments", ['{"n"', '{"n": 1', '{"n": "a', "{", '{"n": 1},', " "])
def test_half_of_the_arguments_are_malformed(wire, arguments):
    (call,) = made(wire("length", arguments))
    assert call.input == {}
    assert call.malformed is not None


@pytest.mark.parametrize("wire", STREAMED)
def test_half_of_the_arguments_are_malformed_whatever_the_reason(wire):
    (call,) = made(wire("calls", '{"n": "a'))
    assert (call.input, call.malformed) == ({}, '{"n": "a')


@pytest.mark.parametrize("wire", WIRES)
def test_calls_without_arguments_are_made_where_nothing_was_cut(wire):
    assert [(call.input, call.malformed) for call in made(wire("calls", "", ""))] == [
        ({}, None)
    ] * 2


@pytest.mark.parametrize("wire", WIRES)
def test_what_comes_before_the_last_call_was_not_cut(wire):
    first, last = made(wire("length", "", '{"n": 1}'))
    assert (first.input, first.malformed) == ({}, None)
    assert (last.input, last.malformed) == ({"n": 1}, None)


def test_a_call_that_text_follows_was_not_cut_and_stands_before_it():
    call = {"type": "tool_use", "id": "c", "name": "x", "input": {}}
    parts = read(
        AnthropicTranslator("a", CallIds()),
        sse(
            *anthropic_block(0, call),
            *anthropic_block(1, {"type": "text", "text": "It"}),
            *anthropic_end("max_tokens"),
        ),
    )
    assert parts[:2] == [ToolUseBlock("c", "x", {}), TextDelta("It")]
    parts = read(
        ResponsesTranslator(CallIds()),
        sse(
            *responses_call(0, "x", ""),
            *responses_said(1, "It"),
            responses_end("incomplete", incomplete_details=None),
        ),
    )
    assert parts[:2] == [ToolUseBlock("call_0", "x", {}), TextDelta("It")]
    parts = read(
        GeminiTranslator(CallIds()),
        sse(
            gemini_chunk({"functionCall": {"name": "x", "id": "c"}}, {"text": "It"}, reason="STOP")
        ),
    )
    assert [p for p in parts if isinstance(p, ToolUseBlock | TextDelta)] == [
        ToolUseBlock("c", "x", {}),
        TextDelta("It"),
    ]
    assert not any(isinstance(part, TextBlock) for part in parts)
    lines = [
        ollama_said(tool_calls=[{"id": "c", "function": {"name": "x"}}]),
        ollama_said(content="It"),
        ollama_done("length"),
    ]
    parts = read(OllamaTranslator(CallIds()), ndjson(*lines))
    assert parts[:2] == [ToolUseBlock("c", "x", {}), TextDelta("It")]


def test_arguments_that_go_on_elsewhere_are_malformed():
    call = {"name": "x", "id": "c", "willContinue": True}
    (call,) = made(
        read(GeminiTranslator(CallIds()), sse(gemini_chunk({"functionCall": call}, reason="STOP")))
    )
    assert call.malformed


async def test_a_run_does_not_run_a_call_that_was_cut(serve):
    ran, answers = [], [chat_body("length"), chat_body("calls")]

    @tool
    async def wipe() -> str:
        """Wipe all."""
        ran.append(len(answers))
        return "wiped"

    async def handler(stream):
        await receive_request(stream)
        body = answers.pop(0) if answers else sse(openai_delta("stop", content="Done."))
        await stream.send_all(response_head(200, "connection: close") + chunks([body]))

    provider = OpenAICompatible("m", base_url=await serve(handler))
    async with Session(Agent("Assistant", provider=provider, tools=[wipe])) as session:
        with trio.fail_after(20):
            await session.run("Wipe.")
            await session.run("Go on.")
    assert ran == [0]  # after the second answer, whose call is whole


def chat_body(reason: str) -> bytes:
    reason = {"length": "length", "calls": "tool_calls"}[reason]
    return sse(
        openai_call(0, id="c0", name="wipe", arguments=""), openai_delta(reason), named=False
    )


def test_the_reason_is_told_beside_the_call():
    for wire in WIRES:
        assert wire("length", "")[-1] == Finished("max_tokens")
        assert wire("calls", '{"n": 1}')[-1] == Finished("tool_use")
