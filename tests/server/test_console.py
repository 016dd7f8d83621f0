"""The console's files, and who is logged in: by the token, or by a link that works once."""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio

import wingman.server.console
from server_kit import Server, error_of, serving
from wingman.errors import InvalidRequest, StoreUnavailable
from wingman.run import now
from wingman.runtime import Passes, Runtime
from wingman.server import Logins, serve
from wingman.server.console.logins import LINK_SECONDS, LOGIN_SECONDS, LoginRefused, TooManyLogins
from wingman.store import MemoryStore

PAGE = Path(wingman.server.console.__file__).with_name("page")
TOKEN = {"Authorization": "Bearer secret"}

Headers = dict[str, str]


@pytest.fixture
async def guarded() -> AsyncIterator[Server]:
    async with serving(token="secret") as server:
        yield server


async def link_of(server: Server) -> str:
    """The secret of a new link."""
    answer = await server.client.post("/console/login/link", headers=TOKEN)
    return str(answer.json()["link"])


async def logged_in(server: Server) -> str:
    """The cookie of a new login, as a browser sends it; the client itself forgets it."""
    answer = await server.client.post("/console/login", json={"token": "secret"})
    assert answer.status_code == 200
    server.client.cookies.clear()
    return answer.headers["set-cookie"].partition(";")[0]


async def status(server: Server, cookie: str, method: str = "GET", **headers: str) -> int:
    """What a request to the API with this cookie is answered."""
    sent = {"Cookie": cookie, **{name.replace("_", "-"): text for name, text in headers.items()}}
    return (await server.client.request(method, "/sessions", headers=sent)).status_code


# --- the files ---------------------------------------------------------------------------------


async def test_the_page_needs_no_token_and_lets_in_nothing_from_elsewhere(guarded: Server) -> None:
    answer = await guarded.client.get("/")
    assert answer.status_code == 200
    assert answer.text == (PAGE / "index.html").read_text()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'self'"
    for rule in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert rule in policy
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def paths_of(files: Iterable[Path]) -> list[str]:
    return sorted(f"/console/{file.relative_to(PAGE).as_posix()}" for file in files)


@pytest.mark.parametrize("path", paths_of(file for file in PAGE.rglob("*") if file.is_file()))
async def test_each_file_of_the_page_is_given_as_what_it_is(guarded: Server, path: str) -> None:
    answer = await guarded.client.get(path)
    assert answer.status_code == 200
    kind = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert answer.headers["content-type"].partition(";")[0] == kind[path.rpartition(".")[2]]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content == (PAGE / path.removeprefix("/console/")).read_bytes()


async def test_the_page_names_its_modules_so_that_a_browser_loads_them_at_once(
    server: Server,
) -> None:
    named = (await server.client.get("/")).headers.get("link", "")
    scripts = paths_of(PAGE.rglob("*.js"))
    assert sorted(re.findall(r"<([^>]+)>; rel=modulepreload", named)) == scripts


async def test_what_a_browser_has_already_is_not_sent_again(server: Server) -> None:
    first = await server.client.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = await server.client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await server.client.get("/", headers={"If-None-Match": '"another"'})
    assert other.content == first.content


async def test_no_other_file_is_given(server: Server) -> None:
    for file in (
        "nothing.js",
        "files.py",
        "%2e%2e",
        "..%2ffiles.py",
        "%2e%2e%2flogins.py",
        "views",
        "views%2f..%2findex.html",
        ".index.html",
        "INDEX.HTML",
        "index.html%00",
        "index.html%0a",
        "views/..%2findex.html",
        "views/nothing.js",
    ):
        answer = await server.client.get(f"/console/{file}")
        assert answer.status_code == 404, file


# --- with the token ----------------------------------------------------------------------------


async def test_without_a_token_nobody_has_to_log_in(server: Server) -> None:
    client = server.client
    assert (await client.get("/console/login")).json() == {"needed": False, "expires_at": None}
    answer = await client.post("/console/login", json={"token": "anything"})
    assert answer.json() == {"needed": False, "expires_at": None}
    assert "set-cookie" not in answer.headers
    link = (await client.post("/console/login/link")).json()
    assert link == {"link": None, "expires_at": None}


