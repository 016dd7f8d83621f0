"""A stream that breaks goes on: each event is given once, in order, wherever it was cut."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from client.stand_in_server import (
    RUN,
    SESSION,
    StandIn,
    Told,
    exchange,
    frame,
    json_reply,
    stream,
)
from wingman.api import MessageBody
from wingman.client import Patience, RunStream
from wingman.client.following import Following
from wingman.errors import ProviderError, SessionDeleted, Unreachable
from wingman.events import Done, Event, Text, ToolResult, ToolUse
from wingman.face import Followed, Resynced

USAGE = {"input_tokens": 3, "output_tokens": 4}
RESULT = {
    "run_id": RUN,
    "response": "Ünd so wéiter.",
    "stop_reason": "end_turn",
    "steps": 2,
    "tool_calls": [],
    "usage": USAGE,
}
FRAMES: list[tuple[int, str, Any]] = [
    (10, "step", {"step": 1, "usage": USAGE}),
    (12, "thinking", {"text": "Hm."}),
    (14, "text", {"text": "First "}),
    (16, "text", {"text": "one."}),
    (18, "tool_use", {"id": "t1", "name": "say", "input": {"text": "a\nb"}}),
    (20, "tool_progress", {"tool_use_id": "t1", "text": "…"}),
    (22, "tool_result", {"tool_use_id": "t1", "content": "a\nb", "is_error": False}),
    (24, "text", {"text": "Ünd so "}),
    (26, "text", {"text": "wéiter."}),
    (28, "done", RESULT),
]
STORED: list[tuple[str, Any]] = [
    ("text", {"text": "First one."}),
    ("tool_use", FRAMES[4][2]),
    ("tool_result", FRAMES[6][2]),
    ("text", {"text": "Ünd so wéiter."}),
    ("done", RESULT),
]
HISTORY = [
    {"role": "user", "content": [{"type": "text", "text": "an earlier run"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "of another one"}]},
    {"role": "user", "content": [{"type": "text", "text": "go"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "First one."},
            {"type": "tool_use", "id": "t1", "name": "say", "input": {"text": "a\nb"}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "a\nb", "is_error": False}
        ],
    },
]
BODY = MessageBody("go", request_id="r")
# The cuts come one after the other; in life there is progress between them.
PATIENT = Patience(seconds=1e6, tries=10_000)


def told() -> Told:
    server = Told(FRAMES, STORED)
    time = "2026-11-22T10:00:00Z"
    server.view = {
        "id": RUN,
        "session_id": SESSION,
        "message": "go",
        "agent_id": "a",
        "status": "running",
        "result": None,
        "error": None,
        "steps": 1,
        "usage": USAGE,
        "created_at": time,
        "started_at": time,
        "ended_at": None,
    }
    server.session = {
        "id": SESSION,
        "work_dir": "/",
        "title": None,
        "agent_id": "a",
        "status": "running",
        "last_event_id": 22,
        "created_at": time,
        "updated_at": time,
        "usage": USAGE,
        "history": HISTORY,
    }
    return server


def end(server: Told) -> None:
    """The run has ended while nobody listened."""
    server.ended = True
    server.view |= {"status": "completed", "result": RESULT, "ended_at": "2026-11-22T10:00:01Z"}


async def events(stand_in: StandIn) -> list[Event]:
    async with RunStream(exchange(stand_in, PATIENT), SESSION, BODY) as stream:
        found = [event async for event in stream]
    assert stream.result.response == RESULT["response"]
    assert all(body.closed for body in stand_in.bodies if "event" in body.headers["content-type"])
    return found


def told_once(found: Sequence[Event]) -> None:
    """All that a history would have, once and in order; text may come in other pieces."""
    essence: list[Any] = []
    for event in found:
        match event:
            case Text(text=text) if essence and isinstance(essence[-1], str):
                essence[-1] += text
            case Text(text=text):
                essence.append(text)
            case ToolUse(id=id) | ToolResult(tool_use_id=id):
                essence.append((type(event), id))
            case Done():
                essence.append(Done)
            case _:
                pass
    assert essence == [
        "First one.",
        (ToolUse, "t1"),
        (ToolResult, "t1"),
        "Ünd so wéiter.",
        Done,
    ]


def run(function: Any, *args: Any) -> Any:
    return trio.run(function, *args, clock=trio.testing.MockClock(autojump_threshold=0))


WHOLE = run(events, StandIn(told()))
LENGTH = sum(len(frame(*one)) for one in FRAMES)


def test_a_stream_that_does_not_break_is_asked_for_once() -> None:
    stand_in = StandIn(told())
    assert len(run(events, stand_in)) == len(FRAMES)
    assert len(stand_in.requests) == 1


def test_a_cut_at_any_byte_loses_and_doubles_nothing() -> None:
    for cut in range(LENGTH + 1):
        assert run(events, StandIn(told(), [cut])) == WHOLE, cut


@given(st.lists(st.integers(0, LENGTH), max_size=12))
@settings(deadline=None, max_examples=60)
def test_cuts_one_after_the_other_lose_and_double_nothing(cuts: list[int]) -> None:
    assert run(events, StandIn(told(), cuts)) == WHOLE


def test_a_run_that_ended_meanwhile_is_given_to_its_end_from_what_is_stored() -> None:
    for cut in range(0, LENGTH + 1, 5):
        server = told()
        stand_in = StandIn(server, [cut])

        def answer(request: Any, server: Told = server, stand_in: StandIn = stand_in) -> Any:
            if len(stand_in.requests) > 1:
                end(server)
                server.lost_up_to = 1000  # the session was restarted since: its ids begin there
                server.frames = []
            return server(request)

        stand_in.answer = answer
        told_once(run(events, stand_in))


def test_stored_frames_that_break_are_given_once() -> None:
    for cut in range(0, LENGTH, 5):
        server = told()
        end(server)
        told_once(run(events, StandIn(server, [cut])))


def test_events_that_are_not_held_are_read_from_the_history_while_the_run_goes_on() -> None:
    for cut in range(1, sum(len(frame(*one)) for one in FRAMES[:7]), 3):
        server = told()
        stand_in = StandIn(server, [cut])

        def answer(request: Any, server: Told = server, stand_in: StandIn = stand_in) -> Any:
            if len(stand_in.requests) > 1:
                server.lost_up_to = 22
            return server(request)

        stand_in.answer = answer
        told_once(run(events, stand_in))


def test_a_failed_run_raises_its_error_however_it_is_told() -> None:
    failure = {"code": "provider_auth", "message": "x: refused", "run_id": RUN}
    for as_stored in (True, False):
        server = told()
        server.view |= {"status": "failed", "error": failure, "ended_at": "2026-11-22T10:00:01Z"}
        server.frames = [*FRAMES[:3], (30, "error", failure)]
        server.stored = [("text", {"text": "First "}), ("error", failure)]
        server.ended = as_stored

        async def main(server: Told = server) -> None:
            async with RunStream(exchange(StandIn(server)), SESSION, BODY) as stream:
                with pytest.raises(ProviderError, match="refused"):
                    async for _ in stream:
                        pass
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)
            assert stream.run.status == "failed"

        run(main)


def test_a_cut_that_the_server_tells_is_gone_on_from() -> None:
    for code in ("shutting_down", "resync", "crashed", "a_later_word"):
        server = told()
        cut = {"code": code, "message": "cut", "run_id": RUN}

        def answer(request: Any, server: Told = server, cut: Any = cut) -> Any:
            if "message/stream" in request.target:
                parts = [frame(*one) for one in FRAMES[:4]]
                return stream([*parts, frame(None, "error", cut)], location=f"/runs/{RUN}")
            return server(request)

        assert run(events, StandIn(answer)) == WHOLE, code


def test_a_session_that_is_deleted_meanwhile_says_so() -> None:
    gone = {"code": "session_deleted", "message": "It is gone.", "run_id": RUN}
    parts = [frame(*FRAMES[0]), frame(None, "error", gone)]

    async def main() -> None:
        server = told()

        def answer(request: Any) -> Any:
            if "message/stream" in request.target:
                return stream(parts, location=f"/runs/{RUN}")
            return server(request)

        async with RunStream(exchange(StandIn(answer)), SESSION, BODY) as one:
            await anext(one)
            with pytest.raises(SessionDeleted):
                await anext(one)

    run(main)


def test_a_stream_that_never_goes_on_is_given_up() -> None:
    retries = []
    server = told()

    def answer(request: Any) -> Any:
        if "message/stream" in request.target:
            return stream([frame(*FRAMES[0])], location=f"/runs/{RUN}")
        if "events" in request.target:
            return stream([b": keep-alive\n\n"])
        return server(request)

    async def main() -> None:
        patience = Patience(seconds=100, tries=7)
        stand_in = StandIn(answer)
        async with RunStream(exchange(stand_in, patience, retries.append), SESSION, BODY) as s:
            await anext(s)
            with pytest.raises(Unreachable) as failure:
                await anext(s)
        assert failure.value.run_id == RUN
        assert len([one for one in stand_in.requests if "events" in one]) == 7

    run(main)
    assert [one.failures for one in retries][:7] == list(range(1, 8))


def test_unknown_events_and_fields_pass() -> None:
    server = told()
    server.frames = [
        (1, "a_later_event", {"what": "ever"}),
        *((id, event, {**data, "a_later_field": [1]}) for id, event, data in FRAMES),
    ]
    server.frames[-1] = (28, "done", {**RESULT, "stop_reason": "a_later_reason", "more": {}})
    stand_in = StandIn(server)

    async def main() -> None:
        async with RunStream(exchange(stand_in), SESSION, BODY) as one:
            found = [event async for event in one]
        assert found[:-1] == WHOLE[:-1]
        assert one.result.stop_reason == "a_later_reason"

    run(main)


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {\n\n",
        b"event: text\ndata: nonsense\n\n",
        b"event: text\ndata: []\n\n",
        b"event: done\ndata: {}\n\n",
        b"event: text\ndata: \xff\n\n",
        b"\xff\xfe\n",
    ],
)
def test_garbage_in_a_stream_is_a_broken_stream(garbage: bytes) -> None:
    server = told()

    def answer(request: Any) -> Any:
        if "message/stream" in request.target:
            parts = [*(frame(*one) for one in FRAMES[:5]), garbage]
            return stream(parts, location=f"/runs/{RUN}")
        return server(request)

    assert run(events, StandIn(answer)) == WHOLE


# --- a session that is followed -------------------------------------------------------------------


def test_a_followed_session_gives_each_event_once_wherever_it_is_cut() -> None:
    async def main(cuts: list[int]) -> list[int]:
        stand_in = StandIn(told(), cuts)
        ids = []
        async with Following(exchange(stand_in, PATIENT), SESSION, 9) as following:
            async for news in following:
                assert isinstance(news, Followed)
                ids.append(news.id)
                if news.id == 29:
                    return ids
        raise AssertionError

    whole = run(main, [])
    assert whole == list(range(10, 30))
    for cut in range(0, 2 * LENGTH, 3):
        assert run(main, [cut]) == whole


def test_a_followed_session_whose_events_are_gone_is_read() -> None:
    async def main() -> None:
        server = told()
        server.lost_up_to = 22
        found = []
        async with Following(exchange(StandIn(server)), SESSION, 9) as following:
            async for news in following:
                found.append(news)
                if isinstance(news, Followed) and news.id == 29:
                    break
        first, *rest = found
        assert isinstance(first, Resynced)
        assert first.session.last_event_id == 22
        assert [news.id for news in rest if isinstance(news, Followed)] == list(range(23, 30))

    run(main)


def test_a_message_that_is_cancelled_before_its_answer_is_taken_back() -> None:
    accepted = json_reply({"run_id": RUN, "status": "running"}, 202)
    server = told()

    class Slow(StandIn):
        async def open(self, request: Any) -> Any:
            if "message/stream" in request.target:
                self.requests.append(str(request))
                await trio.sleep_forever()
            return await super().open(request)

    def answer(request: Any) -> Any:
        return accepted if request.target.endswith("/message") else server(request)

    async def main() -> None:
        stand_in = Slow(answer)
        with trio.move_on_after(1):
            async with RunStream(exchange(stand_in), SESSION, BODY):
                raise AssertionError
        assert stand_in.requests[1:3] == [
            f"POST /sessions/{SESSION}/message",
            f"POST /sessions/{SESSION}/runs/{RUN}/cancel",
        ]

    run(main)
