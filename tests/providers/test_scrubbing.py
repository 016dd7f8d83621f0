"""A key that a provider echoes is seen nowhere: no field, no encoding, no log, no store."""

import base64
import html
import json
import logging
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_wires import chunks, ndjson, receive_request, response_head, sse
from wingman import Agent, Runtime
from wingman.errors import ProviderError, ProviderNotConfigured
from wingman.providers import (
    Anthropic,
    Fallback,
    Gemini,
    Ollama,
    OpenAI,
    OpenAICompatible,
    ProviderRegistry,
    Retry,
    Transport,
)
from wingman.providers.local.llama_servers import LlamaServer
from wingman.providers.transport import Call, scrub
from wingman.store import open_store

PLAIN = "sk-very-secret-0123456789"
ODD = 'sk-"quoted"\\and\\\\back/slashed<&\'>%41+=~'
KEYS = [PLAIN, ODD]

ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON in JSON": lambda key: json.dumps(json.dumps(key))[3:-3],
    "JSON three times": lambda key: json.dumps(json.dumps(json.dumps(key)))[7:-7],
    "JSON with slashes escaped": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON with HTML escaped": lambda key: "".join(
        f"\\u{ord(c):04x}" if c in "<>&'" else c for c in json.dumps(key)[1:-1]
    ),
    "JSON all escaped": lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    "repr": lambda key: repr(key)[1:-1],
    "repr of bytes": lambda key: repr(key.encode())[2:-1],
    "repr in repr": lambda key: repr(repr(key))[1:-1],
    "hexadecimal escapes": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "URL": lambda key: quote(key, safe=""),
    "URL in small letters": lambda key: quote(key, safe="").lower() if key is PLAIN else quote(key),
    "form": quote_plus,
    "URL in URL": lambda key: quote(quote(key, safe=""), safe=""),
    "URL all escaped": lambda key: "".join(f"%{ord(c):02x}" for c in key),
    "URL by code points": lambda key: "".join(f"%u{ord(c):04X}" for c in key),
    "octal escapes": lambda key: "".join(f"\\{ord(c):03o}" for c in key),
    "long escapes": lambda key: "".join(f"\\U{ord(c):08x}" for c in key),
    "escapes in braces": lambda key: "".join(f"\\u{{{ord(c):x}}}" for c in key),
    "HTML by numbers without their end": lambda key: "".join(f"&#x{ord(c):X}" for c in key),
    "HTML": html.escape,
    "HTML by numbers": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "HTML by hexadecimal numbers": lambda key: "".join(f"&#x{ord(c):X};" for c in key),
    "JSON in HTML": lambda key: html.escape(json.dumps(key))[6:-6],
    "HTML in JSON": lambda key: json.dumps(html.escape(key))[1:-1],
    "URL in JSON": lambda key: json.dumps(quote(key))[1:-1],
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "basic authentication": lambda key: base64.b64encode(f":{key}".encode()).decode(),
    "basic authentication of a user": lambda key: base64.b64encode(f"ab:{key}".encode()).decode(),
    "basic authentication, first": lambda key: base64.b64encode(f"{key}:x".encode()).decode(),
    "base64 in JSON": lambda key: json.dumps(base64.b64encode(key.encode()).decode())[1:-1],
    "base64 in URL": lambda key: quote(base64.b64encode(key.encode()).decode(), safe=""),
    "hexadecimal": lambda key: key.encode().hex(),
    "HEXADECIMAL": lambda key: key.encode().hex().upper(),
    "a beginning": lambda key: key[:12],
    "cut and dotted": lambda key: f"{key[:16]}...",
}


