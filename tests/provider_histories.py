"""Histories as they come: images, tools, calls that were cut, reasoning of any provider."""

import json

from hypothesis import strategies as st

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
from wingman.providers import ToolSpec

PROVIDERS = ("anthropic", "openai", "openai-compatible", "gemini", "ollama")

TOOLS = [
    ToolSpec(name, "A tool.", {"type": "object"})
    for name in ("x", "a.b", "a_b", "a b", "no such.tool", "no_such_tool", "n" * 64, "n" * 70)
]
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


texts = st.sampled_from(["x", "", " \n", "ü☔"])
images = st.sampled_from([PNG, TIFF])
names = st.sampled_from(["x", "", "a.b", "not a name", "n" * 100])
inputs = st.sampled_from([{}, {"n": 1}])
providers = st.sampled_from([*PROVIDERS, None])


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
            structured=draw(st.sampled_from([None, {"for": "programs"}])),
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
