"""Calls of one step, each asked about alone; what waiting costs of their time; who answers."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from permission_kit import Hand, at_rest, pending, results_of, until_pending
from session_kit import agent, assert_valid, live_of, opened
from wingman import Agent, Limits, PermissionAnswer, PermissionRequest, tool
from wingman.errors import AlreadyResolved, InvalidRequest
from wingman.providers import ToolCalls
from wingman.store import MemoryStore

Plan = list[Sequence[tuple[str, str]]]
THREE: dict[str, Plan] = {
    "go": [[("free", "a"), ("guarded", "b"), ("forbidden", "c")]],
}
TWICE: dict[str, Plan] = {
    "go": [[("guarded", "a"), ("guarded", "b")], [("guarded", "c")]],
    "later": [[("guarded", "later")]],
}


async def test_an_allowed_sibling_runs_at_once_and_once_and_a_denied_one_never(
    autojump_clock: MockClock,
) -> None:
    hand = Hand(THREE)
    async with opened(hand.agent()) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        (request,) = await until_pending(runtime)
        await trio.sleep(1)
        assert hand.ran == ["a"]
        assert runtime.status().asking == 1
        assert runtime.status().in_flight == 0
        await runtime.answer(session.id, request.id, "once")
        await run.result()
        assert hand.ran == ["a", "b"]
        free, guarded, forbidden = await results_of(runtime, run)
        assert (free, guarded) == ("a done", "b done")
        assert forbidden.startswith("Not allowed")


async def test_with_one_tool_at_a_time_a_call_that_waits_holds_no_turn(
    autojump_clock: MockClock,
) -> None:
    hand = Hand({"go": [[("guarded", "a"), ("free", "b"), ("guarded", "c"), ("free", "d")]]})
    hand.seconds = 1.0
    async with opened(hand.agent(), limits=Limits(parallel_tools=1)) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        first, second = await until_pending(runtime, 2)
        await trio.sleep(5)
        assert sorted(hand.ran) == ["b", "d"]
        for request in (second, first):
            await runtime.answer(session.id, request.id, "once")
        began = trio.current_time()
        await run.result()
        assert hand.ran[2:] == ["c", "a"]
        assert trio.current_time() - began == pytest.approx(2, abs=0.1)


async def test_a_denied_call_leaves_its_run_its_place(autojump_clock: MockClock) -> None:
    hand = Hand({"go": [[("free", "a")], [("forbidden", "b")]]}, seconds=1.0)
    other = Hand({"go": [[("free", "c")]]}, name="other", seconds=10.0)
    async with opened(hand.agent(), other.agent(None), limits=Limits(runs=1)) as runtime:
        session = await runtime.create_session("hand")
        beside = await runtime.create_session("other")
        began = trio.current_time()
        run = await session.submit("go")
        while not hand.ran:  # noqa: ASYNC110 it is no event
            await trio.sleep(0.1)
        behind = await beside.submit("go")
        await run.result()
        assert trio.current_time() - began < 3
        await behind.result()


async def test_the_time_that_a_run_waits_for_people_does_not_count(
    autojump_clock: MockClock,
) -> None:
    hand = Hand(TWICE, seconds=3.0)
    limits = Limits(seconds=10.0, tool_seconds=5.0)
    async with opened(hand.agent(), limits=limits) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        for count in (2, 1):
            requests = await until_pending(runtime, count)
            await trio.sleep(3600)
            for request in requests:
                await runtime.answer(session.id, request.id, "once")
        result = await run.result()
        assert result.stop_reason == "end_turn"
        assert sorted(hand.ran) == ["a", "b", "c"]


async def test_the_time_of_a_run_goes_on_where_it_stood_when_it_began_to_wait(
    autojump_clock: MockClock,
) -> None:
    hand = Hand({"go": [[("free", "a")], [("guarded", "b")]]}, seconds=6.0)
    async with opened(hand.agent(), limits=Limits(seconds=10.0)) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        (request,) = await until_pending(runtime)
        await trio.sleep(3600)
        await runtime.answer(session.id, request.id, "once")
        began = trio.current_time()
        result = await run.result()
        assert result.stop_reason == "time_limit"
        assert trio.current_time() - began == pytest.approx(4, abs=0.1)


async def test_a_tools_time_begins_when_it_runs(autojump_clock: MockClock) -> None:
    hand = Hand({"go": [[("guarded", "a")]]}, seconds=6.0)
    async with opened(hand.agent(), limits=Limits(tool_seconds=5.0)) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        (request,) = await until_pending(runtime)
        await trio.sleep(3600)
        await runtime.answer(session.id, request.id, "once")
        began = trio.current_time()
        await run.result()
        assert trio.current_time() - began == pytest.approx(5, abs=0.1)
        assert "time limit" in (await results_of(runtime, run))[0]


# --- always ------------------------------------------------------------------------------------


def writer(calls: Mapping[str, Sequence[Sequence[str]]], ran: list[str]) -> Agent:
    """An agent that writes where it is told to, after it has asked."""

    @tool(permission="write", resources=("target",))
    async def put(target: str) -> str:
        """Put something there."""
        ran.append(target)
        return "put"

    def speak(request: Any) -> Any:
        text = next(m.text for m in reversed(request.messages) if m.role == "user" and m.text)
        begun = max(i for i, m in enumerate(request.messages) if m.text == text)
        done = sum(1 for m in request.messages[begun:] if m.tool_uses)
        steps = calls.get(text, [])
        if done >= len(steps):
            return "Done."
        return ToolCalls(*(("put", {"target": target}) for target in steps[done]))

    made = agent(speak, name="writer", tools=[put])
    return attrs.evolve(made, permissions={"write": "ask"})


async def test_always_covers_siblings_later_steps_and_runs_and_never_what_was_not_shown() -> None:
    ran: list[str] = []
    calls = {"go": [["x", "x", "y"], ["x", "xx"]], "later": [["x", "y"]]}
    store = MemoryStore()
    async with opened(writer(calls, ran), store=store) as runtime:
        session = await runtime.create_session("writer")
        run = await session.submit("go")
        first, second, third = await until_pending(runtime, 3)
        assert first.always == first.resources == second.always
        await runtime.answer(session.id, first.id, "always")
        found = await runtime.permission(session.id, second.id)
        assert (found.status, found.decision) == ("allowed", "always")
        assert await pending(runtime) == [third]
        await runtime.answer(session.id, third.id, "once")
        (request,) = await until_pending(runtime)
        assert request.input == {"target": "xx"}
        await runtime.answer(session.id, request.id, "reject")
        await run.result()
        assert sorted(ran) == ["x", "x", "x", "y"]
        other = await runtime.create_session("writer")
        elsewhere = await other.submit("later")
        assert len(await until_pending(runtime, 2)) == 2  # it is granted in the one session
        await elsewhere.cancel()
        live_of(runtime, session.id).granted = None  # as after a passivation
        again = await session.submit("later")
        (request,) = await until_pending(runtime)
        assert request.input == {"target": "y"}
        await runtime.drain(30)
        assert not again.ended or again.status == "waiting"
    ran.clear()
    async with opened(writer(calls, ran), store=store) as runtime:
        (same,) = await until_pending(runtime)
        assert same == request
        await runtime.answer(same.session_id, same.id, "once")
        session = await runtime.session(same.session_id)
        await session.run("end")
        assert ran == ["y"]
        run = await session.submit("later")
        (request,) = await until_pending(runtime)
        assert request.input == {"target": "y"}
        await runtime.answer(session.id, request.id, "reject")
        await run.result()
        assert ran == ["y", "x"]


async def test_an_edited_input_is_checked_and_the_model_is_told(
    autojump_clock: MockClock,
) -> None:
    hand = Hand({"go": [[("guarded", "a")]]})
    async with opened(hand.agent()) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        (request,) = await until_pending(runtime)
        for input in ({}, {"name": 3.5}, {"nom": "b"}):
            answer = PermissionAnswer("once", input=input)
            with pytest.raises(InvalidRequest):
                await runtime.answer(session.id, request.id, answer)
        answer = PermissionAnswer("reject", input={"name": "b"})
        with pytest.raises(InvalidRequest, match="another input"):
            await runtime.answer(session.id, request.id, answer)
        assert await pending(runtime) == [request]
        answer = PermissionAnswer("once", "Not a.", {"name": "b"})
        assert (await runtime.answer(session.id, request.id, answer)).input == {"name": "b"}
        with pytest.raises(AlreadyResolved):
            await runtime.answer(session.id, request.id, answer)
        await run.result()
        assert hand.ran == ["b"]
        (text,) = await results_of(runtime, run)
        assert "changed the input" in text
        assert "Not a." in text
        assert text.endswith("b done")


async def test_nobody_answers_in_time(autojump_clock: MockClock) -> None:
    hand = Hand(TWICE)
    async with opened(hand.agent()) as runtime:
        session = await runtime.create_session("hand")
        began = trio.current_time()
        run = await session.submit("go", ask_timeout=20)
        first, second = await until_pending(runtime, 2)
        assert first.expires_at is not None
        assert first.expires_at - first.created_at == timedelta(seconds=20)
        await trio.sleep(10)
        await runtime.answer(session.id, first.id, "once")
        assert await pending(runtime) == [second]  # the next step begins when this one is over
        await run.result()
        assert trio.current_time() - began == pytest.approx(40, abs=1)
        assert hand.ran == ["a"]
        expired = await runtime.permissions(session.id, ("expired",))
        assert len(expired) == 2


# --- approvers ---------------------------------------------------------------------------------


class Odd(BaseException):
    """What no library raises."""


async def raising(error: BaseException) -> None:
    await trio.lowlevel.checkpoint()
    raise error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("broken"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        Odd("odd"),
        BaseExceptionGroup("several", [SystemExit(1), ValueError("broken")]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_approver_that_raises_gives_no_permission_and_the_run_goes_on(
    error: BaseException, autojump_clock: MockClock
) -> None:
    hand = Hand(TWICE)

    async def approve(_: PermissionRequest) -> Any:
        await raising(error)

    async with opened(hand.agent(), ask=approve) as runtime:
        session = await runtime.create_session("hand")
        result = await session.run("go")
        assert (result.response, hand.ran) == ("Done.", [])
        assert await pending(runtime) == []
        assert_valid(await session.history())
        assert at_rest(runtime)


@pytest.mark.parametrize("given", [None, "yes", 7, {"decision": "perhaps"}, ["once"], b"once"])
async def test_an_approver_that_gives_no_answer_gives_no_permission(
    given: object, autojump_clock: MockClock
) -> None:
    hand = Hand(TWICE)

    async def approve(_: PermissionRequest) -> Any:
        return given

    async with opened(hand.agent(), ask=approve) as runtime:
        session = await runtime.create_session("hand")
        await session.run("go")
        assert hand.ran == []
        assert len(await runtime.permissions(session.id, ("rejected",))) == 3


async def test_an_approver_that_never_answers_is_left_by_a_cancel_an_answer_and_a_time(
    autojump_clock: MockClock,
) -> None:
    hand, asked = Hand(TWICE), 0

    async def approve(_: PermissionRequest) -> Any:
        nonlocal asked
        asked += 1
        await trio.sleep_forever()

    async with opened(hand.agent(), ask=approve) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go", ask_timeout=50)
        first, _ = await until_pending(runtime, 2)
        await runtime.answer(session.id, first.id, "once")  # somebody else is quicker
        await trio.sleep(60)
        assert hand.ran == ["a"]
        await until_pending(runtime)
        await run.cancel()
        assert run.status == "cancelled"
        assert (asked, await pending(runtime), at_rest(runtime)) == (3, [], True)


# --- what a tool says of its resources ---------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("broken"), SystemExit(3), asyncio.CancelledError(), Odd("odd")]
)
async def test_a_tool_that_cannot_say_what_a_call_is_about_is_asked_about(
    error: BaseException,
) -> None:
    def fails(_: Mapping[str, Any]) -> Sequence[str]:
        raise error

    await _ask_of(fails)


async def test_a_tool_that_takes_long_to_say_what_a_call_is_about_holds_up_nobody() -> None:
    free = threading.Event()

    def blocks(_: Mapping[str, Any]) -> Sequence[str]:
        free.wait(10)
        return ["x"]

    @tool(resources=blocks)
    async def put(target: str) -> str:
        """Put something there."""
        return target

    made = agent([ToolCalls(("put", {"target": "x"})), "Done."], name="putter", tools=[put])
    slow = attrs.evolve(made, permissions={"put": "ask"})
    quick = Hand(name="quick")
    try:
        async with opened(slow, quick.agent()) as runtime:
            session = await runtime.create_session("putter")
            other = await runtime.create_session("quick")
            run = await session.submit("go")
            began = time.monotonic()
            await trio.sleep(0.05)
            await other.run("hello")
            await run.cancel()
            assert run.status == "cancelled"
            assert time.monotonic() - began < 5
            assert_valid(await session.history())
    finally:
        free.set()


async def _ask_of(resources: Any) -> None:
    """A call about who knows what is asked about, although a part of it is allowed."""
    ran: list[str] = []

    @tool(resources=resources)
    async def put(target: str) -> str:
        """Put something there."""
        ran.append(target)
        return target

    made = agent([ToolCalls(("put", {"target": "x"})), "Done."], name="putter", tools=[put])
    async with opened(attrs.evolve(made, permissions={"put": {"x": "allow"}})) as runtime:
        session = await runtime.create_session("putter")
        run = await session.submit("go")
        (request,) = await until_pending(runtime)
        assert ran == []
        await runtime.answer(session.id, request.id, "once")
        await run.result()
        assert ran == ["x"]
