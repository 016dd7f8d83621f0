"""Connections: kept for the next call, few, and by the environment's rules for proxies."""

import httpx
import pytest
import trio

from wingman.providers import Retry, Transport
from wingman.providers.transport import Call
from wingman.providers.transport.connections import Connections
from wingman.providers.transport.proxies import Proxies
from wingman.providers.transport.sending import Requests

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
def environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


_URLS = (
    "http://model.test/v1",
    "https://model.test/v1",
    "https://api.model.test:8443/v1",
    "https://notmodel.test/",
    "http://127.0.0.1:8080/",
    "http://127.0.0.1/",
    "http://[::1]:8080/",
    "http://localhost:1234/",
    "https://LOCALHOST/",
    "http://sub.localhost/",
    "http://10.0.0.1/",
)


@pytest.mark.parametrize(
    "proxies",
    [
        {},
        {"HTTP_PROXY": "http://one.test:1"},
        {"HTTPS_PROXY": "two.test:2", "ALL_PROXY": "http://user:word@three.test:3"},
        {"HTTP_PROXY": "http://one.test:1", "HTTPS_PROXY": "https://two.test:2"},
    ],
)
@pytest.mark.parametrize(
    "without",
    [
        "",
        "*",
        "model.test",
        ".model.test",
        "MODEL.test, localhost",
        "api.model.test:8443,127.0.0.1",
        "127.0.0.1:8080,::1",
        "10.0.0.0/8",
        "https://model.test,http://localhost:1234",
        "localhost",
        " , ",
    ],
)
def test_a_url_goes_through_the_proxy_that_httpx_would_take(environment, proxies, without):
    for name, value in {**proxies, "NO_PROXY": without}.items():
        environment.setenv(name, value)
    client = httpx.AsyncClient()
    known = Proxies.of_environment()
    for url in map(httpx.URL, _URLS):
        pool = client._transport_for_url(url)._pool
        theirs = getattr(pool, "_proxy_url", None)
        ours = known.of(url)
        assert (theirs and (theirs.host, theirs.port)) == (
            ours and (ours.url.raw_host, ours.url.port)
        )


async def test_what_is_sent_is_what_httpx_would_send():
    call = Call(
        "anthropic",
        "http://us%65r:p%40ss@model.test:81/v1/messages?a=b",
        {"x-api-key": "k", "User-Agent": "mine"},
        b"{}",
    )
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda request: httpx.Response(200)),
        headers={"user-agent": "wingman", "accept-encoding": "identity"},
    )
    async with client:
        theirs = await client.post(call.url, headers=dict(call.headers), content=b"{}")
    requests = Requests(httpx.Timeout(5.0))
    for _ in range(2):
        ours = requests.of(call)
        assert ours.method == "POST"
        assert ours.url == theirs.request.url
        assert sorted(ours.headers.multi_items()) == sorted(theirs.request.headers.multi_items())
        assert b"".join([piece async for piece in ours.stream]) == b"{}"


def test_what_is_prepared_is_bounded_and_each_key_has_its_own():
    requests = Requests(httpx.Timeout(5.0))
    for number in range(200):
        call = Call("anthropic", "http://model.test/", {"x-api-key": f"key-{number}"}, b"{}")
        assert requests.of(call).headers["x-api-key"] == f"key-{number}"
    assert len(requests._prepared) <= 64


async def _ask(transport, url):
    stream = await transport.open_stream(Call("anthropic", url, body=[b"{", b"}"]))
    while await stream.receive():
        pass
    stream.complete()
    await stream.aclose()


@pytest.fixture
def counting(serve):
    """A server that counts its connections and never closes one."""
    opened = []

    async def handler(stream):
        opened.append(stream)
        buffer = b""
        while data := await stream.receive_some():
            buffer += data
            if buffer.endswith(b"\r\n\r\n{}"):
                buffer = b""
                await stream.send_all(_ANSWER)

    async def start():
        return await serve(handler), opened

    return start


async def test_calls_one_after_the_other_use_one_connection_and_a_burst_is_kept_in_part(counting):
    url, opened = await counting()
    async with Transport() as transport:
        for _ in range(5):
            await _ask(transport, url)
        assert len(opened) == 1
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(_ask, transport, url)
        assert not transport._connections.taken
        assert len(transport._connections.idle) <= 32
    assert not transport._connections


async def test_a_connection_that_nobody_uses_is_closed_when_another_is_given_back(
    counting, autojump_clock
):
    url = httpx.URL("http://model.test/")
    connections = Connections()
    first, second = connections.take(url), connections.take(url)
    await connections.give_back(first)
    await trio.sleep(5.5)
    await connections.give_back(second)
    assert connections.idle == [second]
    assert connections.take(httpx.URL("https://model.test/")) is not second
    assert connections.take(url) is second
    await connections.aclose()


async def test_a_stream_that_nobody_closes_does_not_outlive_its_transport(serve):
    gone = trio.Event()

    async def handler(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while await stream.receive_some():
            pass
        gone.set()

    async with Transport(retry=Retry(attempts=1)) as transport:
        stream = await transport.open_stream(Call("anthropic", await serve(handler), body=b"{}"))
    with trio.fail_after(5):
        await gone.wait()
    await stream.aclose()
