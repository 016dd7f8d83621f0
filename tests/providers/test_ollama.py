"""Ollama's chat API: a request as its JSON, its lines as parts."""

import pytest

from provider_wires import ndjson, ollama_done, ollama_said
from wingman.conversation import (
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from wingman.providers import Finished, TextDelta, ThinkingDelta, UsageUpdate
from wingman.providers.ollama import OllamaTranslator, ollama_body
from wingman.providers.wire import CallIds
from wingman.sse import Fault, LineDecoder


def parts_of(*lines: object) -> list:
    translator, decoder = OllamaTranslator(CallIds()), LineDecoder()
    data = ndjson(*lines)[:-1]  # the last line may lack its end
    parts = [
        part for line in [*decoder.feed(data), *decoder.end()] for part in translator.feed(line)
    ]
    return [*parts, *translator.end()]


def test_thinking_text_and_usage():
    parts = parts_of(
        ollama_said(content="", thinking="Hm"),
        ollama_said(content="", thinking="m."),
        ollama_said(content="Yes."),
        ollama_done(),
    )
    assert parts == [
        ThinkingDelta("Hm"),
        ThinkingDelta("m."),
        ThinkingBlock("Hmm.", provider="ollama"),
        TextDelta("Yes."),
        UsageUpdate(Usage(12, 5)),
        Finished("end_turn"),
    ]


def test_calls_come_whole_with_or_without_an_id():
    calls = [
        {"function": {"name": "x", "arguments": {"n": 1}}},
        {"id": "call_7", "function": {"index": 1, "name": "y", "arguments": {}}},
        {"function": {"name": "z", "arguments": '{"m": 2}'}},
        {"function": {"name": "w"}},
    ]
    parts = parts_of(ollama_said(content="", tool_calls=calls), ollama_done())
    blocks = [part for part in parts if isinstance(part, ToolUseBlock)]
    inputs = [("x", {"n": 1}), ("y", {}), ("z", {"m": 2}), ("w", {})]
    assert [(block.name, block.input) for block in blocks] == inputs
    assert blocks[1].id == "call_7"
    assert len({block.id for block in blocks}) == 4
    assert parts[-1] == Finished("tool_use")


@pytest.mark.parametrize(
    ("reason", "finished"), [("stop", "end_turn"), ("length", "max_tokens"), ("load", "end_turn")]
)
def test_why_it_ended(reason, finished):
    assert parts_of(ollama_done(reason))[-1] == Finished(finished)


def test_a_failure_is_a_line_with_an_error():
    with pytest.raises(Fault, match="out of memory"):
        parts_of(ollama_said(content="a"), {"error": "out of memory"})


def test_an_end_without_done_is_a_broken_stream():
    with pytest.raises(Fault, match="ended before"):
        parts_of(ollama_said(content="a"))


def test_the_body_has_options_format_and_the_names_of_tools_in_their_results(ask):
    messages = [
        Message.user("a"),
        Message(
            "assistant",
            (
                ThinkingBlock("mine", provider="ollama"),
                ThinkingBlock("theirs", "sig", "anthropic"),
                TextBlock("b"),
                ToolUseBlock("c1", "x", {"n": 1}),
            ),
        ),
        Message("user", (ToolResultBlock("c1", "ok", False), TextBlock("d"))),
    ]
    request = ask(messages, system="Be brief.", output_schema={"type": "object"})
    body = ollama_body(request, "qwen3", 100, 0.5)
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": "b",
            "thinking": "mine",
            "tool_calls": [{"id": "c1", "function": {"name": "x", "arguments": {"n": 1}}}],
        },
        {"role": "tool", "content": "ok", "tool_name": "x", "tool_call_id": "c1"},
        {"role": "assistant", "content": "(no answer)"},
        {"role": "user", "content": "d"},
    ]
    assert body["options"] == {"num_predict": 100, "temperature": 0.5}
    assert body["format"] == {"type": "object"}
    assert body["stream"] is True