def shown(text: str, key: str) -> bool:
    """Whether a key, or eight characters of its beginning, can be read out of a text."""
    encoded = base64.b64encode(b"\0\0" + key.encode()).decode()[4:20]
    for _ in range(4):
        for part in (key[:8], base64.b64encode(key.encode()).decode()[:16], encoded):
            if part in text:
                return True
        if key.encode().hex()[:16] in text.lower():
            return True
        text = html.unescape(text)
        with warnings.catch_warnings():  # of backslashes that escape nothing
            warnings.simplefilter("ignore", DeprecationWarning)
            text = text.encode("latin-1", "replace").decode("unicode_escape", "replace")
    return False


# --- one text -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_is_found_in_every_encoding(encoding, key):
    written = ENCODINGS[encoding](key)
    said = scrub(f"before {written} after, and {written}.", [key])
    assert written not in said
    assert not shown(said, key)
    assert said.startswith("before ")
    assert " after, and " in said


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8), st.text())
def test_whatever_the_secret_it_is_found_and_all_else_stays(key, text):
    for encode in (
        str,
        ENCODINGS["JSON"],
        ENCODINGS["URL"],
        ENCODINGS["HTML"],
        ENCODINGS["base64"],
    ):
        written = encode(key)
        assert written not in scrub(f"{text} {written} {text}", [key]) or written in text
    if scrub(text, [key]) != text:
        assert key[:8] in text or len(text) > 8


@pytest.mark.parametrize("encoding", ["raw", "JSON", "URL", "repr of bytes", "form"])
def test_a_secret_that_is_not_ascii_is_found_too(encoding):
    key = "clé-très-secrète-日本語"
    written = ENCODINGS[encoding](key)
    assert scrub(f"before {written} after", [key]) == "before … after"


@pytest.mark.parametrize("escape", ["\\U99999999", "\\u{ffffff}", "&#x", "%u00", "\\400"])
def test_an_escape_of_no_character_is_passed_over(escape):
    assert scrub(f"{escape} {PLAIN} {escape}", [PLAIN]) == f"{escape} … {escape}"


def test_what_is_no_secret_stays():
    text = 'a "text" with \\u0041, %41, &amp; and \\n, sk-other'
    assert scrub(text, [PLAIN]) == text
    assert scrub(text, []) == text
    assert scrub(text, [""]) == text
    assert scrub("no x of an x", ["x"]) == "no x of an x"  # that is no secret
    assert scrub("key: test", ["test"]) == "key: …"


def test_it_takes_little_time_whatever_the_text():
    worst = ("\\", "%", "&", "\\u0041", "%25", "&amp;", "%5Cu0026#92;", PLAIN[:7], "&#92;u0025")
    texts = [(text * 4_000)[:4_000] for text in worst]
    started = time.process_time()
    for text in texts:
        scrub(text, [PLAIN, ODD])
    assert time.process_time() - started < 0.1 * len(texts)  # a hundredth, on a machine at rest


# --- every way out --------------------------------------------------------------------------------

URL = "http://model.test"
PROVIDERS = {
    "anthropic": lambda key: Anthropic("m", api_key=key, base_url=URL),
    "responses": lambda key: OpenAI("m", api_key=key, base_url=URL, api="responses"),
    "chat": lambda key: OpenAICompatible("m", api_key=key, base_url=URL),
    "gemini": lambda key: Gemini("m", api_key=key, base_url=URL),
    "ollama": lambda key: Ollama("m", api_key=key, base_url=URL),
}


