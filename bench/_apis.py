"""A server that speaks five models' APIs, a process of its own: what it says is made once.

It answers any message with the same text, in one write (`burst`) or an event a TCP segment, as
models send them (`segments`). What stands on the wire is what the tests of the adapters have. Chat
completions are whole where a request does not ask for a stream, as peers do.
"""

import gc
import json
import re
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import trio

# The wires belong to the tests, and pytest finds them there too.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import provider_wires as wires
from wingman.providers import Anthropic, Gemini, Ollama, OpenAI, OpenAICompatible, Provider

__all__ = ["ADAPTERS", "adapter"]

_SEGMENT_SECONDS: Final = 0.001

_STREAMED: Final = re.compile(rb'"stream":\s*true')

ADAPTERS: Final[dict[str, Callable[[str], Provider]]] = {
    "anthropic": lambda url: Anthropic("m", base_url=url, api_key="none"),
    "openai chat": lambda url: OpenAICompatible("m", base_url=url, api_key="none"),
    "openai responses": lambda url: OpenAI("m", base_url=url, api_key="none", api="responses"),
    "gemini": lambda url: Gemini("m", base_url=url, api_key="none"),
    "ollama": lambda url: Ollama("m", base_url=url),
}

Wire: TypeAlias = tuple[bytes, list[bytes]]
"""What a request's path contains, and the events of the answer."""


def adapter(name: str, url: str) -> Provider:
    """The provider of this name, which reaches the server at `url`."""
    return ADAPTERS[name](url)


def _wires(pieces: Iterable[str]) -> list[Wire]:
    texts = list(pieces)
    deltas = [{"type": "text_delta", "text": text} for text in texts]
    anthropic: list[Any] = [
        wires.message_start(input_tokens=7, output_tokens=1),
        *wires.anthropic_block(0, {"type": "text", "text": ""}, *deltas),
        *wires.anthropic_end(),
    ]
    chat: list[Any] = [
        wires.openai_delta(role="assistant", content=""),
        *(wires.openai_delta(content=text) for text in texts),
        wires.openai_delta("stop"),
        wires.OPENAI_USAGE,
        "[DONE]",
    ]
    responses = [
        wires.RESPONSES_START,
        *wires.responses_said(0, *texts),
        wires.responses_end(),
    ]
    gemini = [
        *(wires.gemini_chunk({"text": text}) for text in texts),
        wires.gemini_chunk({"text": ""}, reason="STOP"),
    ]
    ollama = [*(wires.ollama_said(content=text) for text in texts), wires.ollama_done()]
    return [
        (b"/messages", [wires.sse(event) for event in anthropic]),
        (b"/chat/completions", [wires.sse(event, named=False) for event in chat]),
        (b"/responses", [wires.sse(event) for event in responses]),
        (b":streamGenerateContent", [wires.sse(event) for event in gemini]),
        (b"/api/chat", [wires.ndjson(event) for event in ollama]),
    ]


def _answers(pieces: Iterable[str], *, burst: bool) -> list[tuple[bytes, list[bytes]]]:
    """By path: the answer, in the segments in which it is sent."""
    answers = []
    for path, events in _wires(pieces):
        kind = "application/x-ndjson" if path == b"/api/chat" else "text/event-stream"
        head = wires.response_head(200, f"content-type: {kind}")
        segments = [head, *(wires.chunks([event], end=False) for event in events), b"0\r\n\r\n"]
        answers.append((path, [b"".join(segments)] if burst else segments))
    return answers


def _whole(text: str) -> bytes:
    """The answer of chat completions, which is not a stream."""
    message = {"role": "assistant", "content": text}
    content = json.dumps(
        {
            "id": "completion",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


class _Api:
    """The server: each connection is kept alive, and each request has its path's answer."""

    def __init__(self, answers: list[tuple[bytes, list[bytes]]], whole: bytes) -> None:
        self._answers = answers
        self._whole = [whole]

    async def converse(self, stream: trio.SocketStream) -> None:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = bytearray()
        while True:
            while (end := received.find(b"\r\n\r\n")) < 0:
                if not (more := await stream.receive_some(65536)):
                    return
                received += more
            head = bytes(received[:end]).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            while len(received) < end + 4 + length:
                received += await stream.receive_some(1 << 20)
            body = bytes(received[end + 4 : end + 4 + length])
            del received[: end + 4 + length]
            segments = self._answer(head.partition(b"\r\n")[0], body)
            for segment in segments:
                await stream.send_all(segment)
                if len(segments) > 1:
                    await trio.sleep(_SEGMENT_SECONDS)

    def _answer(self, line: bytes, body: bytes) -> list[bytes]:
        if b"/chat/completions" in line and not _STREAMED.search(body):
            return self._whole
        return next(said for path, said in self._answers if path.lower() in line)


async def main(way: str, pieces: int) -> None:
    """Serve on a free port; the URL is printed."""
    texts = ["word "] * pieces
    api = _Api(_answers(texts, burst=way == "burst"), _whole("".join(texts)))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    gc.freeze()
    print(f"http://127.0.0.1:{port}", flush=True)
    await trio.serve_listeners(api.converse, listeners)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[3]))
