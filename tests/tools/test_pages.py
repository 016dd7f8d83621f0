"""`webfetch`: what a page may be, in kinds, characters and codings; and pages made to do harm."""

import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trio

from tools.sites import Answer, answer, redirect, site
from wingman.errors import ToolError
from wingman.processes.working import Refused
from wingman.tools import ToolContext, web, webfetch
from wingman.tools.pages.program import work


@pytest.fixture(autouse=True)
def private_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINGMAN_WEBFETCH_PRIVATE", "1")


async def fetched(context: ToolContext, page: Answer) -> str:
    async with site({"/": page}) as there:
        try:
            return await webfetch.call({"url": there.url("/"), "timeout": 60}, context)
        except ToolError as error:
            failure = error
    raise failure  # outside of the site's nursery, which would put it into a group


def made_text(body: bytes, content_type: str) -> str:
    """What the worker's program makes of a body."""
    charset = web._CHARSET.search(content_type)
    options = {
        "media_type": content_type.partition(";")[0].strip().lower(),
        "charset": charset[1] if charset else "",
        "codings": [],
        "cut": False,
        "most": 1_000_000,
        "most_html": 1_000_000,
        "show": 10_000,
    }
    answered = json.loads(work(options, body))
    assert answered["length"] == len(answered["text"])
    return str(answered["text"])


def raw(body: bytes, *headers: str) -> bytes:
    head = ["HTTP/1.1 200 OK", *headers, "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


# Kinds

TEXT_TYPES = """
    application/x-ndjson application/ndjson application/jsonl application/json-seq application/toml
    application/x-toml application/x-sh application/x-shellscript application/sql application/x-sql
    application/yaml application/x-yaml text/yaml text/csv text/tab-separated-values
    application/javascript text/javascript application/typescript video/mp2t application/graphql
    application/ld+json application/geo+json application/vnd.api+json application/problem+json
    application/xml text/xml application/rss+xml application/atom+xml image/svg+xml
    application/x-httpd-php application/x-python application/rtf text/rtf message/rfc822
    application/x-www-form-urlencoded application/octet-stream binary/octet-stream chemical/x-pdb
    text/x-anything model/obj application/x-never-heard-of
"""


@pytest.mark.parametrize("kind", TEXT_TYPES.split())
def test_every_type_that_has_text_in_it_is_text(kind: str) -> None:
    assert made_text(b'{"a": 1}\n<p>two', kind) == '{"a": 1}\n<p>two'


async def test_a_type_of_text_is_fetched_as_text(context: ToolContext) -> None:
    page = answer(b"a = 1", "Application/TOML; charset=utf-8")
    assert await fetched(context, page) == "a = 1"


HTML = [
    b"<!DOCTYPE html><p>a <b>duck</b>",
    b"  \n\t<HTML><p>a <b>duck</b>",
    b"<p>a <b>duck</b>",
    b"<!-- x --><p>a <b>duck</b>",
    b"<body class=x>a <b>duck</b>",
    b"<h1 \n>a <b>duck</b></h1>",
]


@pytest.mark.parametrize("body", HTML)
def test_html_without_a_content_type_is_html(body: bytes) -> None:
    for kind in ("", "unknown/unknown", "application/unknown", "*/*", "html"):
        assert made_text(body, kind).removeprefix("# ") == "a **duck**"


async def test_html_that_comes_without_a_content_type_is_fetched_as_html(
    context: ToolContext,
) -> None:
    assert await fetched(context, raw(HTML[0])) == "a **duck**"


@pytest.mark.parametrize("body", [b"a <b>duck</b>", b"<pond>", b"<headings are here>", b"{}"])
def test_text_without_a_content_type_is_text(body: bytes) -> None:
    assert made_text(body, "") == body.decode()


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"%PDF-1.7 x", "application/pdf", "a PDF, not text.*pdftotext"),
        (b"%PDF-1.7 x", "application/octet-stream", "a PDF, not text"),
        (b"%PDF-1.7 x", "text/plain", "a PDF, not text"),
        (b"%PDF-1.7 x", None, "a PDF, not text"),
        (b"\x89PNG\r\n\x1a\nxx", None, "image/png, not text.*curl"),
        (b"\x89PNG\r\n\x1a\nxx", "text/plain", "image/png, not text"),
        (b"x", "image/webp", "image/webp, not text"),
        (b"x", "audio/mpeg", "audio/mpeg, not text"),
        (b"x", "font/woff2", "font/woff2, not text"),
        (b"PK\x03\x04xx", "application/zip", "application/zip, not text"),
        (b"PK\x03\x04xx", None, r"an archive \(zip\), not text"),
        (b"\x1f\x8b\x08xxx", "application/octet-stream", "application/octet-stream, not text"),
        (b"\x00\x01\x02", "application/wasm", "application/wasm, not text"),
        (b"\x00\x01\x02", None, "binary, not text"),
    ],
)
def test_what_is_no_text_is_refused_with_what_to_do(
    body: bytes, kind: str | None, said: str
) -> None:
    with pytest.raises(Refused, match=said):
        made_text(body, kind or "")


