"""A hostile network costs nothing: each event once and in order, each message run once."""

import asyncio
import random
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.faults import Fault, FaultProxy, answer, between, events, some_fault
from client.test_restarts import check_run
from client.troupe import NAME
from client.worlds import served
from wingman.client import Client, Patience, Session, SyncClient, patience
from wingman.errors import BadAnswer, Unavailable, Unreachable, WingmanError
from wingman.events import Done, Event, ToolProgress
from wingman.face import Followed

LOOPS = ("trio", "asyncio")
TOKEN = "a-token-that-nobody-sees"
PATIENT = Patience(seconds=60, tries=1000, first_seconds=60)
SILENT = 0.3
MESSAGE = "!say ä-{n}-ß\n---\n!say two\n---\n!say three\n---\n!say 🦆 four"


@attrs.frozen
class Stage:
    """A server, a proxy before it, and the book of what the model was asked."""

    url: str
    proxy: FaultProxy
    book: Path

    def client(self, patience: Patience = PATIENT, **more: object) -> Client:
        """A client through the proxy."""
        return Client(self.proxy.url, TOKEN, patience=patience, **{"silent_seconds": 10, **more})

    def asked(self, text: str) -> int:
        """How often the model was asked for this message."""
        lines = self.book.read_text().splitlines() if self.book.exists() else []
        return lines.count(text.replace("\n", " "))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, "_LONGEST_PAUSE", 0.05)
        patch.setattr(patience, "_SHORTEST_PAUSE", 0.01)
        book = tmp_path_factory.mktemp("faults") / "book"
        with served(book, token=TOKEN) as url, between(url) as proxy:
            yield Stage(url, proxy, book)


@pytest.fixture(autouse=True)
def calm(stage: Stage) -> None:
    """A test begins with a network that is at peace."""
    stage.proxy.faults.clear()
    stage.proxy.requests.clear()
    stage.proxy.met.clear()


def play(
    loop: str, scene: Callable[[Session], Awaitable[None]], stage: Stage, **more: object
) -> None:
    """Run a scene with a session that is made in peace."""

    async def main() -> None:
        with anyio.fail_after(30):
            async with stage.client(**more) as client:
                await scene(await client.create_session(NAME))
        if loop == "asyncio":
            assert asyncio.all_tasks() == {asyncio.current_task()}

    anyio.run(main, backend=loop)


async def check_through(session: Session, stage: Stage, faults: list[Fault], text: str) -> None:
    """A streamed run through these faults is what the server has done, once."""
    stage.proxy.faults.clear()
    stage.proxy.faults.extend(faults)
    async with session.run_stream(text) as stream:
        found = [event async for event in stream]
    stage.proxy.faults.clear()
    assert isinstance(found[-1], Done)
    assert sum(isinstance(event, Done) for event in found) == 1
    async with Client(stage.url, TOKEN) as direct:
        there = await direct.session(session.id)
        check_run(found, stream.result, await there.history(), text)
    assert stage.asked(text) == 1


# --- any sequence of faults -----------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_a_run_is_streamed_once_through_any_sequence_of_faults(loop: str, stage: Stage) -> None:
    @given(st.integers(0, 2**32))
    @settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))
    def check(seed: int) -> None:
        pick = random.Random(seed)
        faults = [some_fault(pick) for _ in range(pick.randrange(1, 6))]

        async def scene(session: Session) -> None:
            await check_through(session, stage, faults, MESSAGE.format(n=session.id))

        stage.proxy.faults.clear()
        play(loop, scene, stage, silent_seconds=SILENT)

    check()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("fault", [Fault(piece=1), Fault(together=0.3)], ids=["bytes", "joined"])
def test_how_the_network_slices_a_stream_does_not_matter(
    loop: str, fault: Fault, stage: Stage
) -> None:
    async def scene(session: Session) -> None:
        await check_through(session, stage, [fault], MESSAGE.format(n=session.id))
        assert len(stage.proxy.requests) == 2

    play(loop, scene, stage)


