"""Steering: a message enters the run in flight at its next step, or is a run of its own."""

from collections import Counter
from random import Random

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from session_kit import (
    LateStore,
    agent,
    assert_sendable,
    live_of,
    opened,
    requests_of,
    wait,
)
from wingman import Agent, Limits, Runtime
from wingman.events import Done, Steered
from wingman.providers import Request, Scripted, ToolCalls
from wingman.providers.scripted import Item
from wingman.session import Run
from wingman.store import RunQueued

WAIT = ToolCalls(("wait", {"seconds": 5.0}))


async def said(runtime: Runtime, session_id: str) -> list[str]:
    """What the user said, as the history has it."""
    history = await (await runtime.session(session_id)).history()
    return [message.text for message in history if message.role == "user" and message.text]


async def test_words_come_after_the_tool_results_in_the_order_they_were_sent(
    autojump_clock: MockClock,
) -> None:
    tester = agent([WAIT, "Read."])
    async with opened(tester) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        await trio.sleep(1)
        words = [await run.steer(f"word {n}") for n in range(3)]
        result = await run.result()
        assert result.response == "Read."
        assert await said(runtime, session.id) == ["go", "word 0", "word 1", "word 2"]
        for messages in requests_of(tester):
            assert_sendable(messages)
        assert [each.status for each in words] == ["steered"] * 3
        assert [await each.result() for each in words] == [result] * 3
        channel = live_of(runtime, session.id).channel
        steered = [p.event for p in channel.read(0) if isinstance(p.event, Steered)]
        assert [e.text for e in steered] == ["word 0", "word 1", "word 2"]
        assert sum(isinstance(p.event, Done) for p in channel.read(0)) == 1
        room = runtime._root.services.room
        assert (room.waiting, room.held) == (0, 0)


@pytest.mark.parametrize("seed", range(8))
async def test_of_fifty_senders_each_message_is_read_once_or_runs_once(
    seed: int, autojump_clock: MockClock
) -> None:
    random = Random(seed)

    def script(request: Request) -> Item:
        busy = random.random() < 0.6
        return ToolCalls(("wait", {"seconds": random.random()})) if busy else "Done."

    tester = Agent("tester", provider=Scripted(script), tools=[wait])
    async with opened(tester, limits=Limits(queued=200, steps=random.choice([3, 50]))) as runtime:
        session = await runtime.create_session("tester")
        sent: list[Run] = [await session.submit("go")]

        async def send(sender: int) -> None:
            for n in range(3):
                await trio.sleep(random.choice([0, random.random() * 5]))
                sent.append(await session.submit(f"{sender}: {n}", on_busy="steer"))

        async with trio.open_nursery() as nursery:
            for sender in range(50):
                nursery.start_soon(send, sender)
        for run in sent:
            await run.result()
        texts = await said(runtime, session.id)
        assert Counter(texts) == Counter(run.record.message for run in sent)
        for sender in range(50):
            of_one = [text for text in texts if text.startswith(f"{sender}: ")]
            assert of_one == [f"{sender}: {n}" for n in range(3)]
        records = await runtime.store.runs(session.id)
        assert {record.status for record in records} <= {"completed", "steered"}
        room = runtime._root.services.room
        assert (room.waiting, room.held) == (0, 0)
        assert live_of(runtime, session.id).runs == {}


async def test_what_a_cancel_finds_unread_is_named_with_its_text(
    autojump_clock: MockClock,
) -> None:
    async with opened(agent([WAIT, "next"])) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        await trio.sleep(1)
        first, second = await run.steer("one"), await run.steer("two")
        queued = await session.submit("another")
        receipt = await run.cancel()
        assert [(each.run_id, each.unread) for each in receipt.cancelled] == [
            (run.id, None),
            (first.id, "one"),
            (second.id, "two"),
        ]
        assert (await queued.result()).response == "next"
        assert await said(runtime, session.id) == ["go", "another"]
        assert first.status == second.status == "cancelled"


async def test_a_cancel_takes_the_words_that_are_just_being_recorded(
    autojump_clock: MockClock,
) -> None:
    async with opened(agent([WAIT, "next"]), store=LateStore(RunQueued)) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.steer, "late")
            await trio.testing.wait_all_tasks_blocked()
            receipt = await run.cancel()
        assert [each.unread for each in receipt.cancelled] == [None, "late"]
        assert await said(runtime, session.id) == ["go"]
