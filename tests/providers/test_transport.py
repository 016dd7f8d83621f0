"""The one door to the network: retries, errors, secrets, redirects, timeouts."""

import asyncio
import inspect
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import pytest
import trio

from provider_wires import chunks, receive_request, response_head
from wingman.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderStreamError,
    ProviderTimeout,
)
from wingman.providers import Retry, Transport
from wingman.providers.transport import Call
from wingman.providers.transport.failures import HTTPX_ERRORS, could_not_ask, failure, refusal
from wingman.providers.transport.retry import asked_delay, passes

KEY = "sk-very-secret-0123456789"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def a_call(url: str = "http://model.test/v1") -> Call:
    return Call("anthropic", url, {"x-api-key": KEY}, b"{}", KEY)


class Answers:
    """A network that gives these answers in turn, and keeps when it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.times: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.times.append(trio.current_time())
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, content=b"good")
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def delays(self) -> list[float]:
        return [later - sooner for sooner, later in pairwise(self.times)]


async def fetch(answers: Answers, retry: Retry | None = None) -> bytes:
    async with Transport(over=httpx.MockTransport(answers), retry=retry) as transport:
        stream = await transport.open_stream(a_call())
        try:
            return await stream.receive()
        finally:
            await stream.aclose()


# --- retries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_a_status_that_may_pass_is_asked_again(status, autojump_clock):
    answers = Answers(httpx.Response(status), httpx.Response(status))
    assert await fetch(answers) == b"good"
    assert len(answers.times) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422])
async def test_a_status_that_will_not_pass_is_not_asked_again(status, autojump_clock):
    answers = Answers(httpx.Response(status))
    with pytest.raises(ProviderError):
        await fetch(answers)
    assert len(answers.times) == 1


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.RemoteProtocolError("x")],
)
async def test_a_connection_that_fails_is_tried_again(error, autojump_clock):
    answers = Answers(error)
    assert await fetch(answers) == b"good"


async def test_a_server_that_is_silent_for_the_whole_timeout_is_not_asked_again(autojump_clock):
    answers = Answers(httpx.ReadTimeout("x"))
    with pytest.raises(ProviderTimeout):
        await fetch(answers)
    assert len(answers.times) == 1


async def test_delays_double_up_to_a_cap_with_at_most_a_quarter_of_jitter(autojump_clock):
    answers = Answers(*[httpx.Response(500)] * 6)
    assert await fetch(answers, Retry(attempts=7)) == b"good"
    for delay, full in zip(answers.delays, [0.5, 1, 2, 4, 8, 8], strict=True):
        assert full * 0.75 <= delay <= full


async def test_attempts_are_counted_and_the_last_error_is_raised(autojump_clock):
    answers = Answers(*[httpx.Response(500)] * 9, httpx.Response(503))
    with pytest.raises(ProviderError, match="HTTP 500"):
        await fetch(answers, Retry(attempts=3))
    assert len(answers.times) == 3


async def test_a_delay_that_would_end_too_late_is_not_begun(autojump_clock):
    answers = Answers(httpx.Response(429, headers={"retry-after": "3600"}))
    with pytest.raises(ProviderRateLimited):
        await fetch(answers)
    assert trio.current_time() < 1
    assert len(answers.times) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "20", "retry-after": "7"}, 0.02),
    ],
)
async def test_the_server_says_when(headers, seconds, autojump_clock):
    answers = Answers(httpx.Response(429, headers=headers))
    await fetch(answers)
    assert answers.delays == [pytest.approx(seconds, abs=0.01)]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (format_datetime(NOW + timedelta(seconds=9), usegmt=True), 9.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
        ("-3", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_anything_else_is_nothing(value, seconds):
    headers = {} if value is None else {"retry-after": value}
    assert asked_delay(headers, NOW) == seconds


def test_x_should_retry_knows_better_than_the_status():
    assert passes(400, {"x-should-retry": "true"})
    assert not passes(503, {"x-should-retry": "false"})
    assert passes(503, {"x-should-retry": "perhaps"})


async def test_a_cancel_interrupts_the_wait_between_attempts_at_once(autojump_clock):
    answers = Answers(httpx.Response(500, headers={"retry-after": "30"}))
    with trio.move_on_after(1) as scope:
        await fetch(answers)
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(1, abs=0.01)


async def test_every_retry_is_logged_and_never_with_the_key(autojump_clock, caplog):
    body = f"no such key: {KEY}".encode()
    with caplog.at_level(logging.WARNING, "wingman.providers"):
        await fetch(Answers(httpx.Response(500, content=body), httpx.ConnectError(KEY)))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("anthropic: HTTP 500; attempt 2 of 5 follows in 0.")
    assert KEY not in caplog.text


@pytest.mark.parametrize("error", [KeyError("bug"), SystemExit(2), asyncio.CancelledError()])
async def test_whatever_on_retry_raises_it_is_logged_and_the_provider_is_asked_again(
    error, autojump_clock, caplog
):
    told = []

    def on_retry(provider: str) -> None:
        told.append(provider)
        raise error

    answers = httpx.MockTransport(Answers(httpx.Response(500), httpx.Response(500)))
    async with Transport(over=answers, on_retry=on_retry) as transport:
        stream = await transport.open_stream(a_call())
        assert await stream.receive() == b"good"
        await stream.aclose()
    assert told == ["anthropic", "anthropic"]
    assert caplog.text.count("on_retry raised") == 2


async def test_nothing_is_sent_again_once_a_good_response_has_begun(autojump_clock):
    async def body():
        yield b"one"
        raise httpx.ReadError("gone")

    answers = Answers(httpx.Response(200, content=body()))
    async with Transport(over=httpx.MockTransport(answers)) as transport:
        stream = await transport.open_stream(a_call())
        assert await stream.receive() == b"one"
        with pytest.raises(ProviderStreamError):
            await stream.receive()
        await stream.aclose()
    assert len(answers.times) == 1


# --- errors ---------------------------------------------------------------------------------------


def all_of_httpx() -> list[type[Exception]]:
    named = [getattr(httpx, name) for name in httpx.__all__]
    return [one for one in named if inspect.isclass(one) and issubclass(one, Exception)]


def made(kind: type[Exception], text: str = "why") -> Exception:
    error = kind.__new__(kind)
    Exception.__init__(error, text)
    return error


@pytest.mark.parametrize("kind", all_of_httpx(), ids=lambda kind: kind.__name__)
async def test_all_that_httpx_can_raise_is_mapped(kind, autojump_clock):
    cause = made(kind)
    assert isinstance(cause, HTTPX_ERRORS)
    with pytest.raises(ProviderError) as caught:
        await fetch(Answers(cause), Retry(attempts=1))
    assert caught.value.__cause__ is cause
    assert caught.value.provider == "anthropic"
    assert isinstance(caught.value, ProviderTimeout) == issubclass(kind, httpx.TimeoutException)


def test_a_broken_stream_is_told_from_a_place_that_cannot_be_reached():
    assert type(failure(httpx.ReadError(""), "p")) is ProviderStreamError
    assert type(failure(httpx.DecodingError(""), "p")) is ProviderStreamError
    assert type(failure(httpx.ConnectError(""), "p")) is ProviderError
    assert type(failure(httpx.InvalidURL(""), "p")) is ProviderError
    assert not could_not_ask(httpx.InvalidURL(""))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ProviderRejected),
        (400, ProviderRejected),
        (401, ProviderAuthError),
        (403, ProviderAuthError),
        (404, ProviderRejected),
        (408, ProviderTimeout),
        (409, ProviderError),
        (413, ProviderRejected),
        (422, ProviderRejected),
        (429, ProviderRateLimited),
        (500, ProviderError),
        (504, ProviderTimeout),
        (529, ProviderError),
    ],
)
def test_a_status_has_its_error(status, kind):
    assert type(refusal(status, {}, b"", "p")) is kind


@pytest.mark.parametrize(
    ("status", "refused"), [(400, True), (413, True), (422, True), (401, False), (404, False)]
)
def test_a_request_that_is_refused_for_its_content_is_told_from_others(status, refused):
    assert refusal(status, {}, b"", "p").refused == refused
    key = b'{"error": {"status": "x", "details": [{"reason": "API_KEY_INVALID"}]}}'
    assert not refusal(status, {}, key, "p").refused


@pytest.mark.parametrize(
    ("body", "message", "error_type"),
    [
        (b'{"type":"error","error":{"type":"api_error","message":"Busy"}}', "Busy", "api_error"),
        (b'{"error":{"message":"Bad","type":null,"code":"bad_key"}}', "Bad", "bad_key"),
        (b'{"error":"model not found"}', "model not found", None),
        (b'{"detail":[{"loc":["body"]}]}', '[{"loc":["body"]}]', None),
        (b'{"message":"Nope"}', "Nope", None),
        (b'{"error":{"code":429,"message":"Slow","status":"EXHAUSTED"}}', "Slow", "EXHAUSTED"),
        (b'[{"error":{"code":500,"message":"Oops","status":"INTERNAL"}}]', "Oops", "INTERNAL"),
        (b"<html>Bad gateway</html>", "<html>Bad gateway</html>", None),
        (b"[1]", "[1]", None),
        (b"", "did not say why", None),
        (b"\xff\xfe", "\ufffd", None),
    ],
)
def test_a_refusal_says_what_the_provider_says(body, message, error_type):
    error = refusal(500, {"request-id": "req_1"}, body, "p")
    assert message in error.message
    assert error.error_type == error_type
    assert error.request_id == "req_1"
    assert error.status == 500


def test_the_request_id_may_be_under_another_name_or_in_the_body():
    assert refusal(500, {"x-request-id": "req_2"}, b"", "p").request_id == "req_2"
    assert refusal(500, {}, b'{"request_id":"req_3"}', "p").request_id == "req_3"


async def test_a_key_that_the_provider_echoes_is_not_repeated():
    body = b'{"error":{"type":"%s","message":"%sno key %s"}}' % (
        KEY.encode(),
        b"x" * 990,
        KEY.encode(),
    )
    with pytest.raises(ProviderAuthError) as caught:
        await fetch(Answers(httpx.Response(401, content=body)))
    assert "sk-" not in str(caught.value)
    assert "sk-" not in repr(caught.value.error_type)
    assert KEY not in repr(a_call())


async def test_of_an_endless_error_body_only_the_beginning_is_read():
    sent = 0

    async def body():
        nonlocal sent
        while True:
            sent += 1
            await trio.lowlevel.checkpoint()
            yield b"x" * 1024

    with trio.fail_after(5), pytest.raises(ProviderRejected):
        await fetch(Answers(httpx.Response(400, content=body())))
    assert sent < 1_000_000


async def test_a_redirect_is_never_followed():
    there = httpx.Response(307, headers={"location": "http://elsewhere.test/"})
    answers = Answers(there)
    with pytest.raises(ProviderRejected, match="redirect"):
        await fetch(answers)
    assert len(answers.times) == 1


async def test_json_that_is_none_is_a_broken_answer():
    answers = Answers(httpx.Response(200, content=b"<html>"))
    async with Transport(over=httpx.MockTransport(answers)) as transport:
        with pytest.raises(ProviderStreamError, match="not JSON"):
            await transport.get_json(Call("openai", "http://model.test/v1/models"))


async def test_a_body_that_is_compressed_unasked_is_read_all_the_same():
    import gzip

    packed = httpx.Response(
        200, content=gzip.compress(b"plain"), headers={"content-encoding": "gzip"}
    )
    assert await fetch(Answers(packed)) == b"plain"


async def test_a_transport_must_be_open():
    with pytest.raises(RuntimeError, match="open the transport"):
        await Transport().open_stream(a_call())


# --- over real sockets ----------------------------------------------------------------------------


async def test_silence_before_the_first_byte_is_a_timeout(serve):
    async def handler(stream):
        await receive_request(stream)
        await stream.receive_some()

    async with Transport(idle_timeout=0.05) as transport:
        with trio.fail_after(5), pytest.raises(ProviderTimeout):
            await transport.open_stream(a_call(await serve(handler)))


async def test_silence_between_two_chunks_is_a_timeout(serve):
    async def handler(stream):
        await receive_request(stream)
        await stream.send_all(response_head() + chunks([b"one"], end=False))
        await stream.receive_some()

    async with Transport(idle_timeout=0.05) as transport:
        stream = await transport.open_stream(a_call(await serve(handler)))
        with trio.fail_after(5):
            assert await stream.receive() == b"one"
            with pytest.raises(ProviderTimeout):
                await stream.receive()
            await stream.aclose()


async def test_the_whole_may_take_longer_than_the_idle_timeout(serve):
    async def handler(stream):
        await receive_request(stream)
        await stream.send_all(response_head())
        for _ in range(4):
            await trio.sleep(0.03)
            await stream.send_all(chunks([b"x"], end=False))
        await stream.send_all(b"0\r\n\r\n")

    async with Transport(idle_timeout=0.1) as transport:
        stream = await transport.open_stream(a_call(await serve(handler)))
        received = b""
        while chunk := await stream.receive():
            received += chunk
        await stream.aclose()
    assert received == b"xxxx"


async def test_a_connection_that_the_server_has_closed_meanwhile_is_replaced(serve):
    asked = 0

    async def handler(stream):
        nonlocal asked
        await receive_request(stream)
        asked += 1
        if asked == 2:
            return  # closed without an answer, as a server does that has just gone idle
        await stream.send_all(response_head() + chunks([b"good"]))
        if asked == 1:
            await receive_request(stream)
            asked += 1

    url = await serve(handler)
    async with Transport(retry=Retry(first_delay=0.0)) as transport:
        for _ in range(2):
            stream = await transport.open_stream(a_call(url))
            assert await stream.receive() == b"good"
            stream.complete()
            await stream.aclose()
    assert asked == 3


async def test_nobody_listening_is_a_provider_error_that_says_so():
    async with Transport(retry=Retry(attempts=2, first_delay=0.0)) as transport:
        with pytest.raises(ProviderError, match="could not be reached"):
            await transport.open_stream(a_call("http://127.0.0.1:1/"))


async def test_the_end_of_a_complete_stream_is_awaited_a_moment_so_its_connection_is_kept(serve):
    read, connections = trio.Event(), 0

    async def handler(stream):
        nonlocal connections
        connections += 1
        for _ in range(2):
            await receive_request(stream)
            await stream.send_all(response_head() + chunks([b"all"], end=False))
            await read.wait()
            await stream.send_all(b"0\r\n\r\n")
        await stream.receive_some()

    url = await serve(handler)
    async with Transport() as transport:
        for _ in range(2):
            stream = await transport.open_stream(a_call(url))
            assert await stream.receive() == b"all"
            stream.complete()
            read.set()
            await stream.aclose()
    assert connections == 1


async def test_the_end_of_a_complete_stream_is_not_awaited_for_long(serve):
    async def handler(stream):
        await receive_request(stream)
        await stream.send_all(response_head() + chunks([b"all"], end=False))
        await stream.receive_some()

    async with Transport() as transport:
        stream = await transport.open_stream(a_call(await serve(handler)))
        assert await stream.receive() == b"all"
        stream.complete()
        with trio.fail_after(2):
            await stream.aclose()


# --- what httpx lets through ----------------------------------------------------------------------

ONCE = Retry(attempts=1)


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".test"])
async def test_a_host_that_is_no_name_could_not_be_reached(host):
    async with Transport(retry=ONCE) as transport:
        with pytest.raises(ProviderError, match=r"could not be reached \(UnicodeError: ") as caught:
            await transport.open_stream(a_call(f"http://{host}/v1"))
    assert isinstance(caught.value.__cause__, UnicodeError)


async def test_an_error_of_the_system_is_not_passed_on_as_it_is():
    with pytest.raises(ProviderError, match=r"could not be reached \(OSError: no device"):
        await fetch(Answers(OSError("no device")))


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SSL_CERT_FILE", "/nowhere/certificates.pem", "FileNotFoundError"),
        ("SSL_CERT_FILE", __file__, "SSLError"),
        ("ALL_PROXY", f"ftp://user:{KEY}@proxy.test", "ValueError: Unknown scheme"),
        ("ALL_PROXY", "http://:::", "InvalidURL"),
    ],
)
async def test_an_environment_that_allows_no_client_is_told_as_such(
    variable, value, said, monkeypatch
):
    monkeypatch.setenv(variable, value)
    async with Transport(retry=ONCE) as transport:
        with pytest.raises(ProviderError, match=f"the environment .*{said}") as caught:
            await transport.open_stream(a_call("http://127.0.0.1:1/"))
        assert KEY not in str(caught.value)
        monkeypatch.delenv(variable)
        with pytest.raises(ProviderError, match="could not be reached"):
            await transport.open_stream(a_call("http://127.0.0.1:1/"))


_WITHOUT_THREADS = """
import threading, trio
from wingman.errors import ProviderError
from wingman.providers import Retry, Transport
from wingman.providers.transport import Call

async def main():
    threading.stack_size(1 << 46)  # more than there is: no thread can be started
    told = []
    retry = Retry(attempts=3, first_delay=0.01)
    async with Transport(retry=retry, on_retry=told.append) as transport:
        try:
            await transport.open_stream(Call("anthropic", "http://localhost:1/v1"))
        except ProviderError as error:
            print(error, told)

trio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="how much stack is too much is the system's")
def test_a_process_that_can_start_no_thread_cannot_resolve_a_name_and_says_so():
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_THREADS],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "anthropic: its name could not be resolved" in done.stdout
    assert "can't start new thread" in done.stdout
    assert "['anthropic', 'anthropic']" in done.stdout  # it may pass: asked again, twice


async def test_a_bug_is_no_failure_of_the_provider():
    with pytest.raises(RuntimeError, match="a bug"):
        await fetch(Answers(RuntimeError("a bug")))