# Characters

CHARSETS: list[tuple[bytes, str, str]] = [
    ("žluťoučký".encode("iso-8859-2"), "text/plain; charset=iso-8859-2", "žluťoučký"),
    (b"\x93q\x94 \x80", "text/plain; charset=iso-8859-1", "“q” €"),
    (b"\x93q\x94", "text/plain; charset=us-ascii", "“q”"),
    ("日本".encode("shift_jis"), "text/plain; charset=SJIS", "日本"),
    ("日本".encode("euc-jp"), 'text/plain; charset="euc-jp"', "日本"),
    ("中文".encode("gbk"), "text/plain;charset=GB2312", "中文"),
    ("Привет".encode("koi8-r"), "text/plain; format=flowed; charset=koi8-r", "Привет"),
    ("duck é".encode("utf-16"), "text/plain", "duck é"),
    ("duck é".encode("utf-16-le"), "text/plain; charset=utf-16", "duck é"),
    ("\ufeffduck é".encode(), "text/plain; charset=iso-8859-2", "duck é"),
    ("duck é".encode(), "text/plain", "duck é"),
    ("duck é".encode("latin-1"), "text/plain", "duck é"),
    ("duck é".encode(), "text/plain; charset=punycode", "duck é"),
    ("duck é".encode(), "text/plain; charset=utf-7", "duck é"),
    ("duck é".encode(), "text/plain; charset=idna", "duck é"),
    ("duck é".encode(), "text/plain; charset=unicode_escape", "duck é"),
    ("duck é".encode(), "text/plain; charset=hex", "duck é"),
    ("duck é".encode(), "text/plain; charset=", "duck é"),
    ("duck é".encode(), f"text/plain; charset={'x' * 3000}", "duck é"),
    (b"<meta charset=koi8-r><p>" + "Привет".encode("koi8-r"), "text/html", "Привет"),
    (
        b"<meta http-equiv='Content-Type' content='text/html; charset=windows-1251'>"
        + "Привет".encode("cp1251"),
        "text/html",
        "Привет",
    ),
    ("<meta charset=utf-16><p>é".encode(), "text/html", "é"),
    ("<!-- <meta charset=koi8-r> --><p>é".encode(), "text/html", "é"),
    (b"<p>" + b" " * 2_000 + "<meta charset=koi8-r>é".encode(), "text/html", "é"),
    ("<meta charset=koi8-r><p>é".encode(), "text/html; charset=utf-8", "é"),
    (b"<meta charset=x-user-defined><p>\xe9", "text/html", "é"),
    (
        b"<?xml version='1.0' encoding='iso-8859-2'?><a>\xbe</a>",
        "application/xml",
        "<?xml version='1.0' encoding='iso-8859-2'?><a>ž</a>",
    ),
    (b"a\xffb", "text/plain; charset=utf-8", "a\ufffdb"),
]


@pytest.mark.parametrize(("body", "kind", "text"), CHARSETS)
def test_characters_are_read_by_the_webs_rules(body: bytes, kind: str, text: str) -> None:
    assert made_text(body, kind) == text


async def test_characters_come_out_of_a_fetch_by_the_webs_rules(context: ToolContext) -> None:
    for number in (1, 12, 20):
        body, kind, text = CHARSETS[number]
        assert await fetched(context, answer(body, kind)) == text


@pytest.mark.parametrize("charset", ["iso-2022-kr", "hz-gb-2312", "replacement"])
async def test_a_charset_that_the_web_has_given_up_is_refused(
    charset: str, context: ToolContext
) -> None:
    with pytest.raises(ToolError, match=r"browsers no longer read.*iconv"):
        await fetched(context, answer(b"duck", f"text/plain; charset={charset}"))


# Codings


def packed(body: bytes, coding: str, kind: str = "text/plain") -> bytes:
    return answer(body, kind, **{"Content-Encoding": coding})


