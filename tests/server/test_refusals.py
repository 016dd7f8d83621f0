"""What cannot be is refused as it is given, and the error says what to do."""

import os
from pathlib import Path
from typing import Any

import pytest

from server_kit import Server, error_of
from wingman import Agent, ImageBlock, Runtime
from wingman.errors import InvalidRequest
from wingman.providers import Scripted


@pytest.mark.parametrize("version", [b"0.9", b"1.2", b"2.0", b"3.0", b"9.9"])
async def test_another_version_of_http_is_refused_with_a_sentence(
    server: Server, version: bytes
) -> None:
    for method in (b"GET", b"HEAD"):
        async with await server.wire() as wire:
            request = b"%b /health HTTP/%b\r\nHost: localhost\r\n\r\n" % (method, version)
            await wire.stream.send_all(request)
            head = await wire.head()
            assert head.status == 400
            assert head.headers["connection"] == "close"
            if method == b"GET":
                body = await wire._exactly(int(head.headers["content-length"]))
                assert b"HTTP/1.1 and HTTP/1.0, not HTTP/" + version in body
                assert head.headers["x-request-id"].encode() in body
            assert await wire.at_end()


@pytest.mark.parametrize(
    ("request_head", "status", "text"),
    [
        (b"get /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"in capitals"),
        (b"Get /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"in capitals"),
        (
            b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            400,
            b"not both",
        ),
        (
            b"POST /sessions HTTP/1.0\r\nHost: localhost\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            400,
            b"Content-Length",
        ),
        (
            b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
            b"chunked",
        ),
        (b"GET /he alth HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"no HTTP/1.1 request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, b"without TLS"),
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 70_000, 431, b"head_too_large"),
        (
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
            431,
            b"head_too_large",
        ),
        (
            b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 3_000 + b"\r\n",
            431,
            b"head_too_large",
        ),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, b"16 KiB"),
        (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"not a path"),
        (b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"not a path"),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, b"not a path"),
    ],
)
async def test_an_odd_request_is_refused_in_the_servers_own_shape(
    server: Server, request_head: bytes, status: int, text: bytes
) -> None:
    async with await server.wire() as wire:
        await wire.stream.send_all(request_head)
        head, body = await wire.answer()
    assert head.status == status
    assert head.headers["content-type"] == "application/json"
    assert body.startswith(b'{"error":{"code":"')
    assert text in body


async def test_a_work_dir_whose_name_is_not_utf_8_is_refused(
    server: Server, tmp_path: Path
) -> None:
    strange = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(strange)  # noqa: PTH102 - as bytes
    (tmp_path / "link").symlink_to(os.fsdecode(strange))
    session_id = await server.session()
    for answer in (
        await server.client.post("/sessions", json={"work_dir": str(tmp_path / "link")}),
        await server.client.put(
            f"/sessions/{session_id}", json={"work_dir": str(tmp_path / "link")}
        ),
    ):
        status, code, message = error_of(answer)
        assert (status, code) == (400, "invalid_request")
        assert "not UTF-8" in message
        assert "`$.work_dir`" in message
    assert (await server.client.get("/sessions")).status_code == 200