def echoes(name: str, key: str) -> list[httpx.Response]:
    """All the places in which a provider may say a key."""
    error = {
        "message": f"Bad key {key}",
        "type": f"t-{key}",
        "code": f"c-{key}",
        "status": f"s-{key}",
        "details": [{"reason": f"r-{key}"}],
    }
    headers = {"request-id": quote(key), "x-request-id": quote(key), "content-type": quote(key)}
    body = {"error": error, "request_id": f"req-{key}", "type": "error"}
    in_stream = ndjson(body) if name == "ollama" else sse(body, named=False)
    reason = {"choices": [{"delta": {}, "finish_reason": f"why-{key}"}]}
    return [
        *(httpx.Response(status, json=body, headers=headers) for status in (400, 401, 429, 500)),
        httpx.Response(400, json={"error": json.dumps(body)}, headers={"request-id": key[:12]}),
        httpx.Response(403, html=f"<title>{html.escape(key)}</title>"),
        httpx.Response(500, text=f"No such key: {key}", headers=headers),
        httpx.Response(307, headers={"location": f"/?key={quote(key)}"}),
        httpx.Response(200, json=body, headers=headers),
        httpx.Response(200, html=f"<title>{html.escape(key)}</title>", headers=headers),
        httpx.Response(200, text=f"Key: {key}", headers=headers),
        httpx.Response(200, content=b"x", headers=headers | {"content-encoding": quote(key)}),
        httpx.Response(200, content=in_stream, headers=headers),
        httpx.Response(200, content=in_stream[:-9] + b"\n" + key.encode(), headers=headers),
        httpx.Response(200, content=b"event: error\ndata: " + key.encode() + b"\n\n"),
        httpx.Response(200, content=sse(reason, named=False), headers=headers),
        httpx.Response(200, content=b"data: {" + key.encode() + b"\n\n"),
        httpx.Response(200, content=b"", headers=headers),
    ]


FAILURES: list[Callable[[str], Exception]] = [
    lambda key: httpx.ConnectError(f"no route with {key}"),
    lambda key: httpx.LocalProtocolError(f"Illegal header value {key.encode()!r}"),
    lambda key: httpx.RemoteProtocolError(f"illegal status line: {bytearray(key.encode())!r}"),
    lambda key: httpx.ReadTimeout(key),
    lambda key: OSError(f"[Errno 5] {key!r}"),
    lambda key: httpx.ProxyError(base64.b64encode(f"user:{key}".encode()).decode()),
]