# --- answers that are made up ---------------------------------------------------------------------

JSON = {"Content_Type": "application/json"}
REFUSED = b'{"error": {"code": "a_later_code", "message": "Later.", "request_id": "r"}}'


@pytest.mark.parametrize(
    ("status", "retry_after"),
    [
        ("429 Later", None),
        ("502 Bad", "soon"),
        ("503 Later", "0"),
        ("504 Late", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ],
)
def test_what_a_proxy_refuses_for_now_is_sent_again(
    status: str, retry_after: str | None, stage: Stage
) -> None:
    more = {} if retry_after is None else {"Retry_After": retry_after}
    told = []

    async def scene(session: Session) -> None:
        refusal = answer(status, b"<p>no</p>", Content_Type="text/html", **more)
        await check_through(session, stage, [Fault(answer=refusal)], session.id)
        assert [one.failures for one in told] == [1]
        assert told[0].delay <= 1

    play("trio", scene, stage, on_retry=told.append)


@pytest.mark.parametrize("retry_after", ["9" * 500, "Fri, 01 Jan 2980 00:00:00 GMT", "3600"])
@pytest.mark.parametrize("html", [True, False])
def test_a_wait_that_is_longer_than_patience_is_not_begun(
    retry_after: str, html: bool, stage: Stage
) -> None:
    async def scene(session: Session) -> None:
        body, kind = (b"<p>", "text/html") if html else (REFUSED, "application/json")
        refusal = answer("503 Later", body, Content_Type=kind, Retry_After=retry_after)
        stage.proxy.faults.append(Fault(answer=refusal))
        with pytest.raises(BadAnswer if html else Unavailable) as refused:
            await session.run("x")
        assert 3500 < refused.value.retry_after <= 1e9

    play("asyncio", scene, stage)


LONG = b"event: text\ndata: " + b"x" * 1000
HUGE = 64 * 1024 * 1024


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(answer=answer("200 OK", b"<p>hello</p>", Content_Type="text/html")), "service"),
        (Fault(answer=answer("200 OK", b"{}", **JSON)), "proxy"),
        (Fault(answer=answer("307 There", Location="http://127.0.0.1:9/x")), "redirect"),
        (Fault(answer=events(b"", Content_Encoding="gzip")), "compressed with gzip"),
        (Fault(answer=events(b"event: done\ndata: {}\n\n")), "not of the message's run"),
        (Fault(answer=answer("200 OK", b"<p>", Content_Type="text/html"), endless=LONG), "servi"),
        (Fault(answer=answer("403 No", b"<p>", Content_Type="text/html"), endless=LONG), "servi"),
    ],
    ids=["html", "json", "redirect", "gzip", "no run", "endless page", "endless refusal"],
)
def test_what_is_not_wingman_is_named_and_not_read_to_its_end(
    fault: Fault, says: str, stage: Stage
) -> None:
    fault = attrs.evolve(fault, where="/stream")

    async def scene(session: Session) -> None:
        before = stage.proxy.given
        stage.proxy.faults.append(fault)
        with pytest.raises(BadAnswer, match=says) as refused:
            await session.run("x")
        assert "/message/stream" in refused.value.message
        assert stage.proxy.given - before < HUGE
        assert (await session.describe()).status == "idle"

    play("trio", scene, stage)


@pytest.mark.parametrize(
    "endless",
    [LONG, b"data: " + b"y" * 65536 + b"\n", b"data:\n" * 10_000, b"x" * 65536],
    ids=["line", "event", "empty lines", "garbage"],
)
def test_a_frame_without_an_end_is_a_broken_stream(endless: bytes, stage: Stage) -> None:
    text = f"!say {endless[:20]!r}"

    async def scene(session: Session) -> None:
        run = await session.submit(text, request_id="r")
        head = events(b"", Location=f"/sessions/{session.id}/runs/{run.id}")
        fault = Fault("/events", answer=head, endless=endless)
        before = stage.proxy.given
        stage.proxy.faults.append(fault)
        async with session.follow(0) as following:
            async for news in following:
                if isinstance(news, Followed) and isinstance(news.event, Done):
                    break
        assert stage.proxy.met.is_set()
        assert 0 < stage.proxy.given - before < HUGE

    play("trio", scene, stage)


