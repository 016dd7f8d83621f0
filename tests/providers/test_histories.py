"""A history belongs to no provider: recorded under one, it goes on under any other."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given

from provider_histories import PNG, TIFF, TOOLS, histories, thoughts
from provider_rules import (
    check_anthropic,
    check_chat,
    check_gemini,
    check_ollama,
    check_responses,
)
from provider_wires import (
    anthropic_block,
    anthropic_end,
    gemini_call,
    gemini_chunk,
    ndjson,
    ollama_done,
    ollama_said,
    openai_call,
    openai_delta,
    responses_call,
    responses_end,
    sse,
)
from wingman.conversation import (
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.providers import (
    Anthropic,
    Gemini,
    Ollama,
    OpenAI,
    OpenAICompatible,
    Provider,
    Request,
    ToolSpec,
    Transport,
)
from wingman.providers.anthropic import anthropic_body
from wingman.providers.gemini import gemini_body
from wingman.providers.ollama import ollama_body
from wingman.providers.openai import chat_body, responses_body
from wingman.run.history import alternate, repair

Body = dict[str, Any]

APIS: dict[str, tuple[Callable[[Request], Body], Callable[[Body], None]]] = {
    "anthropic": (lambda request: anthropic_body(request, "m"), check_anthropic),
    "openai": (lambda request: responses_body(request, "gpt-5"), check_responses),
    "openai-compatible": (
        lambda request: chat_body(request, "m", "openai-compatible"),
        check_chat,
    ),
    "gemini": (lambda request: gemini_body(request, "gemini-3-pro-preview"), check_gemini),
    "ollama": (lambda request: ollama_body(request, "m"), check_ollama),
}

MORE_APIS = APIS | {
    "openai without reasoning": (lambda r: responses_body(r, "gpt-4.1"), check_responses),
    "openai elsewhere": (lambda r: chat_body(r, "m", "openai"), check_chat),
    "mistral by its name": (
        lambda r: chat_body(r, "mistralai/Mistral-Small-3.2", "openai-compatible"),
        partial(check_chat, mistral=True),
    ),
    "mistral at home": (
        lambda r: chat_body(r, "labs-x", "openai-compatible", host="api.mistral.ai"),
        partial(check_chat, mistral=True),
    ),
    "mistral by ollama": (
        lambda r: ollama_body(r, "devstral:24b"),
        partial(check_ollama, mistral=True),
    ),
    "gemini 2.5": (
        lambda r: gemini_body(r, "gemini-2.5-pro"),
        lambda body: check_gemini(body, signed=False),
    ),
}

SAME_PROVIDER = {
    ("gemini", "gemini 2.5"),
    ("openai-compatible", "mistral by its name"),
    ("openai-compatible", "mistral at home"),
    ("ollama", "mistral by ollama"),
}


def recorded(provider: str) -> list[Message]:
    """A history as the provider leaves it, with all that there is."""
    secret = f"c2VjcmV0{provider}"
    signed = {"signature": secret, "provider": "gemini"} if provider == "gemini" else {}
    return [
        Message("user", (TextBlock("Look."), PNG, TIFF)),
        Message(
            "assistant",
            (
                *thoughts(provider, secret),
                TextBlock("Let me see."),
                ToolUseBlock("call:1", "shoot", {"n": 1}, **signed),
                ToolUseBlock("c" * 70, "no such.tool", {"é": [None]}),
                ToolUseBlock("t3", "", {}, malformed='{"n": '),
            ),
        ),
        Message(
            "user",
            (
                ToolResultBlock("call:1", "", False, images=(PNG, TIFF)),
                ToolResultBlock("c" * 70, "", True, "cancelled"),
                ToolResultBlock("t3", "no JSON", True, structured={"for": ["programs", PNG.data]}),
                TextBlock("Well?"),
            ),
        ),
        Message("assistant", thoughts(provider, secret), "cancelled"),
        Message("user", (TextBlock(""),)),
        Message("assistant", (TextBlock("It"), *thoughts(provider, secret)), "interrupted"),
        Message.user("Go on."),
        Message("assistant", ()),
        Message.user("And?"),
    ]


def asked(messages: Sequence[Message]) -> Request:
    history = alternate(list(repair(messages)))
    assert all(one.role != other.role for one, other in pairwise(history))
    return Request(history, system="Be brief.", tools=TOOLS)


@pytest.mark.parametrize("now", MORE_APIS)
@pytest.mark.parametrize("before", APIS)
def test_what_was_recorded_under_one_provider_goes_on_under_any_other(before, now):
    make, check = MORE_APIS[now]
    body = make(asked(recorded(before)))
    check(body)
    sent = json.dumps(body, ensure_ascii=False)
    for said in ("Look.", "Let me see.", "Well?", "Go on.", "And?", "no JSON", "It"):
        assert said in sent
    assert "iVBORw0=" in sent
    assert "SUkqAA==" not in sent
    assert sent.count("does not take image/tiff") == 2
    assert "programs" not in sent
    assert "structured" not in sent
    assert (f"c2VjcmV0{before}" in sent) == (before == now or (before, now) in SAME_PROVIDER)


@given(messages=histories())
def test_whatever_a_history_has_gone_through_every_api_takes_it(messages):
    request = asked(messages)
    for name, (make, check) in MORE_APIS.items():
        before = json.dumps(make(request), sort_keys=True)
        check(make(request))
        assert "programs" not in before
        assert json.dumps(make(request), sort_keys=True) == before, name


# --- ids and names --------------------------------------------------------------------------------


def history_of(*ids: str, name: str = "x") -> list[Message]:
    return [
        Message.user("a"),
        Message("assistant", tuple(ToolUseBlock(id, name, {}) for id in ids)),
        Message("user", tuple(ToolResultBlock(id, "b", False) for id in ids)),
        Message("assistant", (TextBlock("c"),)),
        Message.user("d"),
    ]


def sent_ids(body: Body) -> list[str]:
    return [call["id"] for turn in body["messages"] for call in turn.get("tool_calls", ())]


def test_ids_of_nine_letters_are_the_same_in_every_request_and_for_no_other_call():
    ids = [f"call_{number}" for number in range(300)]
    messages = history_of(*ids)
    body = chat_body(Request(messages), "mistral-large", "openai-compatible")
    check_chat(body, mistral=True)
    sent = sent_ids(body)
    assert len(set(sent)) == len(ids)
    longer = [*messages, Message("assistant", (ToolUseBlock("z", "x", {}),))]
    assert sent_ids(chat_body(Request(longer), "mistral-large", "x"))[:-1] == sent
    again = chat_body(Request(messages), "other", "x", host="api.mistral.ai")
    assert sent_ids(again) == sent


def test_an_id_of_nine_letters_stays_unless_it_was_given_to_another():
    digest = sent_ids(chat_body(Request(history_of("call_1")), "mistral", "x"))[0]
    ids = ["abcDEF123", "call_1", digest]
    sent = sent_ids(chat_body(Request(history_of(*ids)), "mistral", "x"))
    assert sent[:2] == ["abcDEF123", digest]
    assert len(set(sent)) == 3


@pytest.mark.parametrize(
    ("model", "host", "nine"),
    [
        ("mistral-large-latest", None, True),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", None, True),
        ("open-mixtral-8x22b", None, True),
        ("codestral-latest", None, True),
        ("devstral-small", None, True),
        ("magistral-medium", None, True),
        ("pixtral-12b", None, True),
        ("ministral-8b", None, True),
        ("fine-tuned", "api.mistral.ai", True),
        ("fine-tuned", "notmistral.ai", False),
        ("gpt-5", "api.openai.com", False),
        ("llama-3", None, False),
    ],
)
def test_whose_ids_have_nine_letters(model, host, nine):
    body = chat_body(Request(history_of("call_1")), model, "x", host=host)
    assert (len(sent_ids(body)[0]) == 9) == nine


@pytest.mark.parametrize("name", MORE_APIS)
def test_ids_that_would_become_one_are_told_apart(name):
    ids = ["a:b", "a_b", "a.b", "a b", "x" * 50, "x" * 51, "é", "ü"]
    make, check = MORE_APIS[name]
    check(make(Request(history_of(*ids), tools=TOOLS)))


def test_a_user_who_says_nothing_says_so_and_the_turns_alternate():
    messages = [
        Message("user", ()),
        Message("assistant", (TextBlock("a"),)),
        Message("user", ()),
        Message("assistant", (TextBlock("b"),)),
        Message("user", (TextBlock(" "), TextBlock(""))),
    ]
    for make, check in (MORE_APIS["openai elsewhere"], MORE_APIS["ollama"]):
        body = make(Request(messages))
        check(body)
        users = [turn["content"] for turn in body["messages"] if turn["role"] == "user"]
        assert users == ["(empty message)"] * 3


def test_users_that_follow_each_other_are_one_with_all_that_they_said_and_showed():
    messages = [
        Message.user("one"),
        Message("assistant", (), "cancelled"),
        Message("user", (TextBlock("two"), PNG)),
        Message("assistant", (ThinkingBlock("cut"),), "cancelled"),
        Message("user", (TextBlock("three"), TextBlock("four"))),
    ]
    (turn,) = chat_body(Request(messages), "m", "openai")["messages"]
    assert [part.get("text", part["type"]) for part in turn["content"]] == [
        "one",
        "two",
        "image_url",
        "three\n\nfour",
    ]
    (turn,) = ollama_body(Request(messages), "m")["messages"]
    assert (turn["content"], len(turn["images"])) == ("one\n\ntwo\n\nthree\n\nfour", 1)


# --- names of tools, there and back ---------------------------------------------------------------

SAME = ["a.b", "a b", "a_b", "ä_b"]


def specs(*names: str) -> list[ToolSpec]:
    return [ToolSpec(name, f"The tool {name}.", {"type": "object"}) for name in names]


def declared(body: Body) -> dict[str, str]:
    """The names that are sent, by the tool's description."""
    tools = body["tools"]
    if "functionDeclarations" in tools[0]:
        tools = tools[0]["functionDeclarations"]
    tools = [tool.get("function", tool) for tool in tools]
    return {tool["description"]: tool["name"] for tool in tools}


