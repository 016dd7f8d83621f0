"""What is wrong with a request is said plainly: the status, the code, and the field's path."""

import logging
from typing import Any

import pytest

from server_kit import Server, error_of

JSON = {"Content-Type": "application/json"}


async def post(server: Server, target: str, content: bytes) -> tuple[int, str, str]:
    return error_of(await server.client.post(target, content=content, headers=JSON))


@pytest.mark.parametrize(
    ("target", "body", "path"),
    [
        ("/agents", {}, "`$`"),
        ("/agents", {"name": 3}, "`$.name`"),
        ("/agents", {"name": None}, "`$.name`"),
        ("/agents", {"name": " "}, "`$.name`"),
        ("/agents", {"name": "x", "nickname": "y"}, "nickname"),
        ("/agents", {"name": "x", "tools": "bash"}, "`$.tools`"),
        ("/agents", {"name": "x", "tools": ["bash", 1]}, "`$.tools[1]`"),
        ("/agents", {"name": "x", "tools": ["bash", "nothing"]}, "`$.tools[1]`"),
        ("/agents", {"name": "x", "tools": ["bash", "bash"]}, "`$.tools[1]`"),
        ("/agents", {"name": "x", "provider": {"id": "nobody"}}, "`$.provider.id`"),
        ("/agents", {"name": "x", "provider": {"id": ""}}, "`$.provider.id`"),
        ("/agents", {"name": "x", "provider": {"model": "m"}}, "`$.provider`"),
        ("/agents", {"name": "x", "provider": {"id": "stage", "max_tokens": 0}}, "max_tokens`"),
        ("/agents", {"name": "x", "provider": {"id": "stage", "temperature": 3}}, "temperature`"),
        ("/agents", {"name": "x", "provider": {"id": "stage", "key": "k"}}, "`$.provider`"),
        ("/agents", {"name": "x", "max_steps": 0}, "`$.max_steps`"),
        ("/agents", {"name": "x", "max_steps": 1.5}, "`$.max_steps`"),
        ("/agents", {"name": "x", "output_schema": []}, "`$.output_schema`"),
        ("/agents", [], "object"),
        ("/sessions", {"work_dir": "/no/such/place"}, "`$.work_dir`"),
        ("/sessions", {"work_dir": "/etc/passwd"}, "`$.work_dir`"),
        ("/sessions", {"work_dir": "a\0b"}, "`$.work_dir`"),
        ("/sessions", {"work_dir": "x" * 5000}, "`$.work_dir`"),
        ("/sessions", {"work_dir": "~nobody-of-that-name/x"}, "`$.work_dir`"),
        ("/sessions", {"work_dir": None}, "`$.work_dir`"),
        ("/sessions", {"work_dir": ""}, "`$.work_dir`"),
        ("/sessions", {"title": 1}, "`$.title`"),
        ("/sessions", {"histroy": []}, "histroy"),
        ("/sessions/x/message", {}, "message"),
        ("/sessions/x/message", {"message": ""}, "`$.message`"),
        ("/sessions/x/message", {"message": ["a"]}, "`$.message`"),
        ("/sessions/x/message", {"message": "a", "on_busy": "wait"}, "`$.on_busy`"),
        ("/sessions/x/message", {"message": "a", "on_disconnect": 1}, "`$.on_disconnect`"),
        ("/sessions/x/message", {"message": "a", "max_steps": 0}, "`$.max_steps`"),
        ("/sessions/x/message", {"message": "a", "max_steps": 10**30}, "`$.max_steps`"),
        ("/sessions/x/message", {"message": "a", "request_id": ""}, "`$.request_id`"),
        ("/sessions/x/message", {"message": "a", "stream": True}, "stream"),
        ("/sessions/x/message/stream", {"message": 1}, "`$.message`"),
        ("/sessions/x/cancel", {"queued": "yes"}, "`$.queued`"),
        ("/sessions/x/runs/y/cancel", {"queued": True}, "queued"),
    ],
)
async def test_what_does_not_fit_is_named_by_its_path(
    server: Server, target: str, body: Any, path: str
) -> None:
    status, code, message = error_of(await server.client.post(target, json=body))
    assert (status, code) == (400, "invalid_request")
    assert path in message


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"nonsense",
        b'{"name": "x"} trailing',
        b'{"name": "\xff\xfe"}',
        b'{"name": "\\ud800"}',
        b'{"name": "x", "output_schema": {"maximum": 1e999}}',
        b"[" * 100_000,
        b'{"name": "x", "output_schema": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b"\x00",
        b"null",
        b"",
    ],
)
async def test_what_is_not_json_is_refused(server: Server, content: bytes) -> None:
    assert (await post(server, "/agents", content))[:2] == (400, "invalid_request")


