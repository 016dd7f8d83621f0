"""The tool `webfetch`, against real sockets: what it converts, what it refuses, where it stops."""

import ssl
import subprocess
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trio

from tools.sites import Answer, answer, redirect, site
from wingman.errors import ToolError
from wingman.tools import ToolContext, addresses, fetching, web, webfetch


@pytest.fixture
def private_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINGMAN_WEBFETCH_PRIVATE", "1")


@pytest.fixture
def only_loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1")


async def fetch(context: ToolContext, url: str, **more: Any) -> str:
    return await webfetch.call({"url": url, **more}, context)


@pytest.mark.usefixtures("private_allowed")
async def test_html_comes_as_markdown_and_without_its_scripts(context: ToolContext) -> None:
    page = (
        b"<html><head><title>Ducks</title><style>p{}</style></head><body><h2>Pond</h2>"
        b"<p>A <b>white</b> <a href='/d'>duck</a>.</p><script>alert(1)</script></body></html>"
    )
    async with site({"/": answer(page, "text/html; charset=utf-8")}) as there:
        assert await fetch(context, there.url("/")) == (
            "# Ducks\n\n## Pond\n\nA **white** [duck](/d)."
        )


@pytest.mark.usefixtures("private_allowed")
@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b'{"a": 1}', "application/json", '{"a": 1}'),
        (b"<x/>", "application/atom+xml", "<x/>"),
        ("grüezi".encode("latin-1"), "text/plain; charset=latin-1", "grüezi"),
        ("grüezi".encode(), "text/plain; charset=rot13", "grüezi"),
        (b"a\0b", "text/plain", "a\ufffdb"),
        ('<meta charset="latin-1"><p>grüezi'.encode("latin-1"), "text/html", "grüezi"),
    ],
)
async def test_text_comes_as_it_is_in_its_charset(
    body: bytes, kind: str, text: str, context: ToolContext
) -> None:
    async with site({"/": answer(body, kind)}) as there:
        assert await fetch(context, there.url("/")) == text


@pytest.mark.usefixtures("private_allowed")
async def test_what_is_no_text_is_refused(context: ToolContext) -> None:
    async with site({"/": answer(b"\x89PNG", "image/png")}) as there:
        with pytest.raises(ToolError, match="is image/png, not text"):
            await fetch(context, there.url("/"))


@pytest.mark.usefixtures("private_allowed")
async def test_an_error_of_the_server_is_an_error_with_what_it_says(context: ToolContext) -> None:
    async with site({"/": answer(b"no such duck", status=404)}) as there:
        with pytest.raises(ToolError, match=r"HTTP 404\. no such duck"):
            await fetch(context, there.url("/"))


@pytest.mark.usefixtures("private_allowed")
async def test_redirects_are_followed_also_relative_ones(context: ToolContext) -> None:
    pages: dict[str, Answer] = {
        "/a/b": redirect("../c?x=1"),
        "/c?x=1": redirect("//127.0.0.1:{port}/d"),
        "/d": answer(b"here"),
    }
    async with site(pages) as there:
        pages["/c?x=1"] = redirect(f"//127.0.0.1:{there.port}/d")
        assert await fetch(context, there.url("/a/b")) == "here"


@pytest.mark.usefixtures("private_allowed")
async def test_after_five_redirects_it_gives_up(context: ToolContext) -> None:
    async with site({"/": redirect("/")}) as there:
        with pytest.raises(ToolError, match="redirects more than 5 times"):
            await fetch(context, there.url("/"))
        assert len(there.asked) == 6


@pytest.mark.usefixtures("private_allowed")
@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/"])
async def test_a_redirect_to_another_scheme_is_refused(location: str, context: ToolContext) -> None:
    async with site({"/": redirect(location)}) as there:
        with pytest.raises(ToolError, match="only http"):
            await fetch(context, there.url("/"))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://x/", "x", "", "http://", "http://["]
)
async def test_what_is_no_address_of_the_web_is_refused(url: str, context: ToolContext) -> None:
    with pytest.raises(ToolError):
        await fetch(context, url)


@pytest.mark.usefixtures("only_loopback_is_public")
async def test_a_redirect_to_a_private_address_is_refused(context: ToolContext) -> None:
    async with site({"/": redirect("http://169.254.169.254/latest/meta-data")}) as there:
        with pytest.raises(ToolError, match=r"169\.254\.169\.254 is not on the public internet"):
            await fetch(context, there.url("/"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "2130706433", "[::1]"])