async def test_the_token_gives_a_cookie_that_stands_for_it(guarded: Server) -> None:
    assert await status(guarded, "") == 401
    cookie = await logged_in(guarded)
    assert await status(guarded, cookie) == 200
    assert await status(guarded, f"other=1; {cookie}; more=2") == 200
    assert await status(guarded, cookie, "POST", Origin=guarded.url) == 201
    assert await status(guarded, cookie, "POST", Sec_Fetch_Site="same-origin") == 201
    answer = await guarded.client.get("/console/login", headers={"Cookie": cookie})
    assert answer.json()["needed"] is True
    assert answer.json()["expires_at"] is not None


async def test_no_script_can_read_the_cookie_and_no_other_site_can_send_it(guarded: Server) -> None:
    answer = await guarded.client.post("/console/login", json={"token": "secret"})
    name, *attributes = answer.headers["set-cookie"].split("; ")
    port = guarded.url.rpartition(":")[2]
    assert re.fullmatch(rf"wingman-{port}=[\w-]{{32}}", name)
    assert attributes == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    assert answer.headers["cache-control"] == "no-store"
    assert "secret" not in answer.text + answer.headers["set-cookie"]


async def test_over_tls_the_cookie_stays_within_tls(guarded: Server) -> None:
    host = guarded.url.removeprefix("http://")
    answer = await guarded.client.post(
        "/console/login", json={"token": "secret"}, headers={"Origin": f"https://{host}"}
    )
    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_another_token_gives_nothing(guarded: Server) -> None:
    for token in ("wrong", "", "secre", "SECRET", "sécret"):
        answer = await guarded.client.post("/console/login", json={"token": token})
        assert error_of(answer)[:2] == (401, "unauthorized")
        assert "set-cookie" not in answer.headers
        assert not token or token not in answer.text


async def test_one_logs_in_with_one_thing(guarded: Server) -> None:
    for body in ({}, {"link": "a", "token": "secret"}, {"tokens": "secret"}):
        answer = await guarded.client.post("/console/login", json=body)
        assert error_of(answer)[:2] == (400, "invalid_request")


async def test_wrong_tokens_are_looked_at_ten_times_a_minute_and_links_always(
    guarded: Server,
) -> None:
    link = await link_of(guarded)
    for _ in range(10):
        answer = await guarded.client.post("/console/login", json={"token": "wrong"})
        assert error_of(answer)[:2] == (401, "unauthorized")
    for token in ("wrong", "secret"):
        answer = await guarded.client.post("/console/login", json={"token": token})
        assert error_of(answer)[:2] == (429, "too_many_logins")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (await guarded.client.post("/console/login", json={"link": link})).status_code == 200


# --- with a link -------------------------------------------------------------------------------


async def test_a_link_is_for_who_has_the_token_and_logs_in_once(guarded: Server) -> None:
    bare = await guarded.client.post("/console/login/link")
    assert error_of(bare)[:2] == (401, "unauthorized")
    link = await link_of(guarded)
    first = await guarded.client.post("/console/login", json={"link": link})
    assert first.status_code == 200
    assert await status(guarded, first.headers["set-cookie"].partition(";")[0]) == 200
    second = await guarded.client.post("/console/login", json={"link": link})
    code, _, message = error_of(second)
    assert code == 401
    assert "wingman console" in message
    assert link not in message


async def test_a_link_is_no_token_and_no_cookie(guarded: Server) -> None:
    link = await link_of(guarded)
    port = guarded.url.rpartition(":")[2]
    assert await status(guarded, f"wingman-{port}={link}") == 401
    assert await status(guarded, "", Authorization=f"Bearer {link}") == 401
    answer = await guarded.client.post("/console/login", json={"token": link})
    assert answer.status_code == 401


async def test_who_is_logged_in_may_make_a_link_for_another_browser(guarded: Server) -> None:
    cookie = await logged_in(guarded)
    headers = {"Cookie": cookie, "Origin": guarded.url}
    answer = await guarded.client.post("/console/login/link", headers=headers)
    assert answer.status_code == 200


