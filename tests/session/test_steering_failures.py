"""Steering where the store fails, the runtime closes, or the message is taken back."""

from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from crash.faults import MODES, FaultyMemory, OneFault
from session_kit import FaultyStore, assert_valid, idle, last_text, live_of, opened, wait
from wingman import Agent, Message, Runtime
from wingman.errors import MessageRead, StoreUnavailable, WingmanError
from wingman.providers import Request, Scripted, ToolCalls
from wingman.providers.scripted import Item
from wingman.session import Run
from wingman.store import RunSteered

WAIT = ToolCalls(("wait", {"seconds": 5.0}))


def once_busy(request: Request) -> Item:
    """One call for the message `go`, and then an answer."""
    return WAIT if last_text(request.messages) == "go" else "Done."


def once() -> Agent:
    return Agent("tester", provider=Scripted(once_busy), tools=[wait])


def said(history: list[Message]) -> list[str]:
    return [message.text for message in history if message.role == "user" and message.text]


@pytest.mark.parametrize("written", [False, True])
async def test_words_whose_reading_cannot_be_recorded_are_in_the_history_once(
    written: bool, autojump_clock: MockClock
) -> None:
    store = FaultyStore(1, RunSteered, all_the_same=written)
    async with opened(once(), store=store) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        await trio.sleep(1)
        words = await run.steer("word")
        for each in (run, words):
            with suppress(WingmanError):
                await each.result()
            await each.wait()
        history = list(await session.history())
        assert said(history) == ["go", "word"]
        assert_valid(history)
        record = await store.run(session.id, words.id)
        assert record is not None
        assert record.status == ("steered" if written else "completed")
        assert (await session.run("next")).response == "Done."
        room = runtime._root.services.room
        assert (room.waiting, room.held) == (0, 0)


async def fail_at(at: int, mode: str) -> bool:
    """Steer a run while one write fails; whether there was such a write."""
    store = FaultyMemory(OneFault(at, mode, 3.0))  # type: ignore[arg-type]
    async with opened(once(), store=store) as runtime:
        while True:
            try:
                session = await runtime.create_session("tester")
                break
            except StoreUnavailable:
                await trio.sleep(1)
        sent: list[Run] = []

        async def send(message: str) -> None:
            while True:
                try:
                    sent.append(await session.submit(message, on_busy="steer", request_id=message))
                except StoreUnavailable:
                    await trio.sleep(1)
                else:
                    return

        await send("go")
        await trio.sleep(1)
        await send("one")
        await send("two")
        for run in sent:
            await run.wait()
        history = list(await session.history())
        assert_valid(history)
        assert sorted(said(history)) == ["go", "one", "two"]
        for run in sent:
            record = await store.run(session.id, run.id)
            assert record is not None
            assert record.status in ("completed", "failed", "interrupted", "steered")
        await send("next")
        await sent[-1].wait()
        live = live_of(runtime, session.id)
        assert (live.runs, live.current) == ({}, None)
        room = runtime._root.services.room
        assert (room.waiting, room.held) == (0, 0)
    return isinstance(store.faults, OneFault) and store.faults.count >= at


@pytest.mark.parametrize("mode", MODES)
def test_whichever_write_fails_each_message_is_in_the_history_once(mode: str) -> None:
    at = 1
    while trio.run(fail_at, at, mode, clock=MockClock(autojump_threshold=0)) and at < 40:
        at += 1
    assert at > 6


class Counter(trio.abc.Instrument):
    """Calls back at the n-th step of the scheduler from now."""

    def __init__(self, steps: int, then: object) -> None:
        self.left = steps
        self._then = then

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            assert callable(self._then)
            self._then()


async def cut_at(step: int) -> bool:
    """Steer a run, cancel it at a step of the scheduler; whether it was still running."""
    async with opened(once()) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        counter = Counter(step, run.request_cancel)
        trio.lowlevel.add_instrument(counter)
        words = [await session.submit(f"word {n}", on_busy="steer") for n in range(2)]
        await run.wait()
        for each in words:
            await each.wait()
        trio.lowlevel.remove_instrument(counter)
        history = list(await session.history())
        assert_valid(history)
        assert said(history) in (["go", "word 0", "word 1"], ["word 0", "word 1"])
        assert idle(runtime)
        live = live_of(runtime, session.id)
        assert (live.runs, live.current, runtime._root.services.room.held) == ({}, None, 0)
        return counter.left <= 0 and run.status == "cancelled"


def test_a_run_that_is_cancelled_anywhere_loses_none_of_its_words() -> None:
    step = 1
    while trio.run(cut_at, step, clock=MockClock(autojump_threshold=0)):
        step += 1
    assert step > 6


async def test_words_can_be_taken_back_until_they_are_read(autojump_clock: MockClock) -> None:
    async with opened(once()) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        await trio.sleep(1)
        first, second = await run.steer("one"), await run.steer("two")
        receipt = await session.take_back(first.id)
        assert [each.run_id for each in receipt.cancelled] == [first.id]
        await trio.sleep(4.5)
        with pytest.raises(MessageRead):
            await session.take_back(second.id)
        await run.wait()
        with pytest.raises(MessageRead):
            await session.take_back(second.id)
        assert said(list(await session.history())) == ["go", "two"]


async def test_a_request_id_of_words_that_were_read_finds_the_run_that_read_them(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/wingman.db"
    quick = ToolCalls(("wait", {"seconds": 0.3}))
    script = Scripted(lambda r: quick if last_text(r.messages) == "go" else "Done.")
    busy = Agent("tester", provider=script, tools=[wait])
    async with Runtime(url, agents=[busy]) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        words = await session.submit("word", on_busy="steer", request_id="r-1")
        result = await run.result()
        assert await words.result() == result
        again = await session.submit("word", on_busy="steer", request_id="r-1")
        assert (await again.result()).run_id == run.id
    async with Runtime(url, agents=[busy]) as runtime:
        session = await runtime.session(session.id)
        again = await session.submit("word", on_busy="steer", request_id="r-1")
        assert (await again.result()).run_id == run.id
        assert (await runtime.find_run(words.id)).id == run.id
        assert said(list(await session.history())) == ["go", "word"]


async def test_words_that_a_closing_runtime_has_not_read_are_run_at_the_next_start(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/wingman.db"
    async with Runtime(url, agents=[once()]) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        words = [await run.steer(f"word {n}") for n in range(3)]
        await runtime.drain(0)
    async with Runtime(url, agents=[once()]) as runtime:
        for each in words:
            found = await runtime.find_run(each.id)
            assert (await found.result()).response == "Done."
            assert found.id == each.id
        session = await runtime.session(session.id)
        assert said(list(await session.history())) == ["go", "word 0", "word 1", "word 2"]


@pytest.mark.parametrize("written", [0.5, 2.0])
async def test_a_deleted_session_s_words_are_told_so(
    written: float, autojump_clock: MockClock
) -> None:
    async with opened(once()) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        await trio.sleep(written)
        words = await run.steer("word")
        await runtime.delete(session.id)
        with pytest.raises(WingmanError) as gone:
            await words.result()
        assert "delet" in gone.value.message
        room = runtime._root.services.room
        assert (room.waiting, room.held) == (0, 0)