def deflated(data: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


async def test_compressed_bodies_are_inflated(context: ToolContext) -> None:
    body = b"duck " * 1_000
    gzipped = gzip.compress(body)
    for data, coding in [
        (gzipped, "gzip"),
        (gzipped, "X-GZIP"),
        (gzip.compress(body[:50]) + gzip.compress(body[50:]), "gzip"),
        (gzipped, "identity, gzip"),
        (deflated(body, 15), "deflate"),
        (deflated(body, -15), "deflate"),
        (body, "identity"),
        (body, ""),
    ]:
        assert await fetched(context, packed(data, coding)) == body.decode(), coding


async def test_gzip_alone_is_asked_for(context: ToolContext) -> None:
    async with site({"/": answer(b"x")}) as there:
        await webfetch.call({"url": there.url("/")}, context)
    assert "\r\nAccept-Encoding: gzip\r\n" in there.asked[0]


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "x-duck"])
async def test_a_coding_that_was_not_asked_for_is_said(coding: str, context: ToolContext) -> None:
    with pytest.raises(ToolError, match=f"is compressed as {coding}, which was not asked for"):
        await fetched(context, packed(b"xxx", coding))


async def test_a_body_that_is_compressed_twice_is_refused(context: ToolContext) -> None:
    twice = gzip.compress(gzip.compress(b"duck"))
    with pytest.raises(ToolError, match=r"compressed more than once \(gzip, gzip\)"):
        await fetched(context, packed(twice, "gzip, gzip"))
    two = raw(twice, "Content-Encoding: gzip", "Content-Encoding: gzip")
    with pytest.raises(ToolError, match="compressed more than once"):
        await fetched(context, two)


async def test_what_is_not_compressed_as_it_says_is_refused(context: ToolContext) -> None:
    for coding in ("gzip", "deflate"):
        with pytest.raises(ToolError, match="is said to be compressed, and is not or is damaged"):
            await fetched(context, packed(b"just text", coding))


async def test_a_compressed_body_that_breaks_off_is_shown_as_far_as_it_goes(
    context: ToolContext,
) -> None:
    body = bytes(range(32, 127)) * 300
    for data, coding in ((gzip.compress(body)[:-20], "gzip"), (deflated(body, 15)[:-9], "deflate")):
        text = await fetched(context, packed(data, coding))
        assert text.startswith(" !\"#$%&'()")
        assert "broke off or was damaged" in text


def bomb(megabytes: int) -> bytes:
    """Gzip that inflates to so much, less its end."""
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(b"a") + packer.flush(zlib.Z_FULL_FLUSH)
    return head + megabytes * (packer.compress(b"a" * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH))


@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
async def test_a_bomb_is_inflated_to_the_limit_and_no_further(
    kind: str, context: ToolContext
) -> None:
    text = await fetched(context, packed(bomb(1_000), "gzip", kind))
    most = "1,000,000" if kind == "text/html" else "5,000,000"
    assert text.endswith(f"[Only the first {most} bytes were read.]")
    assert len(text) <= context.max_output


async def test_many_empty_members_of_gzip_cost_no_more_than_time(context: ToolContext) -> None:
    data = gzip.compress(b"") * 20_000 + gzip.compress(b"duck")
    assert await fetched(context, packed(data, "gzip")) == "duck"


# Pages that have no text


async def test_a_page_that_is_empty_without_scripts_says_so(context: ToolContext) -> None:
    page = b"<title>App</title><body><div id=root></div><script src=/app.js></script>"
    text = await fetched(context, answer(page, "text/html"))
    assert text.startswith("# App\n[Without scripts, which webfetch does not run")
    with_words = page + b"<noscript>You need <b>JavaScript</b>.</noscript>"
    text = await fetched(context, answer(with_words, "text/html"))
    assert "You need **JavaScript**." in text
    assert "Without scripts" in text


async def test_a_page_with_text_shows_no_noscript(context: ToolContext) -> None:
    page = b"<p>Duck<script>x</script><noscript>Enable it</noscript>"
    assert await fetched(context, answer(page, "text/html")) == "Duck"


@pytest.mark.parametrize(
    "meta",
    [
        '<meta http-equiv="refresh" content="0; url=http://10.0.0.1/next?a=1&amp;b=2">',
        "<META content='0;URL=\"http://10.0.0.1/next?a=1&b=2\"' HTTP-EQUIV=Refresh>",
        "<meta http-equiv=refresh content=5;http://10.0.0.1/next?a=1&b=2>",
    ],
)
async def test_a_page_that_refreshes_elsewhere_says_so_and_is_not_followed(
    meta: str, context: ToolContext
) -> None:
    text = await fetched(context, answer(f"{meta}<p>Wait".encode(), "text/html"))
    assert text == (
        "Wait\n[The page sends its readers on to http://10.0.0.1/next?a=1&b=2: "
        "fetch that if it matters.]"
    )
    only_itself = b"<meta http-equiv=refresh content=30><p>Wait"
    assert await fetched(context, answer(only_itself, "text/html")) == "Wait"


