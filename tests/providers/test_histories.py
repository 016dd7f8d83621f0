"""A history belongs to no provider: recorded under one, it goes on under any other."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_rules import (
    check_anthropic,
    check_chat,
    check_gemini,
    check_ollama,
    check_responses,
)
from wingman.conversation import (
    Block,
    ImageBlock,
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.providers import Request
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
    "gemini 2.5": (
        lambda r: gemini_body(r, "gemini-2.5-pro"),
        lambda body: check_gemini(body, signed=False),
    ),
}

PNG = ImageBlock("image/png", "iVBORw0=")
TIFF = ImageBlock("image/tiff", "SUkqAA==")


def reasoning(secret: str) -> str:
    item = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": secret}
    return json.dumps(item)


def thoughts(provider: str, secret: str) -> tuple[Block, ...]:
    """How the provider's reasoning stands in a history; `secret` is what only it can read."""
    match provider:
        case "anthropic":
            return (
                ThinkingBlock("Hm.", secret, "anthropic"),
                RedactedThinkingBlock(secret, "anthropic"),
            )
        case "openai":
            return (RedactedThinkingBlock(reasoning(secret), "openai"),)
        case "openai-compatible":
            return (ThinkingBlock(secret, "reasoning_content", "openai-compatible"),)
        case "gemini":
            return (
                ThinkingBlock("Hm.", secret, "gemini"),
                TextBlock("", secret, "gemini"),
            )
        case _:
            return (ThinkingBlock(secret, None, "ollama"),)


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
                ToolResultBlock("t3", "no JSON", True),
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
    history = alternate(repair(messages))
    assert all(one.role != other.role for one, other in pairwise(history))
    return Request(history, system="Be brief.")


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
    assert (f"c2VjcmV0{before}" in sent) == (
        before == now or (before, now) == ("gemini", "gemini 2.5")
    )


texts = st.sampled_from(["x", "", " \n", "ü☔"])
images = st.sampled_from([PNG, TIFF])
names = st.sampled_from(["x", "", "a.b", "not a name", "n" * 100])
inputs = st.sampled_from([{}, {"n": 1}])
providers = st.sampled_from([*APIS, None])


@st.composite
def steps(draw: st.DrawFn, number: int) -> list[Message]:
    """An exchange in any state: a user's message, and what was left of the answer, with results."""
    provider = draw(providers)
    said: list[Block] = []
    for _ in range(draw(st.integers(0, 4))):
        match draw(st.sampled_from(["text", "thoughts", "call", "malformed", "image"])):
            case "text":
                said.append(TextBlock(draw(texts)))
            case "thoughts":
                said += thoughts(provider or "x", "c2VjcmV0")
            case "image":
                said.append(draw(images))
            case kind:
                id = draw(st.sampled_from(["", ":", "/" * 60])) + f"c{number}-{len(said)}"
                malformed = "{" if kind == "malformed" else None
                signature = draw(st.sampled_from([None, "c2ln"]))
                said.append(
                    ToolUseBlock(id, draw(names), draw(inputs), malformed, signature, provider)
                )
    user = draw(st.lists(st.one_of(texts.map(TextBlock), images), max_size=2))
    results = [
        ToolResultBlock(
            block.id,
            draw(texts),
            draw(st.booleans()),
            images=tuple(draw(st.lists(images, max_size=2))),
        )
        for block in said
        if isinstance(block, ToolUseBlock) and draw(st.booleans())
    ]
    cut_short = draw(st.sampled_from([None, "cancelled", "failed"]))
    return [
        Message("user", tuple(user)),
        Message("assistant", tuple(said), cut_short),
        Message("user", (*results, *(TextBlock(t) for t in draw(st.lists(texts, max_size=1))))),
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    count = draw(st.integers(0, 3))
    messages = [Message.user("Hello.")]
    for number in range(count):
        messages += draw(steps(number))
    return [*messages, Message.user("Go on.")]


@given(messages=histories())
def test_whatever_a_history_has_gone_through_every_api_takes_it(messages):
    request = asked(messages)
    for name, (make, check) in MORE_APIS.items():
        before = json.dumps(make(request), sort_keys=True)
        check(make(request))
        assert json.dumps(make(request), sort_keys=True) == before, name
