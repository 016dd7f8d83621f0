"""What the providers' APIs say on the wire, and a raw HTTP server to say it: for tests."""

import json
from collections.abc import Iterable

import trio

WEATHER = [("forecast", {"city": "Bern"}), ("forecast", {"city": "Basel", "days": 2})]
"""The calls that every `*_tools` answer here makes."""

RAIN = ("It will ", "rain.")
"""The pieces that every `*_text` answer here has."""


def sse(*events: object, named: bool = True) -> bytes:
    """Server-Sent Events; a dict is JSON, and names its event by its `type`, if it has one."""
    frames = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        kind = event.get("type") if named and isinstance(event, dict) else None
        name = f"event: {kind}\n" if kind else ""
        frames.append(f"{name}data: {data}\n\n")
    return "".join(frames).encode()


def ndjson(*lines: object) -> bytes:
    """JSON values, one a line."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


# --- Anthropic ------------------------------------------------------------------------------------


def message_start(**usage: int) -> dict[str, object]:
    return {
        "type": "message_start",
        "message": {"id": "msg_1", "role": "assistant", "content": [], "usage": usage},
    }


def anthropic_block(index: int, block: dict[str, object], *deltas: dict[str, object]) -> list[dict]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def anthropic_end(reason: str = "end_turn", output_tokens: int = 5) -> list[dict]:
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": output_tokens},
        },
        {"type": "message_stop"},
    ]


def anthropic_text() -> bytes:
    deltas = ({"type": "text_delta", "text": piece} for piece in RAIN)
    return sse(
        message_start(input_tokens=7, cache_read_input_tokens=5, output_tokens=1),
        {"type": "ping"},
        *anthropic_block(0, {"type": "text", "text": ""}, *deltas),
        *anthropic_end(),
    )


def anthropic_tools() -> bytes:
    events = [message_start(input_tokens=12, output_tokens=1)]
    for index, (name, input) in enumerate(WEATHER):
        text = json.dumps(input)
        block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
        pieces = ("", text[:5], text[5:])
        deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
        events += anthropic_block(index, block, *deltas)
    return sse(*events, *anthropic_end("tool_use"))


# --- chat completions -----------------------------------------------------------------------------


def openai_delta(finish_reason: str | None = None, **delta: object) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"object": "chat.completion.chunk", "choices": [choice], "usage": None}


def openai_call(index: int | None = None, **call: object) -> dict[str, object]:
    """A delta of one call: `id`, `name`, `arguments`."""
    function = {key: call[key] for key in ("name", "arguments") if key in call}
    wire: dict[str, object] = {"function": function}
    if index is not None:
        wire["index"] = index
    if "id" in call:
        wire["id"] = call["id"]
    return openai_delta(tool_calls=[wire])


OPENAI_USAGE = {
    "choices": [],
    "usage": {
        "prompt_tokens": 12,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}


def openai_text() -> bytes:
    pieces = (openai_delta(content=piece) for piece in RAIN)
    start = openai_delta(role="assistant", content="")
    return sse(start, *pieces, openai_delta("stop"), OPENAI_USAGE, "[DONE]", named=False)


def openai_tools() -> bytes:
    events = []
    for index, (name, input) in enumerate(WEATHER):
        text = json.dumps(input)
        events += [
            openai_call(index, id=f"call_{index}", name=name, arguments=""),
            openai_call(index, arguments=text[:5]),
            openai_call(index, arguments=text[5:]),
        ]
    return sse(*events, openai_delta("tool_calls"), OPENAI_USAGE, "[DONE]", named=False)


# --- OpenAI's Responses ---------------------------------------------------------------------------


def responses_item(index: int, item: dict[str, object], *deltas: dict[str, object]) -> list[dict]:
    """An item of the output from `added` to `done`; each delta is an event without its index."""
    empty = {"content": [], "arguments": "", "summary": [], "encrypted_content": ""}
    begun = {key: empty.get(key, value) for key, value in item.items()}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        *(delta | {"output_index": index, "item_id": item.get("id")} for delta in deltas),
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def responses_said(index: int, *pieces: str) -> list[dict]:
    content = [{"type": "output_text", "text": "".join(pieces), "annotations": []}]
    item = {"id": f"msg_{index}", "type": "message", "role": "assistant", "content": content}
    deltas = ({"type": "response.output_text.delta", "delta": p, "logprobs": []} for p in pieces)
    return responses_item(index, item, *deltas)


def responses_call(index: int, name: str, arguments: str, **more: object) -> list[dict]:
    item = {
        "id": f"fc_{index}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{index}",
        "name": name,
        "arguments": arguments,
    }
    pieces = (arguments[:5], arguments[5:])
    kind = "response.function_call_arguments.delta"
    events = responses_item(index, item | more, *({"type": kind, "delta": p} for p in pieces))
    done = {"type": "response.function_call_arguments.done", "arguments": arguments}
    return [*events[:-1], done, events[-1]]


def responses_end(kind: str = "completed", **response: object) -> dict[str, object]:
    usage = {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 5},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 17,
    }
    body = {"id": "resp_1", "status": kind, "error": None, "usage": usage}
    return {"type": f"response.{kind}", "response": body | response}


RESPONSES_START = {"type": "response.created", "response": {"id": "resp_1", "usage": None}}


def responses_text() -> bytes:
    return sse(RESPONSES_START, *responses_said(0, *RAIN), responses_end())


def responses_tools() -> bytes:
    events = [RESPONSES_START]
    for index, (name, input) in enumerate(WEATHER):
        events += responses_call(index, name, json.dumps(input))
    return sse(*events, responses_end())


# --- Gemini ---------------------------------------------------------------------------------------


def gemini_chunk(
    *parts: dict[str, object], reason: str | None = None, **more: object
) -> dict[str, object]:
    """A chunk of one candidate; `more` belongs to the candidate."""
    candidate: dict[str, object] = {"content": {"parts": [*parts], "role": "model"}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 3, "totalTokenCount": 17}
    details = {"cachedContentTokenCount": 5, "thoughtsTokenCount": 2}
    return {
        "candidates": [candidate | more],
        "usageMetadata": usage | details,
        "modelVersion": "gemini",
        "responseId": "r1",
    }


def gemini_call(name: str, args: object, **part: object) -> dict[str, object]:
    return {"functionCall": {"name": name, "args": args}, **part}


def gemini_text() -> bytes:
    pieces = (gemini_chunk({"text": piece}) for piece in RAIN)
    return sse(*pieces, gemini_chunk({"text": ""}, reason="STOP"))


def gemini_tools() -> bytes:
    (first, second) = (gemini_call(name, input) for name, input in WEATHER)
    return sse(
        gemini_chunk(first | {"thoughtSignature": "c2ln"}), gemini_chunk(second, reason="STOP")
    )


# --- Ollama ---------------------------------------------------------------------------------------


def ollama_said(**message: object) -> dict[str, object]:
    return {"model": "m", "message": {"role": "assistant", **message}, "done": False}


def ollama_done(reason: str = "stop") -> dict[str, object]:
    counts = {"prompt_eval_count": 12, "eval_count": 5}
    return {"message": {"content": ""}, "done": True, "done_reason": reason, **counts}


def ollama_text() -> bytes:
    return ndjson(*(ollama_said(content=piece) for piece in RAIN), ollama_done())


def ollama_tools() -> bytes:
    calls = [{"function": {"name": name, "arguments": input}} for name, input in WEATHER]
    return ndjson(ollama_said(content="", tool_calls=calls), ollama_done())


# --- a raw server ---------------------------------------------------------------------------------


async def receive_request(stream: trio.SocketStream) -> tuple[str, bytes]:
    """Read one HTTP request: its head, and its body."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = await stream.receive_some()
        if not chunk:
            raise trio.BrokenResourceError("no request came")
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.decode().lower().split("\r\n"):
        if line.startswith("content-length:"):
            length = int(line.partition(":")[2])
    while len(body) < length:
        body += await stream.receive_some()
    return head.decode(), body


def response_head(status: int = 200, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", "transfer-encoding: chunked", *headers, "", ""]
    return "\r\n".join(lines).encode()


def chunks(pieces: Iterable[bytes], *, end: bool = True) -> bytes:
    """A chunked body; without `end` it goes on."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    return body + (b"0\r\n\r\n" if end else b"")