async def test_frames_and_empty_pages_and_log_ins_say_so(context: ToolContext) -> None:
    frames = b"<frameset cols=1><frame name=x src='a.html'><frame src=/b.html></frameset>"
    assert "made of frames: a.html, /b.html" in await fetched(context, answer(frames, "text/html"))
    assert await fetched(context, answer(b"", "text/html")) == "[The page is empty.]"
    assert await fetched(context, answer(b"", "text/plain")) == "[The page is empty.]"
    login = b"<form>Name <input name=n><input type=password></form>"
    assert "asks for a log-in" in await fetched(context, answer(login, "text/html"))


async def test_what_is_no_content_of_a_page_is_left_out(context: ToolContext) -> None:
    page = (
        b"<p>Duck <img src='data:image/png;base64,AAAA' alt=pic></p><svg><text>s</text></svg>"
        b"<iframe src=/x>f</iframe><template>t</template><style>p{}</style>"
    )
    assert await fetched(context, answer(page, "text/html")) == "Duck pic"


# Answers made to do harm


@asynccontextmanager
async def loop_watched(longest: float) -> AsyncIterator[None]:
    """The loop runs on while the block does: no task, nor code that holds the GIL, stops it.

    A busy machine stops it too, now and then: the third longest pause counts.
    """
    pauses = [0.0, 0.0, 0.0]

    async def watch() -> None:
        before = time.thread_time(), time.perf_counter()
        while True:
            await trio.sleep(0.002)
            now = time.thread_time(), time.perf_counter()
            # What this thread itself has worked; a pause without work is the machine's.
            pauses.append(min(now[0] - before[0], now[1] - before[1]))
            before = now

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        yield
        nursery.cancel_scope.cancel()
    assert sorted(pauses)[-3] < longest