# --- the cookie --------------------------------------------------------------------------------


async def test_a_cookie_opens_nothing_after_the_logout(guarded: Server) -> None:
    cookie, another = await logged_in(guarded), await logged_in(guarded)
    answer = await guarded.client.post("/console/logout", headers={"Cookie": cookie})
    assert answer.json() == {"status": "logged_out"}
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert await status(guarded, cookie) == 401
    assert await status(guarded, another) == 200


async def test_a_cookie_counts_for_our_own_page_alone(guarded: Server) -> None:
    cookie = await logged_in(guarded)
    tries: list[tuple[str, Headers, int]] = [
        ("GET", {"Origin": "https://evil.example"}, 403),
        ("GET", {"Sec_Fetch_Site": "cross-site"}, 403),
        ("GET", {"Sec_Fetch_Site": "same-site"}, 403),  # another port of this machine
        ("GET", {"Sec_Fetch_Site": "none"}, 200),  # its user has typed the address
        ("GET", {"Sec_Fetch_Site": "same-origin"}, 200),
        ("GET", {}, 200),
        ("POST", {}, 401),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:1"}, 403),
        ("POST", {"Sec_Fetch_Site": "none"}, 401),
        ("DELETE", {}, 401),
        ("PUT", {}, 401),
    ]
    for method, headers, expected in tries:
        assert await status(guarded, cookie, method, **headers) == expected, (method, headers)


async def test_a_wrong_token_is_not_mended_by_a_cookie(guarded: Server) -> None:
    cookie = await logged_in(guarded)
    assert await status(guarded, cookie, Authorization="Bearer wrong") == 401


async def test_a_cookie_that_others_have_set_does_not_lock_anybody_out(guarded: Server) -> None:
    cookie = await logged_in(guarded)
    name = cookie.partition("=")[0]
    assert await status(guarded, f"{name}=; {name}=junk; {cookie}") == 200


async def test_any_other_cookie_opens_nothing(guarded: Server) -> None:
    port = guarded.url.rpartition(":")[2]
    for value in ("", "junk", "secret", "é", '"', "a" * 4000, "="):
        headers = [("Cookie", f"wingman-{port}={value}".encode().decode("latin-1"))]
        async with await guarded.wire() as wire:
            head, _ = await wire.ask("GET", "/sessions", headers=headers)
        assert head.status == 401, value


async def test_a_cookie_of_one_server_does_not_open_another(guarded: Server) -> None:
    value = (await logged_in(guarded)).partition("=")[2]
    async with serving(token="secret") as other:
        port = other.url.rpartition(":")[2]
        assert await status(other, f"wingman-{port}={value}") == 401


async def test_a_cookie_opens_a_stream(guarded: Server) -> None:
    session = await guarded.client.post("/sessions", headers=TOKEN)
    cookie = await logged_in(guarded)
    async with await guarded.wire() as wire:
        target = f"/sessions/{session.json()['id']}/events"
        await wire.send("GET", target, headers=[("Cookie", cookie)])
        assert (await wire.head()).status == 200


# --- what is kept of it ------------------------------------------------------------------------


def logins_of(token: str, clock: Callable[[], datetime] = now) -> Logins:
    """The links and logins of a server of its own."""
    return Logins(Passes(MemoryStore(), clock), token)


async def test_links_and_logins_end_with_their_time(autojump_clock: trio.abc.Clock) -> None:
    noon = datetime(2025, 5, 17, 12, 0, tzinfo=UTC)
    logins = logins_of("secret", lambda: noon + timedelta(seconds=trio.current_time() - start))
    start = trio.current_time()
    late, link = await logins.new_link(), await logins.new_link()
    login = await logins.by_link(link)
    await trio.sleep(LINK_SECONDS)
    with pytest.raises(LoginRefused):
        await logins.by_link(late)
    assert await logins.left(login) == LOGIN_SECONDS - LINK_SECONDS
    await trio.sleep(LOGIN_SECONDS - LINK_SECONDS - 1)
    assert await logins.left(login) == 1
    await trio.sleep(1)
    assert await logins.left(login) == 0