async def told(provider, answer: httpx.Response | Exception, ask) -> ProviderError | None:
    def respond(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            try:
                raise LookupError(str(answer))  # as httpx's come out of httpcore's
            except LookupError as error:
                raise answer from error
        return answer

    retry = Retry(attempts=2, first_delay=0.0)
    async with Transport(over=httpx.MockTransport(respond), retry=retry) as transport:
        try:
            async for _part in provider.stream(ask("Rain?"), transport):
                pass
        except ProviderError as error:
            return error
    return None


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", PROVIDERS)
async def test_no_field_of_no_error_shows_the_key(name, key, ask, caplog, autojump_clock):
    caplog.set_level(logging.DEBUG)
    answers = [*echoes(name, key), *(failure(key) for failure in FAILURES)]
    errors = [await told(PROVIDERS[name](key), answer, ask) for answer in answers]
    assert sum(error is not None for error in errors) >= len(answers) - 1
    for error in filter(None, errors):
        fields = [str(error), repr(error), error.message, error.error_type, error.request_id]
        printed = "".join(traceback.format_exception(error))
        for text in [*map(str, fields), printed]:
            assert not shown(text, key), text
    assert not shown(caplog.text, key)


async def test_the_error_of_one_of_several_does_not_show_its_key(ask, caplog, autojump_clock):
    several = Fallback(PROVIDERS["anthropic"](PLAIN), PROVIDERS["gemini"](PLAIN))
    for answer in echoes("anthropic", PLAIN):
        if (error := await told(several, answer, ask)) is not None:
            assert not shown(f"{error} {error!r}", PLAIN)
    assert not shown(caplog.text, PLAIN)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_list_of_models_does_not_show_the_key(name, caplog):
    rows = [{"id": PLAIN, "name": f"models/{PLAIN}", "display_name": PLAIN}]
    rows[0]["supportedGenerationMethods"] = ["generateContent"]
    for body in ({"data": rows, "models": rows}, {"data": PLAIN, "models": PLAIN}, [PLAIN]):
        answer = httpx.Response(200, json=body)
        async with Transport(over=httpx.MockTransport(lambda _, a=answer: a)) as transport:
            id = {"responses": "openai", "chat": "openai-compatible"}.get(name, name)
            models = await ProviderRegistry().models(id, transport, api_key=PLAIN, base_url=URL)
        assert not shown(repr(models), PLAIN)
    assert not shown(caplog.text, PLAIN)


PASSWORD = "hunter-two-2"


async def test_a_password_in_a_url_is_a_secret_too(ask):
    for user in ("user", "us%65r"):
        place = f"http://{user}:{PASSWORD}@model.test"
        sent = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        for said in (place, PASSWORD, f"Basic {sent}"):
            answer = httpx.Response(400, json={"error": said}, headers={"request-id": said})
            error = await told(OpenAICompatible("m", base_url=place), answer, ask)
            assert error is not None
            assert PASSWORD not in str(error)
            assert sent not in str(error)
    assert PASSWORD not in repr(Call("x", f"http://:{PASSWORD}@x/").secrets[:0])


@pytest.mark.parametrize("place", [f"http://user:{PASSWORD}@model.test", f"http://{PASSWORD}@x"])
def test_what_is_not_configured_is_told_without_the_password_of_its_url(ask, place):
    with pytest.raises(ProviderNotConfigured) as caught:
        Anthropic("m", base_url=place).stream(ask(), Transport())
    assert PASSWORD not in str(caught.value)


def test_a_url_that_is_none_is_told_without_what_may_be_a_password(ask):
    for place in (f"http://user:{PASSWORD}", f"user:{PASSWORD}"):
        with pytest.raises(ProviderNotConfigured) as caught:
            Ollama("m", base_url=place).stream(ask(), Transport())
        assert PASSWORD not in str(caught.value)


# --- the log, the events, the store ---------------------------------------------------------------


def written_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize("key", KEYS)
async def test_neither_the_run_nor_the_database_nor_the_log_has_the_key(
    key, serve, tmp_path, caplog
):
    caplog.set_level(logging.DEBUG, "wingman")
    answers = []

    async def handler(stream):
        await receive_request(stream)
        status, body, more = answers[-1]
        await stream.send_all(response_head(status, "connection: close", *more) + chunks([body]))

    url = await serve(handler)
    body = json.dumps({"error": {"message": f"no {key}", "type": key}, "request_id": key}).encode()
    answers += [
        (401, body, [f"request-id: {key}"]),
        (200, b"data: " + body + b"\n\n", [f"x-request-id: {key}"]),
        (200, body, [f"x-request-id: {base64.b64encode(key.encode()).decode()}"]),
        (200, f"<html><title>{html.escape(key)}".encode(), ["content-type: text/html"]),
    ]
    path = tmp_path / "sessions.db"
    texts = []
    async with Runtime(store=open_store(str(path))) as runtime:
        provider = Anthropic("m", api_key=key, base_url=url)
        while answers:
            session = await runtime.create_session(Agent("Assistant", provider=provider))
            try:
                await session.run("Rain?")
            except ProviderError as error:
                texts.append(str(error))
            answers.pop()
    assert len(texts) == 4
    written = written_in(tmp_path)
    assert b"Rain?" in written
    for text in (*texts, caplog.text, written.decode("latin-1")):
        assert not shown(text, key)


def test_what_a_local_models_process_says_does_not_show_its_token(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG, "wingman")
    program = tmp_path / "program.py"
    program.write_text(
        "import json, sys\n"
        "order = json.loads(sys.stdin.readline())\n"
        "print('0.1 E bad token', order['token'], flush=True)\n"
        "print(json.dumps(order), flush=True)\n"
    )
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    monkeypatch.setattr("wingman.providers.local.llama_servers._PROGRAM", program)
    server = LlamaServer(model, 10)
    server._listener.join(20)
    error = server._failure()
    server.end()
    assert "bad token …" in str(error)
    assert server._token not in str(error) + caplog.text
    assert server._token not in "".join(server._said)
