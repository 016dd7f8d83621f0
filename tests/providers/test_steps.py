"""What a model's first step leaves goes back to it in the second, as it came: over real sockets."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from provider_wires import (
    chunks,
    gemini_call,
    gemini_chunk,
    gemini_text,
    openai_call,
    openai_delta,
    openai_text,
    receive_request,
    response_head,
    responses_call,
    responses_end,
    responses_item,
    responses_text,
    sse,
)
from wingman import Agent, Session, tool
from wingman.providers import Gemini, OpenAI, OpenAICompatible, Provider

REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [],
    "encrypted_content": "gA==",
}
CALLED = {"type": "function_call", "call_id": "call_1", "name": "forecast", "arguments": "{}"}
ANSWERED = {"type": "function_call_output", "call_id": "call_1", "output": "Rain."}

STEPS: dict[str, tuple[Callable[[str], Provider], bytes, bytes]] = {
    "responses": (
        lambda url: OpenAI("gpt-5", api_key="k", base_url=url, api="responses"),
        sse(
            *responses_item(0, REASONING),
            *responses_call(1, "forecast", "{}"),
            responses_end(),
        ),
        responses_text(),
    ),
    "chat": (
        lambda url: OpenAICompatible("deepseek", base_url=url),
        sse(
            openai_delta(reasoning_content="Hm"),
            openai_delta(reasoning_content="m."),
            openai_call(0, id="c1", name="forecast", arguments="{}"),
            openai_delta("tool_calls"),
            "[DONE]",
            named=False,
        ),
        openai_text(),
    ),
    "gemini": (
        lambda url: Gemini("gemini-3-pro-preview", api_key="k", base_url=url),
        sse(
            gemini_chunk({"text": "Let me see."}),
            gemini_chunk(gemini_call("forecast", {}, thoughtSignature="c2ln"), reason="STOP"),
        ),
        gemini_text(),
    ),
}


@tool
async def forecast() -> str:
    """Weather forecast."""
    await trio.lowlevel.checkpoint()
    return "Rain."


@pytest.fixture
def second_request(serve):
    """Run two steps; return the body of the second request."""

    async def ask(name: str) -> Any:
        make, *answers = STEPS[name]
        bodies: list[Any] = []

        async def handler(stream: trio.SocketStream) -> None:
            for answer in answers:
                bodies.append(json.loads((await receive_request(stream))[1]))
                await stream.send_all(response_head() + chunks([answer]))

        agent = Agent("Assistant", provider=make(await serve(handler)), tools=[forecast])
        with trio.fail_after(5):
            async with Session(agent) as session:
                result = await session.run("Rain?")
        assert (result.response, result.steps) == ("It will rain.", 2)
        return bodies[1]

    return ask


async def test_responses_gets_its_encrypted_reasoning_back(second_request):
    body = await second_request("responses")
    assert body["input"][1:] == [REASONING, CALLED, ANSWERED]


async def test_a_compatible_server_gets_its_reasoning_back_under_its_name_for_it(second_request):
    body = await second_request("chat")
    assert body["messages"][1]["reasoning_content"] == "Hmm."
    assert body["messages"][2] == {"role": "tool", "tool_call_id": "c1", "content": "Rain."}


async def test_gemini_gets_its_signature_back_in_the_part_it_came_in(second_request):
    body = await second_request("gemini")
    text, call = body["contents"][1]["parts"]
    assert text == {"text": "Let me see."}
    assert call["thoughtSignature"] == "c2ln"
    (answer,) = body["contents"][2]["parts"]
    assert answer["functionResponse"]["id"] == call["functionCall"]["id"]
    assert answer["functionResponse"]["response"] == {"output": "Rain."}
