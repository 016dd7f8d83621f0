"""Questions: what a tool asks a person while it runs, answered by the table of permissions."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from session_kit import opened, say
from wingman import Agent, Limits, Runtime, ToolContext, tool
from wingman.api import PermissionAnswer, PermissionRequest
from wingman.conversation import ToolResultBlock
from wingman.errors import InvalidRequest
from wingman.providers import Scripted
from wingman.providers.scripted import ToolCalls
from wingman.session import Run
from wingman.tools import Tools

SCHEMA = {
    "type": "object",
    "properties": {"branch": {"type": "string"}},
    "required": ["branch"],
}


@tool
async def push(text: str, context: ToolContext) -> str:
    """Push, to the branch that the user names."""
    if context.elicit is None:
        return "nobody can be asked"
    answer = await context.elicit("Which branch?", SCHEMA)
    return "declined" if answer is None else f"pushed to {answer['branch']}"


def agent(*calls: str, **options: Any) -> Agent:
    """An agent whose model makes these calls in its first step."""
    first = ToolCalls(*((name, {"text": name}) for name in calls))
    return Agent(
        "asker",
        provider=Scripted([first, "done"]),
        toolsets=[Tools("repository", [push, say])],
        **options,
    )


async def results(runtime: Runtime, run: Run) -> Sequence[ToolResultBlock]:
    """The results of a run's calls."""
    messages = await runtime.run_messages(run.id)
    blocks = [block for message in messages for block in message.content]
    return [block for block in blocks if isinstance(block, ToolResultBlock)]


async def asked(
    runtime: Runtime, agent: Agent, **options: Any
) -> tuple[Any, Run, PermissionRequest]:
    """A session whose run waits for the answer to a question."""
    session = await runtime.create_session(agent)
    run = await session.submit("go", **options)
    await trio.sleep(1)
    (request,) = await session.permissions()
    return session, run, request


async def test_a_question_is_a_request_whose_answer_the_tool_gets(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened() as runtime:
        session, run, request = await asked(runtime, agent("push"))
        assert (request.tool, request.resources, request.always) == ("push", ("Which branch?",), ())
        assert (request.schema, request.input) == (SCHEMA, None)
        assert (await session.describe()).status == "waiting"
        answer = PermissionAnswer("once", input={"branch": "main"})
        settled = await session.answer(request.id, answer)
        assert (settled.status, settled.input) == ("allowed", {"branch": "main"})
        assert (await run.result()).response == "done"
        (result,) = await results(runtime, run)
        assert result.content == "pushed to main"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (PermissionAnswer("once"), "'branch' is a required property|\"branch\" is a required"),
        (PermissionAnswer("once", input={"branch": 3}), r"at `\$.branch`"),
        (PermissionAnswer("always", input={"branch": "main"}), "answered once, or rejected"),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused_and_the_question_still_waits(
    answer: PermissionAnswer, words: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with opened() as runtime:
        session, run, request = await asked(runtime, agent("push"))
        with pytest.raises(InvalidRequest, match=words):
            await session.answer(request.id, answer)
        assert len(await session.permissions()) == 1
        await session.answer(request.id, "reject")
        await run.result()
        (result,) = await results(runtime, run)
        assert result.content == "declined"


async def test_where_nobody_is_to_be_asked_a_question_is_declined(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened() as runtime:
        session = await runtime.create_session(agent("push"))
        run = await session.submit("go", on_ask="reject")
        await run.result()
        (result,) = await results(runtime, run)
        assert result.content == "declined"


async def test_a_question_that_nobody_answers_in_time_is_declined(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened() as runtime:
        _, run, _ = await asked(runtime, agent("push"), ask_timeout=60)
        await run.result()
        (result,) = await results(runtime, run)
        assert result.content == "declined"


async def test_an_approver_answers_questions(autojump_clock: trio.testing.MockClock) -> None:
    async def ask(request: PermissionRequest) -> PermissionAnswer:
        assert request.schema == SCHEMA
        return PermissionAnswer("once", input={"branch": "next"})

    async with opened(ask=ask) as runtime:
        session = await runtime.create_session(agent("push"))
        run = await session.submit("go")
        await run.result()
        (result,) = await results(runtime, run)
        assert result.content == "pushed to next"


async def test_a_run_that_waits_for_an_answer_holds_no_place_and_its_time_stands(
    autojump_clock: trio.testing.MockClock,
) -> None:
    limits = Limits(runs=1, seconds=30, tool_seconds=20)
    async with opened(limits=limits) as runtime:
        session, run, request = await asked(runtime, agent("push"))
        other = await runtime.create_session(Agent("other", provider=Scripted(["at once"])))
        assert (await other.run("go")).response == "at once"
        await trio.sleep(1000)
        await session.answer(request.id, PermissionAnswer("once", input={"branch": "main"}))
        assert (await run.result()).response == "done"
        (result,) = await results(runtime, run)
        assert result.content == "pushed to main"


async def test_a_call_that_is_cancelled_takes_its_question_along(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with opened() as runtime:
        session, run, request = await asked(runtime, agent("push", "say"))
        await run.cancel_tool(request.tool_use_id)
        assert (await run.result()).response == "done"
        assert await session.permissions() == ()
        assert (await runtime.permission(session.id, request.id)).status == "cancelled"
        cancelled, said = await results(runtime, run)
        assert (cancelled.is_error, said.content) == (True, "say")


async def waiting_in(session: Any) -> PermissionRequest:
    """The question that waits in a session, as soon as there is one."""
    with trio.fail_after(10):
        while not (waiting := await session.permissions()):  # noqa: ASYNC110 the store is asked
            await trio.sleep(0.01)
    found: PermissionRequest = waiting[0]
    return found


async def test_after_a_crash_the_question_is_over_and_its_call_may_have_run(tmp_path: Path) -> None:
    path, left = tmp_path / "wingman.db", tmp_path / "left"
    left.mkdir()
    asker = agent("push")
    async with Runtime(path, agents=[asker]) as runtime:
        session = await runtime.create_session(asker)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.submit, "go")
            request = await waiting_in(session)
        for file in sorted(tmp_path.glob("wingman.db*")):  # noqa: ASYNC240 as a kill leaves them
            shutil.copy(file, left)
    async with Runtime(left / "wingman.db", agents=[agent("say")]) as runtime:
        run = await runtime.run(session.id, request.run_id)
        with trio.fail_after(10):
            await run.wait()
        assert (await runtime.permission(session.id, request.id)).status == "cancelled"
        (result, *_) = await results(runtime, run)
        assert result.is_error
        assert "may have run" in result.content


async def test_where_the_runtime_closes_the_question_ends_with_its_call(tmp_path: Path) -> None:
    path, asker = tmp_path / "wingman.db", agent("push")
    async with Runtime(path, agents=[asker]) as runtime:
        session = await runtime.create_session(asker)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.submit, "go")
            request = await waiting_in(session)
    async with Runtime(path, agents=[asker]) as runtime:
        assert (await runtime.permission(session.id, request.id)).status == "cancelled"
        run = await runtime.run(session.id, request.run_id)
        assert run.status == "interrupted"
