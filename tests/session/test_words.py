"""Steering: a message is read by the run in flight, or is a run of its own, whatever happens."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session.test_every_checkpoint import Counter as AtStep
from session_kit import FaultyStore, agent, assert_valid, idle, live_of, opened
from wingman import Agent, Limits, Message, Runtime, tool
from wingman.errors import (
    InvalidRequest,
    MessageRead,
    NotInFlight,
    RequestIdConflict,
    StoreUnavailable,
)
from wingman.events import Steered
from wingman.providers import Request, Scripted, ToolCalls
from wingman.store import RunSteered


@tool
async def nap(seconds: float) -> str:
    """Sleep."""
    await trio.sleep(seconds)
    return f"slept {seconds:g}"


def sleeper(naps: int = 1, seconds: float = 10.0, **options: object) -> Agent:
    """Sleeps so often in each run that begins with `go`, then says how many words it has read."""

    def answer(request: Request) -> object:
        turn = max(n for n, m in enumerate(request.messages) if m.role == "user" and _begins(m))
        since = request.messages[turn:]
        slept = sum(len(message.tool_uses) for message in since)
        if slept < naps and since[0].text.startswith("go"):
            return ToolCalls(("nap", {"seconds": seconds}))
        return f"read {sum(1 for message in since if message.role == 'user')}"

    return Agent("sleeper", provider=Scripted(answer), tools=[nap], **options)  # type: ignore[arg-type]


def _begins(message: Message) -> bool:
    return message.text.startswith(("go", "own", "after"))


def said(history: Sequence[Message]) -> list[str]:
    """What the user said, in order."""
    return [message.text for message in history if message.role == "user" and message.text]


async def test_words_come_after_the_results_of_the_step_and_in_their_order(
    autojump_clock: MockClock,
) -> None:
    helper = sleeper()
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await trio.sleep(1)
        words = [await run.steer(f"word {number}") for number in range(5)]
        assert [each.disposition for each in words] == ["steered"] * 5
        assert {(await each.result()).run_id for each in words} == {run.id}
        history = await session.history()
        assert_valid(history)
        assert said(history) == ["go", *(f"word {number}" for number in range(5))]
        assert history[2].content[0].tool_use_id == history[1].tool_uses[0].id  # type: ignore[union-attr]
        views = await runtime.runs(session.id)
        assert [view.status for view in views] == ["steered"] * 5 + ["completed"]
        assert {view.steers for view in views} == {run.id, None}
        live = live_of(runtime, session.id)
        events = [each.event for each in live.channel.read(0)]
        assert [e.text for e in events if isinstance(e, Steered)] == said(history)[1:]


async def test_words_that_come_while_the_model_gives_its_last_answer_are_read(
    autojump_clock: MockClock,
) -> None:
    helper = agent(["one", "two"])
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        live = live_of(runtime, session.id)
        run = await session.submit("go")
        words = await run.steer("and this")  # it has begun, and its answer has not come
        assert (await words.result()).response == "two"
        assert (await run.result()).steps == 2
        assert said(await session.history()) == ["go", "and this"]
        assert live.runs == {}


async def test_words_for_nobody_are_a_run_of_their_own() -> None:
    helper = agent(lambda request: request.messages[-1].text)
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        words = await session.submit("hello", on_busy="steer")
        assert words.disposition == "started"
        assert (await words.result()).response == "hello"
        assert (words.status, words.record.steers) == ("completed", None)


async def test_a_run_that_is_expected_and_not_in_flight_takes_nothing() -> None:
    helper = agent(lambda request: "said")
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await run.result()
        for id in (run.id, "nobody"):
            with pytest.raises(NotInFlight) as refused:
                await session.submit("late", on_busy="steer", expect_run=id)
            assert refused.value.code == "run_ended"
        with pytest.raises(InvalidRequest, match="expect_run goes with"):
            await session.submit("no", expect_run=run.id)
        assert said(await session.history()) == ["go"]


async def test_words_that_a_limit_leaves_unread_are_a_run_of_their_own(
    autojump_clock: MockClock,
) -> None:
    helper = sleeper(naps=9, max_steps=1)
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await trio.sleep(1)
        words = await run.steer("own")
        assert (await run.result()).stop_reason == "step_limit"
        assert (await words.result()).response == "read 1"
        assert (words.status, words.record.steers) == ("completed", run.id)
        assert said(await session.history()) == ["go", "own"]


async def test_a_cancel_names_the_words_that_nobody_has_read(autojump_clock: MockClock) -> None:
    helper = sleeper()
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        other = await session.submit("own and later")
        await trio.sleep(1)
        words = [await run.steer(f"word {number}") for number in range(3)]
        receipt = await session.cancel()
        assert [(each.run_id, each.unread) for each in receipt.cancelled] == [
            (run.id, None),
            *((each.id, each.record.message) for each in words),
        ]
        assert [each.status for each in words] == ["cancelled"] * 3
        assert (await other.result()).response == "read 1"
        assert said(await session.history()) == ["go", "own and later"]


async def test_words_are_taken_back_until_they_are_read(autojump_clock: MockClock) -> None:
    helper = sleeper()
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await trio.sleep(1)
        first, second = await run.steer("first"), await run.steer("second")
        await session.take_back(first)
        await run.result()
        assert (await session.take_back(first)).cancelled == ()
        for each in (second, run):
            with pytest.raises(MessageRead):
                await session.take_back(each)
        assert said(await session.history()) == ["go", "second"]


async def test_words_with_the_same_request_id_are_read_once(autojump_clock: MockClock) -> None:
    helper = sleeper()
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await trio.sleep(1)
        words = [await run.steer("once", request_id="r") for _ in range(3)]
        assert len({each.id for each in words}) == 1
        with pytest.raises(RequestIdConflict):
            await run.steer("other", request_id="r")
        await run.result()
        found = await session.submit("once", request_id="r", on_busy="steer", expect_run=run.id)
        assert (await found.result()).run_id == run.id
        assert said(await session.history()) == ["go", "once"]


async def test_a_run_that_waits_for_a_person_reads_words_when_it_goes_on() -> None:
    helper = sleeper(seconds=0, permissions={"nap": "ask"})
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await wait_all_tasks_blocked()
        words = await run.steer("while you wait")
        (request,) = await session.permissions()
        await session.answer(request.id, "once")
        assert (await words.result()).run_id == run.id
        assert said(await session.history()) == ["go", "while you wait"]


async def test_words_of_a_process_that_ended_are_a_run_of_their_own(tmp_path: Path) -> None:
    helper = sleeper(seconds=1000)
    async with Runtime(tmp_path / "w.db", agents=[helper]) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        words = await run.steer("own")
    async with Runtime(tmp_path / "w.db", agents=[helper]) as runtime:
        session = await runtime.session(session.id)
        ended, own = await runtime.run(session.id, run.id), await runtime.run(session.id, words.id)
        assert ended.status == "interrupted"
        assert (await own.result()).response == "read 1"
        assert said(await session.history()) == ["go", "own"]


@pytest.mark.parametrize("seed", range(6))
async def test_what_fifty_senders_say_is_read_once_or_runs_once(
    seed: int, autojump_clock: MockClock
) -> None:
    random = Random(seed)
    helper = sleeper(naps=4, seconds=5)
    async with opened(helper, limits=Limits(queued=1000)) as runtime:
        session = await runtime.create_session(helper)
        await session.submit("go")
        results: dict[str, str] = {}

        async def sender(name: int) -> None:
            for number in range(3):
                await trio.sleep(random.uniform(0, 12))
                text = f"own {name}.{number}"
                words = await session.submit(text, on_busy="steer")
                if random.random() < 0.5:
                    results[text] = (await words.result()).run_id

        async with trio.open_nursery() as nursery:
            for name in range(50):
                nursery.start_soon(sender, name)
        while live_of(runtime, session.id).runs:  # noqa: ASYNC110 until nobody is left
            await trio.sleep(1)
        history = await session.history()
        assert_valid(history)
        texts = said(history)
        assert Counter(texts) == Counter(
            ["go", *(f"own {name}.{number}" for name in range(50) for number in range(3))]
        )
        for name in range(50):
            own = [text for text in texts if text.startswith(f"own {name}.")]
            assert own == sorted(own)
        runs = await runtime.runs(session.id, limit=1000)
        assert {view.status for view in runs} <= {"completed", "steered"}
        by_text = {view.message: view for view in runs}
        for text, reader in results.items():
            view = by_text[text]
            assert reader == (view.steers if view.status == "steered" else view.id)
        assert idle(runtime)


async def test_words_whose_reading_could_not_be_recorded_are_read_by_nobody(
    autojump_clock: MockClock,
) -> None:
    """The run has seen them, and is over: what it had made of them is not in the history."""
    helper = sleeper()
    store = FaultyStore(1, RunSteered)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await trio.sleep(1)
        words = [await run.steer("own a"), await run.steer("own b")]
        with pytest.raises(StoreUnavailable):
            await run.result()
        assert [(await each.result()).response for each in words] == ["read 1"] * 2
        assert [each.status for each in words] == ["completed"] * 2
        history = await session.history()
        assert_valid(history)
        assert said(history) == ["go", "own a", "own b"]


async def cut_at(step: int) -> bool:
    """Steer a run twice, cancel it at a step of the scheduler, look; whether it was cut."""
    helper = sleeper(naps=2, seconds=1)
    async with opened(helper) as runtime:
        session = await runtime.create_session(helper)
        live = live_of(runtime, session.id)
        run = await session.submit("go")
        words: list[SimpleNamespace] = []

        async def steer() -> None:
            for text in ("own a", "own b"):
                words.append(
                    SimpleNamespace(text=text, run=await session.submit(text, on_busy="steer"))
                )
                await trio.sleep(1)

        counter = AtStep(step, run.request_cancel)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(steer)
            trio.lowlevel.add_instrument(counter)
            await run.wait()
            trio.lowlevel.remove_instrument(counter)
        for each in words:
            await each.run.wait()
        history = await session.history()
        assert_valid(history)
        assert Counter(said(history)) == Counter({"go": 1, "own a": 1, "own b": 1}) or (
            run.status == "cancelled" and not (set(said(history)) - {"go", "own a", "own b"})
        )
        for each in words:
            assert said(history).count(each.text) == 1, (step, each.run.status)
        assert (await session.run("after")).response.startswith("read")
        assert (idle(runtime), live.runs, live.current) == (True, {}, None)
    return run.status == "cancelled"


def test_a_run_that_is_steered_and_cancelled_anywhere_loses_no_words() -> None:
    """Cancelled without a receipt: what it has not read is a run of its own."""
    step = 1
    while trio.run(cut_at, step, clock=MockClock(autojump_threshold=0)):
        step += 1
    assert step > 6
