"""What each provider's API demands of a request, by its documentation: a checker for each.

They know nothing of how the bodies are made. A body that one of them passes is one that the API
would not refuse for its form.
"""

import base64
import json
import re
from itertools import pairwise
from typing import Any

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
COMMON_IMAGES = {"image/gif", "image/jpeg", "image/png", "image/webp"}
GEMINI_IMAGES = {"image/heic", "image/heif", "image/jpeg", "image/png", "image/webp"}

Json = dict[str, Any]


def is_base64(data: str) -> bool:
    return bool(base64.b64decode(data, validate=True))


def check_data_url(url: str) -> None:
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    assert media_type in COMMON_IMAGES
    assert is_base64(data)


# --- Anthropic: https://docs.anthropic.com/en/api/messages ----------------------------------------


def check_anthropic(body: Json) -> None:
    turns = body["messages"]
    assert [turn["role"] for turn in turns] == [
        "assistant" if index % 2 else "user" for index in range(len(turns))
    ]
    assert body["max_tokens"] > 0
    assert json.dumps(body).count("cache_control") <= 4
    check_tool_names([tool["name"] for tool in body.get("tools", [])])
    due: list[str] = []
    for turn in turns:
        assert turn["content"]
        results = [b["tool_use_id"] for b in turn["content"] if b["type"] == "tool_result"]
        assert results == due
        assert all(b["type"] == "tool_result" for b in turn["content"][: len(results)])
        for block in turn["content"]:
            check_anthropic_block(block, turn["role"])
        due = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        if turn["role"] == "assistant":
            assert turn["content"][-1]["type"] not in ("thinking", "redacted_thinking")
    assert not due
    assert turns[-1]["role"] == "user"


def check_anthropic_block(block: Json, role: str) -> None:
    assistants = ("text", "thinking", "redacted_thinking", "tool_use")
    assert block["type"] in (
        assistants if role == "assistant" else ("text", "image", "tool_result")
    )
    match block["type"]:
        case "text":
            assert block["text"].strip()
        case "image":
            assert block["source"]["type"] == "base64"
            assert block["source"]["media_type"] in COMMON_IMAGES
            assert is_base64(block["source"]["data"])
        case "thinking":
            assert block["signature"]
        case "tool_use":
            assert re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"])
            assert NAME.fullmatch(block["name"])
            assert isinstance(block["input"], dict)
        case "tool_result":
            assert re.fullmatch(r"[a-zA-Z0-9_-]+", block["tool_use_id"])
            content = block["content"]
            assert content or not block.get("is_error")
            for inner in content if isinstance(content, list) else ():
                check_anthropic_block(inner, "user")


# --- Responses: https://platform.openai.com/docs/api-reference/responses/create -------------------


def check_responses(body: Json) -> None:
    assert body["store"] is False
    check_tool_names([tool["name"] for tool in body.get("tools", [])])
    called: list[str] = []
    answered: list[str] = []
    items = body["input"]
    for item, following in zip(items, [*items[1:], None], strict=True):
        assert None not in item.values()
        match item.get("type", "message"):
            case "message":
                check_responses_message(item)
            case "reasoning":
                assert item["encrypted_content"]
                assert body["include"] == ["reasoning.encrypted_content"]
                assert following is not None
                kind = following.get("type", following.get("role"))
                assert kind in ("reasoning", "function_call", "assistant")
            case "function_call":
                assert 0 < len(item["call_id"]) <= 64
                assert NAME.fullmatch(item["name"])
                assert isinstance(json.loads(item["arguments"]), dict)
                called.append(item["call_id"])
            case "function_call_output":
                check_responses_output(item["output"])
                answered.append(item["call_id"])
            case kind:
                raise AssertionError(kind)
    assert called == answered
    assert len(set(called)) == len(called)


def check_responses_message(item: Json) -> None:
    assert item["content"]
    for part in item["content"]:
        if item["role"] == "assistant":
            assert part["type"] == "output_text"
            assert part["text"].strip()
        else:
            assert item["role"] == "user"
            check_responses_part(part)


def check_responses_output(output: str | list[Json]) -> None:
    for part in output if isinstance(output, list) else ():
        check_responses_part(part)


def check_responses_part(part: Json) -> None:
    if part["type"] == "input_image":
        check_data_url(part["image_url"])
    else:
        assert part["type"] == "input_text"
        assert part["text"]


# --- chat completions: https://platform.openai.com/docs/api-reference/chat/create -----------------


def check_alternation(turns: list[Json]) -> None:
    """What templates demand that are strict: user and assistant in turn, no user after a tool.

    Mistral's templates, and Gemma's, raise where it is otherwise; Mistral's API answers 400:
    https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.3/blob/main/tokenizer_config.json,
    https://docs.mistral.ai/capabilities/function_calling
    """
    roles = [turn["role"] for turn in turns if turn["role"] != "system"]
    assert roles[0] == "user"
    assert "system" not in [turn["role"] for turn in turns[1:]]
    for role, following in pairwise(roles):
        assert (role, following) not in (
            ("user", "user"),
            ("user", "tool"),
            ("tool", "user"),
            ("assistant", "assistant"),
        )
    said = [
        turn["role"]
        for turn in turns
        if turn["role"] in ("user", "assistant") and not turn.get("tool_calls")
    ]
    assert said == ["assistant" if index % 2 else "user" for index in range(len(said))]


