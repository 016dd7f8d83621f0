"""A server that speaks models' APIs and that we did not write: aimock, and what it is to say.

`npm install --prefix tests/standins` puts it there; it needs node, and nothing of ours.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

__all__ = ["LONG", "USAGE", "running"]

FOLDER: Final = Path(__file__).parent / "standins"
LONG: Final = "It will rain in Bern; é and 雨 are there to be cut in two. " * 40
"""No character beyond the BMP: the stand-in would cut it into surrogates that are no characters."""


USAGE: Final = (1234, 56)
"""Input and output tokens, where it can be told what to count."""

_COUNTED: Final = {
    name: count
    for names, count in zip(
        (
            ("prompt_tokens", "input_tokens", "promptTokenCount"),
            ("completion_tokens", "output_tokens", "candidatesTokenCount"),
        ),
        USAGE,
        strict=True,
    )
    for name in names
}


def _call(name: str, **input: Any) -> dict[str, Any]:
    return {"name": name, "arguments": input}


def _says(message: str, response: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"match": {"userMessage": message}, "response": response, **more}


def _steps(message: str, *responses: dict[str, Any]) -> list[dict[str, Any]]:
    """One response after the other: by how many turns of the assistant's have gone before."""
    return [
        {"match": {"userMessage": message, "turnIndex": turn}, "response": response}
        for turn, response in enumerate(responses)
    ]


def _then(message: str, *responses: dict[str, Any]) -> list[dict[str, Any]]:
    """One response after the other: by how often the same has been asked."""
    return [
        {"match": {"userMessage": message, "sequenceIndex": index}, "response": response}
        for index, response in enumerate(responses)
    ]


_TWO_CALLS: Final = {
    "content": "Let me see.",
    "toolCalls": [_call("forecast", city="Bern"), _call("forecast", city="Zürich", days=2)],
}
_ONE_MORE: Final = {"toolCalls": [_call("forecast", city="Genève")]}


def _error(status: int, kind: str) -> dict[str, Any]:
    error = {"message": f"Stand-in says {status}", "type": kind}
    return {"error": error, "status": status, "retryAfter": 0}


def fixtures(protocols: list[str]) -> list[dict[str, Any]]:
    """What it says to which message; what is counted is counted of each protocol."""
    rain = {"content": "It will rain."}
    again = [
        fixture
        for protocol in protocols
        for fixture in (
            *_then(f"busy {protocol}", _error(429, "rate_limit_error"), rain),
            *_then(f"ill {protocol}", _error(500, "api_error"), _error(503, "api_error"), rain),
            *_then(f"two calls {protocol}", _TWO_CALLS, _ONE_MORE, rain),
        )
    ]
    return [
        *again,
        _says("speak long", {"content": LONG}, chunkSize=7),
        _says("speak", rain, chunkSize=4),
        _says("count", rain | {"usage": _COUNTED}),
        _says("think", rain | {"reasoning": "Clouds, and so on."}),
        _says("slowly", rain, streamingProfile={"ttft": 300, "tps": 1000}),
        _says("break off", {"content": LONG}, truncateAfterChunks=4),
        _says("always ill", _error(500, "api_error")),
        _says("who am I", _error(401, "authentication_error")),
        _says("nonsense", _error(400, "invalid_request_error")),
        *_steps("one call", {"toolCalls": [_call("forecast", city="Bern")]}, rain),
    ]


@contextmanager
def running(protocols: list[str], folder: Path) -> Iterator[str]:
    """Run it; yields its URL. Skips the test where it is not installed."""
    if shutil.which("node") is None:
        pytest.skip("the stand-in server needs node")
    if not (FOLDER / "node_modules").is_dir():
        pytest.skip("not installed: npm install --prefix tests/standins --no-package-lock")
    file = folder / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures(protocols)}))
    with subprocess.Popen(
        ["node", "aimock.mjs", file],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "the stand-in did not start"
        yield url
        process.stdin.close()  # it ends with it, and with us however we end
