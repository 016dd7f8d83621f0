"""A process that dies at any step of its scheduler: the next one goes on from what was committed.

One program is played once. After each step of each task it is noted what was committed by then,
what ran, and what the program had been told; and each of these moments is then the last of a
process: another runtime is opened over what a store would have had.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from journal_kit import Journal, Moment, Watch
from session_kit import agent, assert_sendable, assert_valid, live_of, opened, requests_of
from wingman import Agent, Runtime, Session, tool
from wingman.conversation import Message, TextBlock, ThinkingBlock, ToolUseBlock
from wingman.providers import (
    Delay,
    Finished,
    Parts,
    Request,
    TextDelta,
    ThinkingDelta,
    ToolCalls,
)
from wingman.providers.scripted import Item
from wingman.run import Reader
from wingman.session import Run
from wingman.store import Change, PendingStep, RunRecord


def call(name: str, seconds: float = 0.0) -> tuple[str, Mapping[str, Any]]:
    return "mark", {"name": name, "seconds": seconds}


PLANS: dict[str, list[Item]] = {
    "go": [
        Parts(
            ThinkingDelta("hm"),
            ThinkingBlock("hm", signature="signed", provider="scripted"),
            TextDelta("Let me "),
            TextDelta("see."),
            ToolUseBlock("one", *call("go 1 a", 0.5)),
            ToolUseBlock("two", *call("go 1 b")),
            ToolUseBlock("three", "nosuch", {}),
            Finished("tool_use"),
        ),
        Delay(ToolCalls(call("go 2 a"), call("go 2 b", 0.2)), 0.1, 0.1),
        Delay("There you are.", 0.1, 0.1),
    ],
    "second": [ToolCalls(call("second 1", 0.3)), "Fine."],
    "third": [ToolCalls(call("third 1")), "Not reached."],
    "doomed": [ToolCalls(call("doomed 1"), call("doomed 2", 60.0)), "Not reached."],
    "again": [ToolCalls(call("again")), "Again."],
}


def speak(request: Request) -> Item:
    """The next step of the last thing that the user said."""
    texts = [
        (index, block.text)
        for index, message in enumerate(request.messages)
        for block in message.content
        if message.role == "user" and isinstance(block, TextBlock)
    ]
    index, text = texts[-1]
    return PLANS[text][sum(1 for message in request.messages[index:] if message.tool_uses)]


def hand(ran: list[str]) -> Agent:
    """An agent whose tool notes what really ran."""

    @tool
    async def mark(name: str, seconds: float) -> str:
        """Leave a mark, then take some time."""
        ran.append(name)
        await trio.sleep(seconds)
        return f"marked {name}"

    return agent(speak, name="hand", tools=[mark])


async def play(runtime: Runtime, told: set[tuple[str, str]]) -> None:
    """The program: two sessions, runs in flight and queued, a cancel, a delete."""

    async def submit(session: Session, text: str, **options: Any) -> Run:
        run = await session.submit(text, **options)
        told.add(("admitted", run.id))
        return run

    async def hear(run: Run) -> None:
        await run.wait()
        told.add(("ended", run.id))

    async def listen(reader: Reader) -> None:
        while batch := await reader.receive():
            told.add(("heard", f"{session.id} {batch[-1].id}"))

    session = await runtime.create_session("hand")
    told.add(("created", session.id))
    doomed = await runtime.create_session("hand")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, live_of(runtime, session.id).channel.reader())
        await submit(doomed, "doomed")
        nursery.start_soon(hear, await submit(session, "go"))
        nursery.start_soon(hear, await submit(session, "second", request_id="second"))
        third = await submit(session, "third")
        await trio.sleep(0.3)
        await third.cancel()
        told.add(("ended", third.id))
        told.add(("deleting", doomed.id))
        await runtime.delete(doomed.id)
        told.add(("deleted", doomed.id))
        for run in list(live_of(runtime, session.id).runs.values()):
            await run.wait()
        nursery.cancel_scope.cancel()


async def recover(calls: Sequence[tuple[Change, ...]], moment: Moment) -> None:
    """Open a runtime over what was committed, and hold it to what was told."""
    store = Journal(calls=calls)
    before = {run.id: run for run in await store.runs()}
    steps = {id: step for id in before if (step := await store.pending_step(id)) is not None}
    deleted = {id for what, id in moment.told if what in ("deleting", "deleted")}
    await check_acknowledged(store, before, moment, deleted)
    ran: list[str] = []
    helper = hand(ran)
    async with opened(helper, store=store) as runtime:
        cut_off = {id for id, run in before.items() if run.status == "running"}
        assert cut_off.isdisjoint(run.id for run in await store.runs(statuses=("running",)))
        check_ids(runtime, moment)
        for record in (await store.sessions(10)).sessions:
            session = await runtime.session(record.id)
            assert (await session.run("again")).response == "Again."
            await check_requests(session, before)
            await check_history(store, session)
        for run in await store.runs():
            check_fate(before.get(run.id), run)
        for run_id, step in steps.items():
            check_step(await store.run_messages(run_id), step)
        assert await store.deleting() == ()
        assert await store.runs(statuses=("running", "queued")) == ()
    for messages in requests_of(helper):
        assert_sendable(messages)
    assert not set(ran) & set(moment.ran), "ran twice"


def check_ids(runtime: Runtime, moment: Moment) -> None:
    """No event that was heard has an id that is given again."""
    for what, heard in moment.told:
        session_id, _, id = heard.partition(" ")
        if what == "heard" and (live := runtime._host.active.find(session_id)) is not None:
            assert live.channel.start >= int(id)


async def check_requests(session: Session, before: Mapping[str, RunRecord]) -> None:
    """A message that was taken is not taken again."""
    for run in before.values():
        if run.request_id is not None and run.session_id == session.id:
            again = await session.submit(run.message, request_id=run.request_id)
            assert again.id == run.id


def check_step(messages: Sequence[Message], step: PendingStep) -> None:
    """The step that was under way has entered the history, with the results that had come."""
    assert step.message in messages
    results = [block for message in messages for block in message.content]
    assert all(result in results for result in step.results)


async def check_history(store: Journal, session: Session) -> None:
    """It is valid, and has the messages of the runs that began, in the order of admission."""
    history = await session.history()
    assert_valid(history)
    said = [
        block.text
        for message in history
        for block in message.content
        if message.role == "user" and isinstance(block, TextBlock)
    ]
    assert said == [run.message for run in await store.runs(session.id) if run.started_at]


async def check_acknowledged(
    store: Journal, before: Mapping[str, RunRecord], moment: Moment, deleted: set[str]
) -> None:
    """What the program was told is in the store, and what ran is recorded there."""
    there = {record.id for record in (await store.sessions(10)).sessions}
    for what, id in moment.told:
        match what:
            case "created":
                assert id in there
            case "deleted":
                assert id not in there
            case "admitted":
                assert id in before or deleted
            case "ended":
                assert before[id].status not in ("queued", "running")
    recorded = set()
    for run in before.values():
        pending = await store.pending_step(run.id)
        messages = [*await store.run_messages(run.id), *([pending.message] if pending else [])]
        recorded |= {use.input.get("name") for message in messages for use in message.tool_uses}
    unseen = set(moment.ran) - recorded
    assert not unseen or deleted, f"{unseen} ran, and no row tells of it"


def check_fate(before: RunRecord | None, after: RunRecord) -> None:
    """What becomes of a run by a restart."""
    if before is None:
        assert after.message == "again"
    elif before.status == "running":
        assert after.status == "interrupted"
        assert after.started_at == before.started_at
        assert after.result is not None
        assert after.result.stop_reason == "interrupted"
    elif before.status == "queued":
        assert after.status == "completed"
    else:
        assert after == before


async def moments_of(store: Journal) -> set[Moment]:
    ran: list[str] = []
    told: set[tuple[str, str]] = set()
    watch = Watch(store, ran, told)
    async with opened(hand(ran), store=store) as runtime, watch.on():
        await play(runtime, told)
    return watch.moments


@pytest.mark.parametrize("delay", [None, 0.001, 0.15], ids=["at once", "soon", "late"])
async def test_whatever_was_committed_when_the_process_died_the_next_one_goes_on_from_it(
    delay: float | None, autojump_clock: MockClock
) -> None:
    store = Journal(delay)
    moments = await moments_of(store)
    assert len(moments) > 40
    for moment in moments:
        await recover(store.written[: moment.calls], moment)


async def test_a_process_that_dies_while_it_recovers_is_recovered_in_turn(
    autojump_clock: MockClock,
) -> None:
    store = Journal()
    lengths = {moment.calls for moment in await moments_of(store)}
    for length in lengths:
        calls = store.written[:length]
        second = Journal(calls=calls)
        ran: list[str] = []
        watch = Watch(second, ran, set())
        async with watch.on(), opened(hand(ran), store=second):
            pass
        for moment in watch.moments:
            await recover(second.written[: moment.calls], moment)