@pytest.mark.parametrize("name", MORE_APIS)
def test_names_that_become_one_are_told_apart_and_the_history_has_the_same(name):
    make, check = MORE_APIS[name]
    for used in SAME:
        body = make(Request(history_of("c1", name=used), tools=specs(*SAME)))
        check(body)
        names = declared(body)
        assert len(set(names.values())) == len(SAME)
        assert names["The tool a_b."] == "a_b"
        sent = names[f"The tool {used}."]
        # Once as a tool, and once more in the history.
        assert json.dumps(body).count(json.dumps(sent)) >= 2
    again = make(Request(history_of("c1"), tools=specs(*reversed(SAME))))
    assert declared(again) == names


PROVIDERS: dict[str, tuple[Provider, Callable[[str], bytes]]] = {
    "anthropic": (
        Anthropic("m", api_key="k"),
        lambda name: sse(
            *anthropic_block(0, {"type": "tool_use", "id": "t", "name": name, "input": {"n": 1}}),
            *anthropic_end("tool_use"),
        ),
    ),
    "responses": (
        OpenAI("m", api_key="k"),
        lambda name: sse(*responses_call(0, name, '{"n": 1}'), responses_end()),
    ),
    "chat": (
        OpenAICompatible("m", base_url="http://model.test"),
        lambda name: sse(
            openai_call(0, id="c", name=name, arguments='{"n": 1}'),
            openai_delta("tool_calls"),
            named=False,
        ),
    ),
    "gemini": (
        Gemini("m", api_key="k"),
        lambda name: sse(gemini_chunk(gemini_call(name, {"n": 1}), reason="STOP")),
    ),
    "ollama": (
        Ollama("m"),
        lambda name: ndjson(
            ollama_said(tool_calls=[{"function": {"name": name, "arguments": {"n": 1}}}]),
            ollama_done(),
        ),
    ),
}


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("meant", [*SAME, "x" * 70, "not known"])
async def test_a_call_reaches_the_tool_that_was_meant(name, meant):
    provider, answer = PROVIDERS[name]
    tools = specs(*SAME, "x" * 70, "x" * 71)

    def respond(request: httpx.Request) -> httpx.Response:
        names = declared(json.loads(request.content))
        sent = names.get(f"The tool {meant}.", meant)
        return httpx.Response(200, content=answer(sent))

    async with Transport(over=httpx.MockTransport(respond)) as transport:
        parts = provider.stream(Request([Message.user("a")], tools=tools), transport)
        calls = [part async for part in parts if isinstance(part, ToolUseBlock)]
    assert [(call.name, call.input) for call in calls] == [(meant, {"n": 1})]
