"""How long the client waits, for what, and what it does not take for an answer; in virtual time."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import trio

from client.stand_in_server import (
    RUN,
    SESSION,
    Body,
    StandIn,
    exchange,
    frame,
    json_reply,
    refusal,
    stream,
)
from client.test_broken_streams import BODY, FRAMES, WHOLE, end, run, told
from wingman.client import Client, Patience, RunStream
from wingman.client.answers import error_of
from wingman.client.exchange import Broken, Exchange, Reply, Request
from wingman.client.following import Following
from wingman.client.pages import Pages
from wingman.client.run import Run
from wingman.errors import BadAnswer, InvalidRequest, Unavailable, Unreachable
from wingman.events import Event, Text
from wingman.face import Followed
from wingman.sse import Fault, SSEDecoder


class Quiet(Body):
    """A stream that has a sign of life every 15 s, and breaks after a minute."""

    left: int = 4

    async def receive(self) -> bytes:
        if found := await super().receive():
            return found
        if not self.left:
            raise Broken("cut", sent=True)
        self.left -= 1
        await trio.sleep(15)
        return b": keep-alive\n\n"


def test_a_run_that_is_silent_for_hours_outlives_its_connections() -> None:
    server = told()
    first = frame(*FRAMES[0])
    sse = {"content-type": "text/event-stream", "location": f"/runs/{RUN}"}

    def answer(request: Any) -> Any:
        if "message/stream" in request.target:
            return Quiet(first, 200, sse)
        if "events" in request.target and trio.current_time() - begun < 3 * 3600:
            return Quiet(b"", 200, sse)
        return server(request)

    async def main() -> None:
        nonlocal begun
        begun = trio.current_time()
        stand_in = StandIn(answer)
        async with RunStream(exchange(stand_in), SESSION, BODY) as one:
            assert [event async for event in one] == WHOLE
        assert trio.current_time() - begun > 3 * 3600

    begun = 0.0
    run(main)


def test_a_session_that_is_silent_for_hours_outlives_its_connections() -> None:
    server = told()

    def answer(request: Any) -> Any:
        if "events" in request.target and trio.current_time() - begun < 3 * 3600:
            return Quiet(b"", 200, {"content-type": "text/event-stream"})
        return server(request)

    async def main() -> None:
        nonlocal begun
        begun = trio.current_time()
        async with Following(exchange(StandIn(answer)), SESSION, 9) as following:
            news = await anext(following)
        assert isinstance(news, Followed)
        assert trio.current_time() - begun > 3 * 3600

    begun = 0.0
    run(main)


def test_a_connection_that_breaks_at_once_is_no_success_however_often_it_is_made() -> None:
    def answer(request: Any) -> Any:
        return stream([b": keep-alive\n\n"], location=f"/runs/{RUN}")

    async def main() -> None:
        begun = trio.current_time()
        with pytest.raises(Unreachable):
            async with RunStream(exchange(StandIn(answer)), SESSION, BODY) as one:
                await anext(one)
        assert trio.current_time() - begun < 100

    run(main)


@pytest.mark.parametrize("silent_seconds", [0.5, 2, 20, 45, 1000])
def test_a_wait_for_a_run_is_no_longer_than_silence_may_be(silent_seconds: float) -> None:
    server = told()
    waits: list[float] = []

    class Waiting(StandIn):
        async def send(self, request: Request) -> Reply:
            _, _, wait = request.target.partition("wait=")
            seconds = min(float(wait or 0), until - trio.current_time())
            if until - trio.current_time() <= 0:
                end(server)
            waits.append(max(0, seconds))
            await trio.sleep(max(0, seconds))
            return await super().send(request)

    async def main() -> None:
        nonlocal until
        made = Exchange("http://stand-in", Patience(), None, silent_seconds)
        made.connect(Waiting(server))  # type: ignore[arg-type]
        one = Run(made, SESSION, RUN)
        until = trio.current_time() + 500
        begun = trio.current_time()
        await one.describe(300)
        assert 300 <= trio.current_time() - begun < 302
        await one.wait()
        assert one.status == "completed"
        assert 500 <= trio.current_time() - begun < 532
        assert max(waits) < silent_seconds

    until = 0.0
    run(main)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidRequest, match="silent_seconds"):
        Client(silent_seconds=seconds)
    with pytest.raises(InvalidRequest, match="connect_seconds"):
        Client(connect_seconds=seconds)


def test_a_refusal_does_not_hide_that_an_earlier_try_may_have_been_taken() -> None:
    accepted = json_reply({"run_id": RUN, "status": "running"}, 202)
    server = told()
    tries = 0

    def answer(request: Any) -> Any:
        nonlocal tries
        if "message/stream" in request.target:
            tries += 1
            if tries == 1:
                raise Broken("cut", sent=True)
            return refusal("shutting_down", 503, 50)
        return accepted if request.target.endswith("/message") else server(request)

    async def main() -> None:
        stand_in = StandIn(answer)
        with trio.move_on_after(10):
            async with RunStream(exchange(stand_in), SESSION, BODY):
                raise AssertionError
        assert stand_in.requests[2:4] == [
            f"POST /sessions/{SESSION}/message",
            f"POST /sessions/{SESSION}/runs/{RUN}/cancel",
        ]

    run(main)


def test_a_history_that_was_read_before_the_run_began_is_not_taken_for_its_own() -> None:
    server = told()
    # The session's history ends with another run's turn until this one has begun.
    whole = list(server.session["history"])
    server.session |= {"history": whole[:2], "last_event_id": 9}
    server.view |= {"status": "queued"}
    server.lost_up_to = 9
    reads = 0

    def answer(request: Any) -> Any:
        nonlocal reads
        if "message/stream" in request.target:
            lag = {"code": "resync", "message": "slow", "run_id": RUN}
            return stream([frame(None, "error", lag)], location=f"/runs/{RUN}")
        if request.target.endswith(f"/sessions/{SESSION}"):
            reads += 1
            found = server(request)
            # It begins between the two questions.
            server.view |= {"status": "running"}
            server.session |= {"history": whole[:3]}
            return found
        return server(request)

    async def main() -> list[Event]:
        async with RunStream(exchange(StandIn(answer)), SESSION, BODY) as one:
            return [event async for event in one]

    found = run(main)
    assert "of another one" not in "".join(one.text for one in found if isinstance(one, Text))
    assert found == WHOLE
    assert reads == 2


def test_a_read_that_is_given_up_while_the_history_is_read_loses_nothing() -> None:
    server = told()
    server.lost_up_to = 22

    class Slow(StandIn):
        async def send(self, request: Request) -> Reply:
            await trio.sleep(5)
            return await super().send(request)

    async def main() -> None:
        found: list[Followed] = []
        async with Following(exchange(Slow(server)), SESSION, 9) as following:
            while not found or found[-1].id != 29:
                with trio.move_on_after(3 if trio.current_time() - begun < 20 else 60):
                    news = await anext(following)
                    found += [news] if isinstance(news, Followed) else []
        assert [one.id for one in found] == list(range(23, 30))

    begun = 0.0
    run(main)


@pytest.mark.parametrize("id", ["9" * 5000, "-1", "1.5", "x", "٣"])
def test_an_id_that_is_no_number_is_a_broken_stream(id: str) -> None:
    server = told()
    bad = f'id: {id}\nevent: text\ndata: {{"text": "no"}}\n\n'.encode()

    def answer(request: Any) -> Any:
        if "message/stream" in request.target:
            return stream([frame(*FRAMES[0]), bad], location=f"/runs/{RUN}")
        return server(request)

    async def main() -> None:
        async with RunStream(exchange(StandIn(answer)), SESSION, BODY) as one:
            assert [event async for event in one] == WHOLE

    run(main)


def test_ids_that_go_back_or_come_twice_give_nothing_twice() -> None:
    server = told()
    twice = [one for at in range(len(FRAMES)) for one in (FRAMES[at], FRAMES[max(0, at - 3)])]

    def answer(request: Any) -> Any:
        if "message/stream" in request.target:
            return stream((frame(*one) for one in twice), location=f"/runs/{RUN}")
        return server(request)

    async def main() -> None:
        async with RunStream(exchange(StandIn(answer)), SESSION, BODY) as one:
            assert [event async for event in one] == WHOLE

    run(main)


@pytest.mark.parametrize("location", [None, "", "/", "/runs/", "/runs/..", "/runs/a b"])
def test_a_stream_of_no_run_is_not_taken_for_the_message(location: str | None) -> None:
    headers = {} if location is None else {"location": location}

    def answer(request: Any) -> Any:
        if "message/stream" in request.target:
            return stream((frame(*one) for one in FRAMES), **headers)
        if request.target.endswith("/message"):
            return json_reply({"run_id": RUN, "status": "running"}, 202)
        return told()(request)

    async def main() -> None:
        with pytest.raises(BadAnswer, match="not of the message's run"):
            async with RunStream(exchange(StandIn(answer)), SESSION, BODY):
                raise AssertionError

    run(main)


def test_pages_that_lead_in_a_circle_end() -> None:
    def empty(request: Request) -> Reply:
        number = int(request.target.partition("=")[2] or 0)
        return json_reply([], link=f'</runs?cursor={number + 1}>; rel="next"')

    def same(request: Request) -> Reply:
        return json_reply([1], link='</runs?cursor=1>; rel="next"')

    async def main() -> None:
        for answer in (empty, same):
            stand_in = StandIn(answer)
            pages = Pages(exchange(stand_in), Request.to("GET", "/runs"), tuple[int, ...])
            with pytest.raises(BadAnswer, match="end"):
                [one async for one in pages]
            assert len(stand_in.requests) < 200

    run(main)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("0", 0.01, 1), ("7", 7, 7), (" 7 ", 7, 7), ("007", 7, 7), ("-3", 0.1, 2), ("1.5", 0.1, 2),
        ("soon", 0.1, 2), ("", 0.1, 2), ("9" * 5000, 1e6, 1e9), ("٣", 0.1, 2),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.01, 1), ("Fri, 31 Dec 9999 23:59:59 GMT", 1e6, 1e9),
        ("Fri, 99 Dec 9999 99:99:99 GMT", 0.1, 2), ("in", 30, 60),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_every_form(text: str, least: float, most: float) -> None:
    if text == "in":
        text = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for status, code in ((503, "overloaded"), (429, "mailbox_full"), (503, "a_later_code")):
        reply = refusal(code, status)
        error = error_of(status, {"retry-after": text}, reply.body, "GET /", {})
        assert isinstance(error, Unavailable)
        assert least <= error.retry_after <= most
    error = error_of(502, {"retry-after": text}, b"<p>", "GET /", {})
    assert isinstance(error, BadAnswer)
    assert least <= error.retry_after <= most


def test_an_event_of_empty_lines_is_bounded() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"data:\n" * 100_000)
    with pytest.raises(Fault, match="lines"):
        decoder.feed(b"data:\n")