async def test_a_server_that_stands_in_such_a_directory_says_so(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(strange)  # noqa: PTH102 - as bytes
    monkeypatch.chdir(os.fsdecode(strange))
    assert error_of(await server.client.post("/sessions"))[:2] == (400, "invalid_request")
    answer = await server.client.post("/sessions", json={"work_dir": str(tmp_path)})
    assert answer.status_code == 201


HALF = "half \ud800 a character"


async def test_half_a_character_from_a_program_is_refused_wherever_it_would_be_stored() -> None:
    helper = Agent("helper", provider=Scripted(lambda _: "Hello."))
    async with Runtime() as runtime:
        session = await runtime.create_session(helper)
        image = ImageBlock(f"image/{HALF}", "AAAA")
        for attempt in (
            lambda: runtime.create_session(helper, title=HALF),
            lambda: runtime.create_session(helper, work_dir=HALF),
            lambda: runtime.update_session(session.id, title=HALF),
            lambda: session.submit(HALF),
            lambda: session.submit("x", request_id=HALF),
            lambda: session.submit("x", images=[image]),
        ):
            with pytest.raises(InvalidRequest):
                await attempt()
        assert (await session.run("hello")).response == "Hello."


@pytest.mark.parametrize(
    "base_url",
    [
        "http://[",
        "http://[::1",
        "http://",
        "https:///v1",
        "http://:8080",
        "http://host:99999/v1",
        "http://host:0",
        "http://host:port",
        "http://a b/v1",
        "http://host/v 1",
        "http://host/\nv1",
        "http://host/\x00",
        "http://user:secret@host/v1",
        "http://host/v1?key=secret",
        "http://host/v1#part",
        "http://host\\@other/v1",
        "http://..",
        "http://%00/",
        "http://xn--a/",
        "http://a.xn--\u0430/v1",
        "http://" + "x" * 64 + ".example",
        "http://" + "x." * 127 + "example",
        "http://host:+80/v1",
        "http://host:\uff18\uff10/v1",
        "http://host:8_0",
        "http://[::1]:+80",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://host/" + "x" * 3000,
    ],
)
async def test_a_base_url_that_leads_nowhere_is_refused_and_not_stored(
    server: Server, base_url: str
) -> None:
    body = {"providers": {"openai-compatible": {"base_url": base_url, "key": "k"}}}
    status, code, message = error_of(await server.client.put("/provider/auth", json=body))
    assert (status, code) == (400, "invalid_request")
    assert "`$.providers.openai-compatible" in message
    assert "secret" not in message
    assert await server.runtime.store.credentials() == {}


@pytest.mark.parametrize(
    "base_url",
    [
        "http://localhost:8080/v1",
        "https://api.example.com/v1/",
        "http://[::1]:8080/v1",
        "http://10.0.0.7",
        "http://[fe80::1%25eth0]:8080",
        "HTTPS://Example.COM:443",
        "http://bücher.example/v1",
        "http://my_host.internal.:1/a%20b",
        "http://host:/v1",
        "http://host/v1:beta/x",
        "http://" + "x" * 63 + ".example",
    ],
)
async def test_a_base_url_that_can_be_reached_is_taken(server: Server, base_url: str) -> None:
    body = {"providers": {"openai-compatible": {"base_url": base_url}}}
    assert (await server.client.put("/provider/auth", json=body)).status_code == 200


async def test_ollama_may_be_named_without_a_scheme(server: Server) -> None:
    body = {"providers": {"ollama": {"base_url": "localhost:11434"}}}
    assert (await server.client.put("/provider/auth", json=body)).status_code == 200
    body = {"providers": {"ollama": {"base_url": "[:11434"}}}
    assert (await server.client.put("/provider/auth", json=body)).status_code == 400


@pytest.mark.parametrize(
    ("target", "body", "allowed"),
    [
        ("message", {"message": "a", "on_busy": "later"}, "'interrupt', 'queue', 'reject'"),
        ("message", {"message": "a", "on_busy": ""}, "'interrupt', 'queue', 'reject'"),
        ("message", {"message": "a", "on_busy": 1}, "'interrupt', 'queue', 'reject'"),
        ("message/stream", {"message": "a", "on_disconnect": None}, "'cancel', 'continue'"),
        ("message", {"message": "a", "images": [{"type": "video"}]}, "'image'"),
        ("message?", {"message": "a", "on_busy": "x" * 100_000}, "'interrupt', 'queue', 'reject'"),
    ],
)
async def test_a_choice_that_there_is_not_is_told_what_there_is(
    server: Server, target: str, body: dict[str, Any], allowed: str
) -> None:
    answer = await server.client.post(f"/sessions/x/{target}", json=body)
    status, code, message = error_of(answer)
    assert (status, code) == (400, "invalid_request")
    assert allowed in message
    assert len(message) < 600


async def test_a_type_of_credential_and_a_choice_in_a_query_are_told_too(server: Server) -> None:
    body = {"providers": {"openai": {"type": "oauth", "key": "k"}}}
    assert "'api_key'" in error_of(await server.client.put("/provider/auth", json=body))[2]
    assert "queued, running" in error_of(await server.client.get("/runs?status=done"))[2]
    session_id = await server.session()
    target = f"/sessions/{session_id}/events?include=all"
    assert "thinking, step, progress" in error_of(await server.client.get(target))[2]


async def test_an_integer_may_be_written_with_a_point(server: Server) -> None:
    session_id = await server.session()
    answer = await server.send(session_id, max_steps=3.0)
    assert answer.status_code == 200
    provider = {"id": "stage", "max_tokens": 10.0, "temperature": 1}
    body = {"name": "A", "provider": provider, "max_steps": 5.0}
    agent = (await server.client.post("/agents", json=body)).json()
    assert (agent["max_steps"], agent["provider"]["max_tokens"]) == (5, 10)
    for number in (3.5, 0.0, 1e300, -1.0):
        answer = await server.send(session_id, max_steps=number)
        assert error_of(answer)[:2] == (400, "invalid_request")
    for content in (
        b"1.5",
        b'{"message": 1.0}',
        b'{"max_steps": 1.0, "x": ' + b"[" * 500 + b"]" * 500 + b"}",
    ):
        answer = await server.client.post(
            f"/sessions/{session_id}/message",
            content=content,
            headers={"Content-Type": "application/json"},
        )
        assert error_of(answer)[:2] == (400, "invalid_request")