async def test_this_machine_is_refused_by_default(host: str, context: ToolContext) -> None:
    async with site({"/": answer(b"secret")}) as there:
        with pytest.raises(ToolError, match=r"public internet|no address"):
            await fetch(context, there.url("/", host))
        assert there.asked == []


NOT_PUBLIC = """
    10.1.2.3 172.16.0.1 192.168.1.1 127.8.8.8 169.254.169.254 100.64.0.1 0.0.0.0
    224.0.0.1 255.255.255.255 ::1 :: fe80::1 fd00::1 ff02::1 ::ffff:10.0.0.1
    64:ff9b::a00:1 2002:a00:1:: 2001:0:4136:e378:8000:63bf:3fff:fdd2
"""


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_an_address_that_is_not_public_is_known(address: str) -> None:
    assert not addresses.is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_an_address_that_is_public_is_known(address: str) -> None:
    assert addresses.is_public(ip_address(address))


class Resolver(trio.abc.HostnameResolver):
    """Names of this test's own; each answer is given once, and then another one."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        await trio.lowlevel.checkpoint()
        address = self.answers.pop(0)
        return [(2, 1, 6, "", (address, port))]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


@pytest.mark.usefixtures("only_loopback_is_public")
async def test_the_connection_goes_to_the_address_that_was_looked_at(context: ToolContext) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver("127.0.0.1", "10.0.0.1"))
    async with site({"/": answer(b"hello")}) as there:
        assert await fetch(context, there.url("/", "rebinding.example")) == "hello"
        assert f"Host: rebinding.example:{there.port}\r\n" in there.asked[0]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for `ducks.example` alone, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(key), "-out", str(cert), "-subj", "/CN=ducks.example"]
    command += ["-addext", "subjectAltName=DNS:ducks.example"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl here")
    return cert, key


@pytest.mark.usefixtures("only_loopback_is_public")
async def test_the_certificate_is_checked_against_the_name_and_not_the_number(
    context: ToolContext, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate
    trusting = ssl.create_default_context(cafile=str(cert))
    monkeypatch.setattr(fetching, "_tls", lambda: trusting)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(cert, key)
    trio.socket.set_custom_hostname_resolver(Resolver("127.0.0.1", "127.0.0.1"))
    async with site({"/": answer(b"quack")}, serving) as there:
        assert await fetch(context, f"https://ducks.example:{there.port}/") == "quack"
        with pytest.raises(ToolError, match="Hostname mismatch"):
            await fetch(context, f"https://geese.example:{there.port}/")


@pytest.mark.usefixtures("private_allowed")
async def test_of_an_endless_body_only_the_beginning_is_read(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_LARGEST_BODY", 100_000)

    async def endless(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            await stream.send_all(b"x" * 10_000)

    async with site({"/": endless}) as there:
        output = await fetch(context, there.url("/"))
    assert output.startswith("xxx")
    assert output.endswith("[Only the first 100,000 bytes were read.]")
    assert len(output) <= context.max_output


@pytest.mark.usefixtures("private_allowed")
async def test_a_server_that_falls_silent_is_out_of_time(context: ToolContext) -> None:
    async def silent(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with site({"/": silent}) as there:
        with pytest.raises(ToolError, match=r"took longer than 0\.2 s"):
            await fetch(context, there.url("/"), timeout=0.2)


@pytest.mark.usefixtures("private_allowed")
async def test_a_server_that_is_not_there_or_breaks_off_is_a_tool_error(
    context: ToolContext,
) -> None:
    async with site({"/": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"}) as there:
        with pytest.raises(ToolError, match="could not be fetched"):
            await fetch(context, there.url("/"))
    with pytest.raises(ToolError, match="could not be fetched"):
        await fetch(context, there.url("/"))


@pytest.mark.usefixtures("private_allowed")
async def test_a_page_nested_too_deep_is_a_tool_error(context: ToolContext) -> None:
    async with site({"/": answer(b"<div>" * 20_000, "text/html")}) as there:
        with pytest.raises(ToolError, match="nested too deep"):
            await fetch(context, there.url("/"))
