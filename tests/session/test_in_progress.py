"""What a session shows of the step under way: what its history does not have yet."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Self

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from session_kit import agent
from wingman import Agent, Limits, Runtime, Session, Tool, tool
from wingman.api import InProgress
from wingman.conversation import ToolUseBlock
from wingman.events import Done, Text, ToolResult, ToolUse
from wingman.face import Followed
from wingman.providers import (
    Finished,
    Part,
    Request,
    Scripted,
    TextDelta,
    ThinkingDelta,
    ToolCalls,
    Transport,
)
from wingman.store import MemoryStore, PendingStep
from wingman.tools import Toolset


@tool
async def nap(seconds: float) -> str:
    """Sleep."""
    await trio.sleep(seconds)
    return f"slept {seconds:g}"


async def progress_of(session: Session) -> InProgress:
    progress = (await session.describe()).in_progress
    assert progress is not None
    return progress


def states(progress: InProgress) -> list[str]:
    return [call.state for call in progress.calls]


async def test_an_idle_session_shows_nothing_under_way() -> None:
    async with Session(agent(["well"])) as session:
        assert (await session.describe()).in_progress is None
        await session.run("go")
        assert (await session.describe()).in_progress is None


async def test_calls_are_shown_with_their_ids_their_input_and_where_they_stand(
    autojump_clock: MockClock,
) -> None:
    calls = ToolCalls(("nap", {"seconds": 1}), ("nap", {"seconds": 100}), text="Let me see. ")
    async with Session(agent([calls, "well"], tools=[nap])) as session:
        run = await session.submit("go")
        await trio.sleep(2)
        view = await session.describe()
        progress = await progress_of(session)
        assert [message.role for message in view.history] == ["user"]
        assert (progress.run_id, progress.step, progress.text) == (run.id, 1, "Let me see. ")
        assert states(progress) == ["ended", "running"]
        assert [call.input for call in progress.calls] == [{"seconds": 1}, {"seconds": 100}]
        assert [call.content for call in progress.calls] == ["slept 1", None]
        await run.cancel_tool(progress.calls[1].id)
        assert (await run.result()).response == "well"


async def test_calls_beyond_the_limit_of_parallel_ones_are_queued(
    autojump_clock: MockClock,
) -> None:
    calls = ToolCalls(*[("nap", {"seconds": 10})] * 3)

    async with Session(
        agent([calls, "well"], tools=[nap]), limits=Limits(parallel_tools=1)
    ) as session:
        run = await session.submit("go")
        await trio.sleep(15)
        assert sorted(states(await progress_of(session))) == ["ended", "queued", "running"]
        await run.result()


async def test_a_call_that_waits_for_a_person_names_its_request() -> None:
    helper = Agent(
        "asked",
        provider=agent([ToolCalls(("nap", {"seconds": 0})), "well"]).provider,
        tools=[nap],
        permissions={"nap": "ask"},
    )
    async with Runtime(agents=[helper]) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        await wait_all_tasks_blocked()
        (request,) = await session.permissions()
        (call,) = (await progress_of(session)).calls
        assert (call.state, call.permission_id) == ("waiting", request.id)
        await session.answer(request.id, "once")
        await run.result()


class Halting:
    """A provider that says something, and goes on when it is let."""

    id = "halting"
    model = "halting"

    def __init__(self) -> None:
        self.go_on = trio.Event()

    async def stream(self, request: Request, transport: Transport) -> AsyncIterator[Part]:
        yield ThinkingDelta("Hm. ")
        yield TextDelta("So ")
        yield TextDelta("far")
        yield ToolUseBlock("one", "nap", {"seconds": 0})
        await self.go_on.wait()
        yield Finished("tool_use")


async def test_a_step_is_shown_while_the_model_still_speaks() -> None:
    provider = Halting()
    helper = Agent("halting", provider=provider, tools=[nap], max_steps=1)
    async with Session(helper) as session:
        run = await session.submit("go")
        await wait_all_tasks_blocked()
        progress = await progress_of(session)
        assert (progress.text, progress.thinking) == ("So far", "Hm. ")
        assert states(progress) == ["announced"]
        provider.go_on.set()
        await run.result()


@pytest.mark.parametrize("moment", range(0, 60, 4))
@pytest.mark.parametrize("store", ["memory", "file"])
async def test_what_is_shown_and_the_events_after_it_are_the_whole_run(
    store: str, moment: int, tmp_path: Path
) -> None:
    """Whenever it is read: nothing is missing between them, and nothing is there twice."""
    steps = [ToolCalls(("nap", {"seconds": 0}), text=f"step {n}. ") for n in range(10)]
    helper = agent([*steps, "the end"], tools=[nap])
    where = "memory" if store == "memory" else tmp_path / "w.db"
    async with Runtime(where, agents=[helper]) as runtime:
        session = await runtime.create_session(helper)
        run = await session.submit("go")
        for _ in range(moment):
            await trio.lowlevel.checkpoint()
        view = await session.describe()
        history, progress = list(view.history or ()), view.in_progress
        texts = [message.text for message in history if message.role == "assistant"]
        calls = sum(len(message.tool_uses) for message in history)
        results = sum(len(message.content) for message in history[1:] if message.role == "user")
        after = view.last_event_id
        if progress is not None:
            texts.append(progress.text)
            calls += len(progress.calls)
            results += sum(call.state == "ended" for call in progress.calls)
            after = progress.event_id
        await run.wait()
        async with session.follow(after=after) as news:
            async for each in news:
                assert isinstance(each, Followed)
                if isinstance(each.event, Text):
                    texts.append(each.event.text)
                calls += isinstance(each.event, ToolUse)
                results += isinstance(each.event, ToolResult)
                if isinstance(each.event, Done):
                    break
        assert "".join(texts) == "".join(f"step {n}. " for n in range(10)) + "the end"
        assert (calls, results) == (10, 10)


async def test_after_a_restart_a_step_that_waits_is_shown_as_it_was(tmp_path: Path) -> None:
    helper = Agent(
        "asked",
        provider=agent(
            [ToolCalls(("nap", {"seconds": 0}), text="First I sleep. "), "well"] * 2
        ).provider,
        tools=[nap],
        permissions={"nap": "ask"},
    )
    async with Runtime(tmp_path / "w.db", agents=[helper]) as runtime:
        session = await runtime.create_session(helper)
        await session.submit("go")
        while not await session.permissions():  # noqa: ASYNC110 a file is slow to be written
            await trio.sleep(0.01)
        before = await progress_of(session)
    async with Runtime(tmp_path / "w.db", agents=[helper]) as runtime:
        session = await runtime.session(session.id)
        while not (await progress_of(session)).calls[0].permission_id:  # noqa: ASYNC110 as above
            await trio.sleep(0.01)
        after = await progress_of(session)
        assert (after.text, after.step, after.calls) == (before.text, before.step, before.calls)


class SlowToTell(MemoryStore):
    """A store that takes a while to tell of the step under way."""

    async def pending_step(self, run_id: str) -> PendingStep | None:
        await trio.sleep(5)
        return await super().pending_step(run_id)


class SlowToOpen(Toolset):
    """A toolset that takes a while to open: a run has begun, and no step of it."""

    name = "slow"

    async def __aenter__(self) -> Self:
        await trio.sleep(2)
        return self

    async def tools(self) -> Sequence[Tool]:
        return (nap,)


async def test_a_step_that_begins_while_it_is_looked_for_is_shown_once(
    autojump_clock: MockClock,
) -> None:
    calls = ToolCalls(("nap", {"seconds": 100}), text="Let me see. ")
    sleeper = Agent("sleeper", provider=Scripted([calls, "well"]), toolsets=[SlowToOpen()])
    async with Runtime(SlowToTell(), agents=[sleeper]) as runtime:
        session = await runtime.create_session(sleeper)
        run = await session.submit("go")
        await trio.sleep(1)
        progress = await progress_of(session)
        assert (progress.step, progress.text) == (1, "Let me see. ")
        assert states(progress) == ["running"]
        await run.result()
