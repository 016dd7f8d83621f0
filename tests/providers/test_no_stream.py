"""A good response that is no stream says what it is, and is sent again only if that can pass."""

import gzip
import json

import httpx
import pytest

from provider_wires import openai_text, receive_request
from wingman import Agent, Session
from wingman.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderStreamError,
)
from wingman.providers import (
    Anthropic,
    Gemini,
    Ollama,
    OpenAI,
    OpenAICompatible,
    Retry,
    Transport,
)

URL = "http://model.test"
PROVIDERS = {
    "anthropic": Anthropic("m", api_key="sk-secret", base_url=URL),
    "responses": OpenAI("m", api_key="sk-secret", base_url=URL, api="responses"),
    "chat": OpenAICompatible("m", base_url=URL),
    "gemini": Gemini("m", api_key="sk-secret", base_url=URL),
    "ollama": Ollama("m", base_url=URL),
}

LOGIN = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>
  Sign in &ndash; Corp &amp; Co</title>
<style>body { color: red }</style><script>if (a < b) alert("x")</script></head>
<body><form><input name="password"></form></body></html>"""


@pytest.fixture(params=PROVIDERS)
def provider(request):
    return PROVIDERS[request.param]


async def failure(provider, ask, body: bytes, **headers: str) -> ProviderError:
    def answer(request: httpx.Request) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(200, content=body, headers=given)

    network = httpx.MockTransport(answer)
    async with Transport(over=network, retry=Retry(attempts=1)) as transport:
        with pytest.raises(ProviderError) as caught:
            async for _part in provider.stream(ask("Rain?"), transport):
                pass
    return caught.value


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/event-stream", ""])
async def test_a_web_page_is_told_by_its_title(provider, ask, kind):
    error = await failure(provider, ask, LOGIN.encode(), content_type=kind)
    assert "answered with a web page ('Sign in – Corp & Co')" in error.message
    assert "base URL" in error.message
    assert not any(mark in error.message for mark in ("<", "{", "password"))
    assert type(error) is ProviderError  # asking again changes nothing


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<html><body><h1>502</h1><p>Bad   gateway</body>", "'502 Bad gateway'"),
        ("  <HTML><TITLE></TITLE>Gone", "'Gone'"),
        ("<html><script>x</script><style>y", "a web page and"),
        ("\ufeff<!doctype HTML>" + "<" * 20_000, "a web page"),
        ("<html><title>" + "t" * 5000, "'" + "t" * 200 + "'"),
        ("<html><title>&#" + "9" * 6000 + ";", "a web page"),
        ("<html>" + "<script>" * 3000, "a web page"),
    ],
)
async def test_whatever_a_web_page_looks_like_it_is_told_in_short(ask, page, said):
    error = await failure(PROVIDERS["chat"], ask, page.encode())
    assert said in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "No such place."}, ProviderError),
        ({"message": "No such place.", "type": "invalid_request_error"}, ProviderRejected),
        ({"message": "No such place.", "type": "authentication_error"}, ProviderAuthError),
        ({"message": "No such place.", "code": 404}, ProviderRejected),
        ({"message": "No such place.", "code": "insufficient_quota"}, ProviderRateLimited),
        ({"message": "No such place.", "type": "overloaded_error"}, ProviderStreamError),
        ({"message": "No such place.", "type": "rate_limit_error"}, ProviderStreamError),
        ({"message": "No such place.", "code": 503}, ProviderStreamError),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
async def test_an_error_in_json_is_told_and_is_one_that_may_pass_only_if_it_says_so(
    provider, ask, error, kind, indent
):
    body = json.dumps({"error": error}, indent=indent).encode()
    if provider.id == "ollama" and indent is None and kind is ProviderError:
        kind = ProviderStreamError  # it is a line of its protocol
    told = await failure(provider, ask, body, content_type="application/json")
    assert "No such place." in told.message
    assert type(told) is kind


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"message": "no Route matched"}', "no Route matched"),
        (b'{"success": false, "errors": [{"message": "Quota"}]}', "Quota"),
        (b'{"status": "ok", "version": "1.2"}', '"version":"1.2"}'),
        (b'["up"]', "up"),
        (b'[\n{"error": {"message": "In a list"}}\n]', "In a list"),
        (b"upstream connect error or disconnect", "upstream connect error or disconnect"),
        (b"404 page not found\n", "404 page not found"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe\0\0", "bytes that are no text"),
    ],
)
@pytest.mark.parametrize("name", ["anthropic", "chat", "responses", "gemini"])
async def test_whatever_comes_in_place_of_a_stream_is_shown(name, ask, body, said):
    error = await failure(PROVIDERS[name], ask, body)
    assert said in error.message
    assert not isinstance(error, ProviderStreamError)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "x-unknown", "aes128gcm"])
async def test_a_content_coding_that_is_not_known_is_named(provider, ask, coding):
    body = b"\x1b\x03\x00\xf8\xff" * 50
    error = await failure(provider, ask, body, content_encoding=coding)
    assert f"the content coding '{coding}'" in error.message
    assert type(error) is ProviderError


async def test_a_coding_that_is_not_known_and_codes_nothing_does_no_harm(ask):
    answer = httpx.Response(200, content=openai_text(), headers={"content-encoding": "utf-8"})
    async with Transport(over=httpx.MockTransport(lambda _: answer)) as transport:
        parts = [part async for part in PROVIDERS["chat"].stream(ask("Rain?"), transport)]
    assert "".join(getattr(part, "text", "") for part in parts) == "It will rain."


async def test_an_error_page_that_is_compressed_is_read(ask):
    page = gzip.compress(LOGIN.encode())
    error = await failure(PROVIDERS["chat"], ask, page, content_encoding="gzip")
    assert "Sign in" in error.message


async def test_a_stream_under_another_content_type_is_a_stream(ask):
    for kind in ("application/json", "text/plain", "application/octet-stream", "text/html"):
        answer = httpx.Response(200, content=openai_text(), headers={"content-type": kind})
        async with Transport(over=httpx.MockTransport(lambda _, a=answer: a)) as transport:
            parts = [part async for part in PROVIDERS["chat"].stream(ask("Rain?"), transport)]
        assert "".join(getattr(part, "text", "") for part in parts) == "It will rain."


async def test_a_refusal_that_is_a_web_page_is_told_by_its_title():
    page = httpx.Response(403, html=LOGIN)
    async with Transport(over=httpx.MockTransport(lambda _: page)) as transport:
        with pytest.raises(ProviderAuthError, match="Sign in – Corp & Co") as caught:
            await PROVIDERS["anthropic"].models(transport)
    assert "<" not in caught.value.message


@pytest.mark.parametrize(
    ("body", "kind", "asked"),
    [
        (LOGIN.encode(), "text/html", 1),
        (b'{"error": {"message": "No."}}', "application/json", 1),
        (b'{"error": "The model is overloaded, try again."}', "application/json", 2),
        (b'{"error": {"message": "No.", "type": "overloaded_error"}}', "application/json", 2),
        (b'data: {"error": {"message": "No.", "type": "invalid_request"}}\n\n', "", 1),
        (b'data: {"error": {"message": "No.", "code": 503}}\n\n', "", 2),
        (b"", "text/event-stream", 2),
    ],
)
async def test_a_run_asks_again_only_where_it_may_pass(body, kind, asked, serve):
    requests = []

    async def handler(stream):
        requests.append(await receive_request(stream))
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        await stream.send_all(head.encode() + b"connection: close\r\n\r\n" + body)

    provider = OpenAICompatible("m", base_url=await serve(handler))
    async with Session(Agent("Assistant", provider=provider)) as session:
        with pytest.raises(ProviderError):
            await session.run("Rain?")
    assert len(requests) == asked
