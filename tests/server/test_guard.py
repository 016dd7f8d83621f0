"""Who may talk to the server: Host, Origin, Sec-Fetch-Site, token; and no way around them."""

from typing import Any

import pytest

from server_kit import Head, Server, serving
from wingman import Runtime
from wingman.errors import InvalidRequest
from wingman.server import ServerConfig, serve

Headers = list[tuple[str, str]]


async def ask(server: Server, target: str = "/sessions", headers: Any = ()) -> tuple[Head, bytes]:
    async with await server.wire() as wire:
        return await wire.ask("GET", target, headers=headers)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:2323", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:2323"]
)
async def test_a_name_of_loopback_is_taken(server: Server, host: str) -> None:
    head, _ = await ask(server, headers=[("Host", host)])
    assert head.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "evil.com:2323",
        "localhost.evil.com",
        "127.0.0.1.evil.com",
        "evil.com@localhost",
        "localhost@evil.com",
        "localhost/evil.com",
        "localhost:80:80",
        "localhost:",
        "0.0.0.0",
        "[::]",
        "[fe80::1]",
        "192.168.0.1",
        "",
    ],
)
async def test_any_other_name_is_refused(server: Server, host: str) -> None:
    head, body = await ask(server, "/health", [("Host", host)])
    assert head.status == 403
    assert b'"forbidden_host"' in body
    assert head.headers["x-request-id"].encode() in body


async def test_a_request_without_a_host_is_refused(server: Server) -> None:
    for version, status in ((b"1.0", 403), (b"1.1", 400)):
        async with await server.wire() as wire:
            await wire.stream.send_all(b"GET /sessions HTTP/%b\r\n\r\n" % version)
            assert (await wire.head()).status == status


async def test_two_hosts_are_refused(server: Server) -> None:
    for hosts in (["localhost", "evil.com"], ["evil.com", "localhost"]):
        head, _ = await ask(server, headers=[("Host", host) for host in hosts])
        assert head.status == 400
        async with await server.wire() as wire:
            lines = "".join(f"Host: {host}\r\n" for host in hosts)
            await wire.stream.send_all(f"GET /sessions HTTP/1.0\r\n{lines}\r\n".encode())
            assert (await wire.head()).status in (400, 403)


async def test_an_allowed_host_is_taken_beside_those_of_loopback() -> None:
    async with serving(allowed_hosts=["wingman.example"]) as server:
        for host, status in (("Wingman.Example", 200), ("localhost", 200), ("evil.com", 403)):
            head, _ = await ask(server, headers=[("Host", host)])
            assert head.status == status


async def test_a_page_of_our_own_origin_is_served(server: Server) -> None:
    for host in ("localhost:2323", "127.0.0.1:2323", "[::1]:2323"):
        headers = [("Host", host), ("Origin", f"http://{host}"), ("Sec-Fetch-Site", "same-origin")]
        head, _ = await ask(server, headers=headers)
        assert head.status == 200
        assert not [name for name in head.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.com",
        "null",
        "",
        "http://localhost",
        "http://localhost:3000",
        "http://127.0.0.1:2323",
        "http://localhost:2323.evil.com",
        "http://evil.com@localhost:2323",
        "chrome-extension://localhost:2323",
        "file://localhost:2323",
        "http://localhost:2323/",
        "localhost:2323",
    ],
)
async def test_a_page_of_another_origin_is_refused(server: Server, origin: str) -> None:
    head, body = await ask(server, headers=[("Host", "localhost:2323"), ("Origin", origin)])
    assert head.status == 403
    assert b'"forbidden_origin"' in body


async def test_a_second_origin_spoils_the_first(server: Server) -> None:
    own, foreign = ("Origin", "http://localhost"), ("Origin", "http://evil.com")
    for origins in ([own, foreign], [foreign, own], [own, own]):
        head, _ = await ask(server, headers=[("Host", "localhost"), *origins])
        assert head.status == 403


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403), ("x", 403)],
)
async def test_what_the_browser_says_of_the_site_is_believed(
    server: Server, site: str, status: int
) -> None:
    head, _ = await ask(server, headers=[("Sec-Fetch-Site", site)])
    assert head.status == status