def check_mistral(turns: list[Json]) -> None:
    """Ids of nine letters and digits, and no assistant without content or calls."""
    for turn in turns:
        ids = [call["id"] for call in turn.get("tool_calls", [])]
        ids += [turn["tool_call_id"]] if turn["role"] == "tool" else []
        assert all(re.fullmatch(r"[a-zA-Z0-9]{9}", id) for id in ids)
        if turn["role"] == "assistant":
            assert turn.get("tool_calls") or turn["content"]


def check_tool_names(names: list[str], also: str = "") -> None:
    """Such as the API takes, and no two alike."""
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(rf"[a-zA-Z0-9_{also}-]{{1,64}}", name) for name in names)


def check_chat(body: Json, *, mistral: bool = False) -> None:
    check_alternation(body["messages"])
    check_tool_names([tool["function"]["name"] for tool in body.get("tools", [])])
    if mistral:
        check_mistral(body["messages"])
    due: list[str] = []
    for turn in body["messages"]:
        if turn["role"] == "tool":
            assert due.pop(0) == turn["tool_call_id"]
            assert isinstance(turn["content"], str)
            continue
        assert not due
        if turn["role"] == "assistant":
            calls = turn.get("tool_calls", [])
            assert calls or turn["content"]
            assert "tool_calls" not in turn or calls
            due = [check_chat_call(call) for call in calls]
        elif isinstance(turn["content"], list):
            assert turn["role"] == "user"
            for part in turn["content"]:
                if part["type"] == "image_url":
                    check_data_url(part["image_url"]["url"])
                else:
                    assert isinstance(part["text"], str)
        else:
            assert isinstance(turn["content"], str)
    assert not due
    assert body["messages"][-1]["role"] in ("user", "tool")


def check_chat_call(call: Json) -> str:
    assert call["type"] == "function"
    assert NAME.fullmatch(call["function"]["name"])
    assert isinstance(json.loads(call["function"]["arguments"]), dict)
    assert 0 < len(call["id"]) <= 40
    return call["id"]


# --- Gemini: https://ai.google.dev/api/caching#Content --------------------------------------------


def check_gemini(body: Json, *, signed: bool = True) -> None:
    for declared in body.get("tools", []):
        check_tool_names([tool["name"] for tool in declared["functionDeclarations"]], also=".:")
    turns = body["contents"]
    assert [turn["role"] for turn in turns] == [
        "model" if index % 2 else "user" for index in range(len(turns))
    ]
    due: list[tuple[str, str]] = []
    for turn in turns:
        parts = turn["parts"]
        assert parts
        for part in parts:
            check_gemini_part(part, turn["role"])
        responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
        assert [(response["id"], response["name"]) for response in responses] == due
        assert all("functionResponse" in part for part in parts[: len(responses)])
        calls = [part for part in parts if "functionCall" in part]
        due = [(part["functionCall"]["id"], part["functionCall"]["name"]) for part in calls]
        if signed and calls:
            assert calls[0]["thoughtSignature"]
    assert not due
    assert turns[-1]["role"] == "user"


def check_gemini_part(part: Json, role: str) -> None:
    (kind,) = {"text", "inlineData", "functionCall", "functionResponse"} & part.keys()
    assert (kind != "functionCall") or role == "model"
    assert (kind not in ("inlineData", "functionResponse")) or role == "user"
    match kind:
        case "text":
            assert part["text"].strip() or part["thoughtSignature"]
            assert not part.get("thought") or part["thoughtSignature"]
        case "inlineData":
            assert part["inlineData"]["mimeType"] in GEMINI_IMAGES
            assert is_base64(part["inlineData"]["data"])
        case "functionCall":
            assert re.fullmatch(r"[a-zA-Z0-9_.:-]{1,64}", part["functionCall"]["name"])
            assert isinstance(part["functionCall"]["args"], dict)
        case "functionResponse":
            assert isinstance(part["functionResponse"]["response"], dict)


# --- Ollama: https://github.com/ollama/ollama/blob/main/docs/api.md -------------------------------


def check_ollama(body: Json, *, mistral: bool = False) -> None:
    check_alternation(body["messages"])
    check_tool_names([tool["function"]["name"] for tool in body.get("tools", [])])
    if mistral:
        check_mistral(body["messages"])
    due: list[tuple[str, str]] = []
    for turn in body["messages"]:
        assert isinstance(turn["content"], str)
        assert turn["role"] in ("system", "user", "assistant", "tool")
        assert all(map(is_base64, turn.get("images", ())))
        if turn["role"] == "tool":
            assert due.pop(0) == (turn["tool_call_id"], turn["tool_name"])
            continue
        assert not due
        for call in turn.get("tool_calls", ()):
            assert isinstance(call["function"]["arguments"], dict)
            due.append((call["id"], call["function"]["name"]))
    assert not due