async def test_after_a_minute_tokens_are_looked_at_again(autojump_clock: trio.abc.Clock) -> None:
    logins = logins_of("secret")
    for _ in range(10):
        with pytest.raises(LoginRefused):
            await logins.by_token("wrong")
    with pytest.raises(TooManyLogins) as raised:
        await logins.by_token("secret")
    await trio.sleep(raised.value.retry_after)
    assert await logins.left(await logins.by_token("secret")) > LOGIN_SECONDS - 60


async def test_what_is_kept_shows_no_secret(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "w.db") as runtime:
        logins = Logins(runtime.passes, "geheim")
        link = await logins.new_link()
        login = await logins.by_link(await logins.new_link())
        kept = b"".join(map(Path.read_bytes, Path(tmp_path).glob("w.db*")))  # noqa: ASYNC240
    for secret in ("geheim", link, login):
        assert secret not in repr(logins)
        assert secret.encode() not in kept


async def test_a_login_outlives_the_server_and_ends_with_the_token(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "w.db") as runtime:
        login = await Logins(runtime.passes, "secret").by_token("secret")
        late = await Logins(runtime.passes, "secret").new_link()
    async with Runtime(tmp_path / "w.db") as runtime:
        again, other = Logins(runtime.passes, "secret"), Logins(runtime.passes, "another")
        assert await again.left(login) > LOGIN_SECONDS - 60
        assert await other.left(login) == 0
        with pytest.raises(LoginRefused):
            await other.by_link(late)
        # A link is no login, nor the other way around.
        assert await again.left(late) == 0
        with pytest.raises(LoginRefused):
            await again.by_link(login)


async def test_what_one_node_hands_out_every_node_knows(autojump_clock: trio.abc.Clock) -> None:
    store = MemoryStore()
    one, two = [Logins(Passes(store), "secret") for _ in range(2)]
    link = await one.new_link()
    login = await two.by_link(link)
    for logins in (one, two):
        with pytest.raises(LoginRefused):
            await logins.by_link(link)
        assert await logins.left(login) > 0
    await one.end(login)
    assert await one.left(login) == 0
    await trio.sleep(5)
    assert await two.left(login) == 0


async def test_of_all_who_have_a_link_at_the_same_time_one_is_in(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "w.db") as runtime:
        nodes = [Logins(Passes(runtime.store), "secret") for _ in range(8)]
        link = await nodes[0].new_link()
        results: list[str | None] = []

        async def log_in(logins: Logins) -> None:
            try:
                results.append(await logins.by_link(link))
            except LoginRefused:
                results.append(None)

        async with trio.open_nursery() as nursery:
            for logins in nodes:
                nursery.start_soon(log_in, logins)
        assert results.count(None) == 7


async def test_a_login_holds_while_the_database_cannot_be_read(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_store: MemoryStore, _hash: str) -> None:
        raise StoreUnavailable("The database is away.")

    async with serving(token="secret") as server:
        cookie = await logged_in(server)
        monkeypatch.setattr(MemoryStore, "find_pass", fail)
        await trio.sleep(5)
        assert await status(server, cookie) == 200
        junk = f"{cookie.partition('=')[0]}={'a' * 32}"
        answer = await server.client.get("/sessions", headers={"Cookie": junk})
        assert error_of(answer)[:2] == (503, "store_unavailable")


async def test_logins_are_of_the_servers_token() -> None:
    for token, of in (("secret", None), (None, "secret"), ("secret", "another")):
        async with Runtime() as runtime:
            with pytest.raises(InvalidRequest, match="another token"):
                await serve(runtime, port=0, token=token, logins=Logins(runtime.passes, of))


async def test_who_embeds_a_server_can_make_links_itself() -> None:
    async with serving(token="secret") as server:
        link = await Logins(server.runtime.passes, "secret").new_link()
        answer = await server.client.post("/console/login", json={"link": link})
    assert answer.status_code == 200