@pytest.mark.parametrize(
    "made_up",
    [
        answer("401 No", b'{"error": {"code": "unauthorized", "message": "Not Bearer %b", '
               b'"request_id": "r"}}' % TOKEN.encode(), **JSON),
        answer("400 No", Content_Type=TOKEN),
        b"HTTP/1.1 200 OK\r\n %b\x00: x\r\n\r\n" % TOKEN.encode(),
        b"Bearer %b\r\n\r\n" % TOKEN.encode(),
    ],
    ids=["message", "type", "header", "line"],
)  # fmt: skip
def test_a_token_that_is_given_back_is_in_no_error(
    made_up: bytes, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(session: Session) -> None:
        stage.proxy.faults.extend([Fault(answer=made_up)] * 3)
        with pytest.raises(WingmanError) as refused:
            await session.run("x")
        stage.proxy.faults.clear()
        lines = traceback.format_exception(refused.value)
        assert TOKEN not in "".join(lines) + repr(refused.value)

    play("trio", scene, stage, patience=Patience(tries=2))
    assert TOKEN not in caplog.text


def test_a_redirect_to_another_host_does_not_take_the_token_there(stage: Stage) -> None:
    with between(stage.url) as elsewhere:

        async def scene(session: Session) -> None:
            for status in ("301", "302", "303", "307", "308"):
                away = answer(f"{status} There", Location=elsewhere.url + "/sessions")
                stage.proxy.faults.append(Fault(answer=away))
                with pytest.raises(BadAnswer, match="redirect"):
                    await session.describe()
            assert not elsewhere.requests

        play("trio", scene, stage)


def test_a_cookie_is_not_kept(stage: Stage) -> None:
    async def scene(session: Session) -> None:
        later = answer("503 Later", Set_Cookie="a=b; Path=/")
        stage.proxy.faults.append(Fault(answer=later))
        await session.describe()
        assert not any(b"cookie" in head.lower() for head in stage.proxy.heads)

    play("trio", scene, stage)


# --- leaving --------------------------------------------------------------------------------------

PHASES = {
    "sending": Fault("/stream", sent=150, end="stall"),
    "waiting": Fault("/stream", cut=0, end="stall"),
    "in the head": Fault("/stream", cut=30, end="stall"),
    "in a frame": Fault("/stream", cut=420, end="stall"),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("phase", [*PHASES, "connecting again"])
@pytest.mark.parametrize("native", [False, True])
def test_a_cancel_ends_the_run_in_every_phase(
    loop: str, phase: str, native: bool, stage: Stage
) -> None:
    if native and loop == "trio":
        pytest.skip("Trio has no other cancel")
    text = f"!hang {phase} {loop} {native}"

    async def scene(session: Session) -> None:
        fault = PHASES.get(phase, Fault("/stream", cut=420, end="rst"))
        stage.proxy.faults.append(fault)
        if native:
            task = asyncio.create_task(session.run(text))
            await until(stage.proxy.met.is_set)
            await anyio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(session.run, text)
                await until(stage.proxy.met.is_set)
                await anyio.sleep(0.1)
                group.cancel_scope.cancel()
        async with Client(stage.url, TOKEN) as direct:
            assert (await direct.describe(session.id)).status == "idle"
            ends = [run.status async for run in direct.runs(session.id)]
            assert set(ends) <= {"cancelled"}
        assert stage.asked(text) <= 1

    play(loop, scene, stage, silent_seconds=20)


async def until(true: Callable[[], bool]) -> None:
    """Wait until it is so."""
    while not true():  # noqa: ASYNC110 another thread makes it so
        await anyio.sleep(0.01)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_that_is_left_while_its_connection_is_broken_cancels_its_run(
    loop: str, stage: Stage
) -> None:
    async def scene(session: Session) -> None:
        async with session.run_stream("!hang on") as stream:
            async for event in stream:
                if isinstance(event, ToolProgress):
                    break
            # The network is away, and comes back while the client is at it.
            stage.proxy.faults.extend([Fault(cut=0, end="rst"), Fault(unheard=True, answer=b"")])
        assert stream.run.status == "cancelled"
        assert (await session.describe()).status == "idle"

    play(loop, scene, stage)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_read_that_is_given_up_loses_nothing(loop: str, stage: Stage) -> None:
    text = MESSAGE.format(n=f"given up {loop}")

    async def scene(session: Session) -> None:
        found: list[Event] = []
        async with session.run_stream(text) as stream:
            for seconds in (0, 0.001, 0.01, 0.02, 0, 5):
                with anyio.move_on_after(seconds):
                    async for event in stream:
                        found.append(event)  # noqa: PERF401 it is kept where the loop is cut
        check_run(found, stream.result, await session.history(), text)
        assert not retried

    retried: list[object] = []
    play(loop, scene, stage, on_retry=retried.append)


def test_a_server_that_is_gone_is_given_up_with_the_run_named(stage: Stage) -> None:
    def hook(_: object) -> None:
        stage.proxy.refuses = True

    async def scene(session: Session) -> None:
        stage.proxy.faults.append(Fault("/stream", cut=420))
        async with session.run_stream("!hang on") as stream:
            try:
                with pytest.raises(Unreachable, match="broke") as gone:
                    [event async for event in stream]
            finally:
                stage.proxy.refuses = False
        assert gone.value.run_id == stream.run.id
        assert stream.run.status == "cancelled"

    play("trio", scene, stage, patience=Patience(seconds=0.3), on_retry=hook)


# --- programs without an event loop ---------------------------------------------------------------


def test_closing_a_blocking_client_cancels_what_another_thread_waits_for(stage: Stage) -> None:
    client = SyncClient(stage.proxy.url, TOKEN)
    client.open()
    session = client.create_session(NAME)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            session.run("!hang on")
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    with SyncClient(stage.url, TOKEN) as direct:
        while direct.describe(session.id).status != "running":
            time.sleep(0.01)
        client.close()
        assert direct.describe(session.id).status == "idle"
    thread.join(10)
    assert not thread.is_alive()
    assert "closed" in str(failures[0])
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        session.describe()
    with pytest.raises(RuntimeError, match="closed"):
        client.create_session(NAME)


def test_threads_share_a_blocking_client(stage: Stage) -> None:
    with SyncClient(stage.proxy.url, TOKEN) as client:
        sessions = [client.create_session(NAME) for _ in range(4)]
        with ThreadPoolExecutor() as threads:
            texts = [f"!say {session.id}" for session in sessions]
            results = list(threads.map(lambda one, text: one.run(text), sessions, texts))
    for session, result in zip(sessions, results, strict=True):
        assert session.id in result.tool_calls[0].output
    assert not [one for one in threading.enumerate() if "anyio" in one.name.lower()]


@pytest.mark.parametrize("loop", LOOPS)
def test_tasks_share_a_client_and_a_closed_one_says_so(loop: str, stage: Stage) -> None:
    async def main() -> None:
        async with stage.client() as client:
            session = await client.create_session(NAME)
            async with anyio.create_task_group() as group:
                for number in range(3):
                    group.start_soon(session.run, f"!say {number}")
            stream = session.run_stream("!say late")
        for call in (session.run("x"), client.create_session(), stream.__aenter__()):
            with pytest.raises(RuntimeError, match="closed"):
                await call
        with pytest.raises(RuntimeError, match="not open"):
            await Client(stage.url).ready()

    anyio.run(main, backend=loop)