N = 20_000
WORST = {
    "spaces": b"<p>x" + b" " * 5 * N + b"y",
    "unclosed attributes": b'<a b="' * N,
    "list items": b"<ol>" + b"<li>x" * N,
    "many attributes": b"<p " + b" ".join(b"a%d=1" % i for i in range(N)) + b">x",
    "nested lists": b"<ul><li>" * N + b"x",
    "nested formatting": b"<p><b><i><a>" * (N // 3) + b"x",
    "nested quotes": b"<blockquote>" * N,
    "nested tables": b"<table><tr><td>" * N + b"x",
    "wide cells": b"<table><tr>" + b"<td colspan=1000 rowspan=1000>a" * (N // 2),
    "comments": b"<!--" * N + b"<!-- -->" * N,
    "entities": b"<p>" + b"&amp;&nosuch;&#x110000;" * N,
    "brackets": b"<" * 5 * N + b"<!" * N,
    "one word": b"a" * 5 * N,
    "scripts": b"<script>" * N,
    "titles": b"<title x " * N,
    "metas": b"<meta http-equiv=refresh content=" * N,
    "frames": b"<frame src='" * N,
    "nulls": b"\0" * 5 * N,
}


async def test_no_page_holds_the_loop_and_each_ends(context: ToolContext) -> None:
    pages: dict[str, Answer] = {
        f"/{number}": answer(body, "text/html") for number, body in enumerate(WORST.values())
    }

    failures: list[str] = []

    async def one(url: str) -> None:
        try:
            assert len(await webfetch.call({"url": url, "timeout": 60}, context)) < 40_000
        except ToolError as error:
            failures.append(str(error))

    async with site(pages) as there, loop_watched(0.05), trio.open_nursery() as nursery:
        for path in pages:
            nursery.start_soon(one, there.url(path))
    for failure in failures:
        assert "nested too deep" in failure or "could not be made into text" in failure


@pytest.mark.parametrize(
    "kind",
    ["text/plain; charset=punycode", "text/plain; charset=utf-8", "application/json", "text/html"],
)
async def test_no_charset_and_no_text_holds_the_loop(kind: str, context: ToolContext) -> None:
    body = ("ü-" * 1_000_000).encode()
    async with loop_watched(0.05):
        assert (await fetched(context, answer(body, kind))).startswith("ü-")


async def test_a_page_that_takes_too_long_is_given_up(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_LONGEST_WORK", 0.02)
    with pytest.raises(
        ToolError, match=r"could not be made into text: It took longer than 0\.02 s"
    ):
        await fetched(context, answer(WORST["list items"], "text/html"))


def flood() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 100 X\r\n\r\n" * 500


async def test_a_flood_of_interim_answers_ends_when_the_time_is_up(context: ToolContext) -> None:
    async def interim(stream: trio.abc.Stream) -> None:
        for piece in flood():
            await stream.send_all(piece)

    async with loop_watched(0.05), site({"/": interim}) as there:
        with pytest.raises(ToolError, match=r"took longer than 0\.5 s"):
            await webfetch.call({"url": there.url("/"), "timeout": 0.5}, context)


async def test_headers_without_end_are_refused(context: ToolContext) -> None:
    async def endless(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\n")
        while True:
            await stream.send_all(b"X-Duck: quack\r\n" * 100)

    async def one(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nX-Duck: ")
        while True:
            await stream.send_all(b"quack" * 1_000)

    for page in (endless, one):
        with pytest.raises(ToolError, match="could not be fetched"):
            await fetched(context, page)


async def test_a_slow_body_ends_when_the_time_is_up(context: ToolContext) -> None:
    async def slow(stream: trio.abc.Stream) -> None:
        await stream.send_all(raw(b"", "Content-Type: text/plain"))
        while True:
            await stream.send_all(b"x")
            await trio.sleep(0.01)

    async with site({"/": slow}) as there:
        with pytest.raises(ToolError, match=r"took longer than 0\.3 s"):
            await webfetch.call({"url": there.url("/"), "timeout": 0.3}, context)


async def test_tiny_chunks_do_not_hold_the_loop(context: ToolContext) -> None:
    body = b"1\r\nx\r\n" * 3_000 + b"0\r\n\r\n"
    async with loop_watched(0.05):
        text = await fetched(context, raw(body, "Transfer-Encoding: chunked"))
    assert text.startswith("xxx")


@pytest.mark.parametrize(
    "page",
    [
        b"<html>HTTP/0.9" + b"x" * 50_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: duck\r\n\r\nx",
        b"\xff\xfe" * 100,
        b"",
    ],
)
async def test_what_is_no_http_is_an_error_of_bounded_length(
    page: bytes, context: ToolContext
) -> None:
    with pytest.raises(ToolError, match="could not be fetched") as failed:
        await fetched(context, page)
    assert len(str(failed.value)) < 1_000


async def test_answers_without_a_page(context: ToolContext) -> None:
    none = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    assert await fetched(context, none) == "[The page is empty.]"
    for page in (b"HTTP/1.1 304 X\r\nConnection: close\r\n\r\n", answer(b"", status=302)):
        with pytest.raises(ToolError, match="neither with a page nor with another address"):
            await fetched(context, page)
    assert await fetched(context, answer(b"half", status=206)) == "half"


async def test_an_errors_page_that_is_no_text_leaves_the_status(context: ToolContext) -> None:
    with pytest.raises(ToolError, match=r"HTTP 500\.$"):
        await fetched(context, answer(b"\x00\x01", "image/png", status=500))
    page = b"<title>Members</title><p>Please <b>log in</b>."
    with pytest.raises(ToolError, match=r"HTTP 403\. # Members\n\nPlease \*\*log in\*\*\.$"):
        await fetched(context, answer(page, "text/html", status=403))


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1\\@8.8.8.8/",
        "http://8.8.8.8@127.0.0.1/",
        "javascript:x",
        "http://[",
        "http://x:0/",
    ],
)
async def test_a_redirect_to_what_is_no_address_of_the_web_is_refused(
    location: str, context: ToolContext
) -> None:
    with pytest.raises(ToolError, match=r"cannot be fetched|no URL|user name"):
        await fetched(context, redirect(location))


@pytest.mark.parametrize(
    "host", ["[::1]", "2130706433", "0x7f.1", "[64:ff9b:1::7f00:1]", "localhost"]
)
async def test_each_redirect_is_looked_at_like_the_first_address(
    host: str, context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wingman.tools import addresses

    public = addresses.is_public
    monkeypatch.delenv("WINGMAN_WEBFETCH_PRIVATE")
    async with site({"/": redirect(f"http://{host}:9/")}) as there:
        first = iter([True])
        monkeypatch.setattr(
            addresses, "is_public", lambda address: next(first, False) or public(address)
        )
        with pytest.raises(ToolError, match=r"public internet|has no address"):
            await webfetch.call({"url": there.url("/")}, context)
        assert len(there.asked) == 1


async def test_a_proxy_of_the_environment_is_not_used(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site({"/": answer(b"direct")}) as there, site({}) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url("/"))
        assert await webfetch.call({"url": there.url("/")}, context) == "direct"
        assert proxy.asked == []