async def test_a_preflight_of_a_foreign_page_gets_no_leave(server: Server) -> None:
    asks = [("Access-Control-Request-Method", "POST"), ("Origin", "http://evil.com")]
    async with await server.wire() as wire:
        head, _ = await wire.ask("OPTIONS", "/sessions", headers=asks)
        assert head.status == 403
        own = await wire.ask("OPTIONS", "/sessions", headers=asks[:1])
    assert own[0].status == 200
    assert "POST" in own[0].headers["allow"]
    assert not [name for h in (head, own[0]) for name in h.headers if "access-control" in name]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_what_a_page_may_send_without_asking_is_no_json(server: Server, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    for target in ("/sessions", "/agents", "/sessions/x/cancel"):
        answer = await server.client.post(target, content=b'{"name": "x"}', headers=headers)
        assert answer.status_code == 415
    assert (await server.client.get("/sessions")).json() == []


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (["Bearer secret"], 200),
        (["bearer secret"], 200),
        (["BEARER  secret "], 200),
        ([], 401),
        (["Bearer wrong"], 401),
        (["Bearer secret2"], 401),
        (["Bearer secre"], 401),
        (["Bearer"], 401),
        (["Bearer SECRET"], 401),
        (["secret"], 401),
        (["Basic secret"], 401),
        (["Bearer s\xe9cret"], 401),
        (["Bearer wrong", "Bearer secret"], 401),
        (["Bearer secret", "Bearer wrong"], 401),
    ],
)
async def test_with_a_token_every_route_asks_for_it(authorization: list[str], status: int) -> None:
    async with serving(token="secret") as server:
        head, body = await ask(server, headers=[("Authorization", a) for a in authorization])
    assert head.status == status
    if status == 401:
        assert head.headers["www-authenticate"] == "Bearer"
        assert b'"unauthorized"' in body
        assert b"secret" not in body
        assert head.headers["x-request-id"].encode() in body


@pytest.mark.parametrize(
    "target",
    [
        "//health",
        "/health/",
        "/HEALTH",
        "/health/../sessions",
        "/health/..%2fsessions",
        "/health%2f..%2fsessions",
        "/health;/sessions",
        "/sessions?/health",
        "/./sessions",
        "//sessions",
        "/%2fsessions",
        "/sessions#/health",
        "http://localhost/sessions",
        "http://localhost/health",
        "/ready",
        "/nowhere",
        "*",
        "?x",
    ],
)
async def test_no_trick_of_the_path_gets_past_the_token(target: str) -> None:
    async with serving(token="secret") as server:
        assert (await ask(server, "/health"))[0].status == 200
        assert (await ask(server, "/%68ealth?x=1"))[0].status == 200
        head, _ = await ask(server, target)
    assert head.status in (400, 401)


@pytest.mark.parametrize("target", ["*", "?x", "http://localhost/health", "health"])
async def test_a_target_that_is_no_path_is_400(server: Server, target: str) -> None:
    head, body = await ask(server, target)
    assert head.status == 400
    assert b'"invalid_request"' in body


async def test_a_bind_beyond_loopback_needs_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.168.0.1", "", "example.com"):
        with pytest.raises(InvalidRequest, match="token"):
            ServerConfig(host).check()
        with pytest.raises(InvalidRequest, match="token"):
            await serve(Runtime(), host=host, port=0)
        ServerConfig(host, token="secret").check()
    for host in ("localhost", "127.0.0.1", "127.0.0.2", "::1"):
        ServerConfig(host).check()
    for token in ("", "  "):
        with pytest.raises(InvalidRequest, match="empty"):
            ServerConfig(token=token).check()


@pytest.mark.parametrize("grace", [-1.0, float("nan")])
def test_a_grace_is_a_number_of_seconds(grace: float) -> None:
    with pytest.raises(InvalidRequest, match="grace"):
        ServerConfig(grace=grace).check()


def test_a_config_does_not_show_its_token() -> None:
    assert "secret" not in repr(ServerConfig(token="secret"))


@pytest.mark.parametrize("given", ["abc-123", "01J:x_y.z", "a" * 128])
async def test_a_sane_request_id_is_kept(server: Server, given: str) -> None:
    for target in ("/health", "/nowhere"):
        head, _ = await ask(server, target, [("X-Request-ID", given)])
        assert head.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", 'a"b', "\xe9", "a,b"])
async def test_any_other_request_id_is_replaced(server: Server, given: str) -> None:
    async with serving(token="secret") as guarded:
        for server_, target in ((server, "/health"), (guarded, "/sessions")):
            head, _ = await ask(server_, target, [("X-Request-ID", given)])
            assert len(head.headers["x-request-id"]) == 26