async def test_deep_nesting_is_refused_or_comes_back_as_it_was(server: Server) -> None:
    for depth in (50, 200, 400, 800, 950):
        body = b'{"name": "x", "output_schema": ' + b'{"a":' * depth + b"1" + b"}" * (depth + 1)
        answer = await server.client.post("/agents", content=body, headers=JSON)
        assert answer.status_code in (201, 400)
        if answer.status_code == 201:
            again = await server.client.get(answer.headers["Location"])
            assert again.status_code == 200
            assert again.text.count('{"a":') == depth


async def test_nul_bytes_and_huge_numbers_come_back_as_they_were(server: Server) -> None:
    schema = {"maximum": 10**40, "const": "a\0b"}
    body = {"name": "n\0l", "output_schema": schema, "provider": {"id": "stage"}}
    made = await server.client.post("/agents", json=body)
    again = (await server.client.get(made.headers["Location"])).json()
    assert (again["name"], again["output_schema"]) == ("n\0l", schema)
    session = (await server.client.post("/sessions", json={"title": "t\0"})).json()
    server.stage.play('"a\\u0000b"')
    answer = await server.send(session["id"], "m\0", agent_id=again["id"])
    assert answer.status_code == 200
    assert (await server.history(session["id"]))[0]["content"][0]["text"] == "m\0"


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "application/jsonx", "", "garbage"])
async def test_a_body_that_does_not_say_it_is_json_is_415(server: Server, kind: str) -> None:
    answer = await server.client.post("/agents", content=b"{}", headers={"Content-Type": kind})
    assert error_of(answer)[:2] == (415, "unsupported_media_type")


async def test_json_may_name_its_charset(server: Server) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = await server.client.post("/agents", content=b'{"name": "x"}', headers=headers)
    assert answer.status_code == 201


async def test_an_empty_body_is_fine_where_nothing_must_be_said(server: Server) -> None:
    session = await server.client.post("/sessions")
    assert session.status_code == 201
    assert (await server.client.post("/sessions", json={})).status_code == 201
    cancelled = await server.client.post(f"/sessions/{session.json()['id']}/cancel")
    assert cancelled.json() == {"cancelled": []}


@pytest.mark.parametrize(
    "target", ["/console", "/nowhere", "/sessions/", "/sessions//message", "/a/b/c"]
)
async def test_an_unknown_path_is_404(server: Server, target: str) -> None:
    if target == "/sessions/":
        assert (await server.client.get(target)).status_code == 200
        return
    status, code, message = error_of(await server.client.get(target))
    assert (status, code) == (404, "not_found")
    assert f"GET {target}" in message


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("DELETE", "/sessions", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PATCH", "/agents/x", {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}),
        ("GET", "/sessions/x/message", {"OPTIONS", "POST"}),
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_a_wrong_method_is_405_and_says_which_are_right(
    server: Server, method: str, target: str, allowed: set[str]
) -> None:
    answer = await server.client.request(method, target)
    assert error_of(answer)[:2] == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


async def test_ids_may_be_percent_encoded(server: Server) -> None:
    session_id = await server.session()
    encoded = "".join(f"%{ord(c):02x}" for c in session_id)
    async with await server.wire() as wire:
        head, _ = await wire.ask("GET", f"/sessions/{encoded}")
        assert head.status == 200
        for strange in ("%00", "%ff", "..%2f..", "%2e%2e", "a%20b", "%E2%82%AC"):
            head, body = await wire.ask("GET", f"/sessions/{strange}")
            assert head.status == 404, body


async def test_a_bug_in_a_route_is_a_500_without_a_traceback_and_a_log_entry_under_its_id(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a private detail")

    monkeypatch.setattr(server.runtime, "sessions", broken)
    answer = await server.client.get("/sessions", headers={"X-Request-ID": "find-me"})
    assert error_of(answer)[:2] == (500, "internal_error")
    assert "private" not in answer.text
    assert "Traceback" not in answer.text
    [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.name == "wingman.server"
    assert "find-me" in record.getMessage()
    assert record.exc_info is not None
    assert (await server.client.get("/health")).status_code == 200


async def test_a_bug_that_comes_in_a_group_is_a_500_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise ExceptionGroup("two", [ZeroDivisionError(), ExceptionGroup("in", [KeyError("x")])])

    monkeypatch.setattr(server.runtime, "sessions", broken)
    assert error_of(await server.client.get("/sessions"))[:2] == (500, "internal_error")


async def test_every_answer_is_json_and_bears_a_request_id(server: Server) -> None:
    for target in ("/health", "/ready", "/tools", "/actors", "/agents", "/sessions", "/runs"):
        answer = await server.client.get(target)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert len(answer.headers["X-Request-ID"]) == 26
        assert "Server" not in answer.headers
