"""Permissions as a program meets them: rules from four places, questions, answers, restarts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from wingman import (
    Agent,
    Limits,
    PermissionAnswer,
    PermissionForm,
    PermissionRequest,
    Run,
    Runtime,
    Session,
    tool,
)
from wingman.errors import AlreadyResolved, InvalidRequest
from wingman.providers import Keyless
from wingman.tools import Tool

CALLS = '!do {"what": "a"}\n!do {"what": "b"}\n!do {"what": "c"}'


def noting(ran: list[str]) -> Tool:
    """A tool that notes what it has done."""

    @tool(resources=("what",))
    async def do(what: str) -> str:
        """Do something."""
        ran.append(what)
        return f"did {what}"

    return do


def agent_with(ran: list[str], permissions: PermissionForm | None = None) -> Agent:
    return Agent("A", provider=Keyless(), tools=[noting(ran)], permissions=permissions)


async def waiting(runtime: Runtime, count: int) -> list[PermissionRequest]:
    """The requests that wait, in the order of their calls, once there are so many."""
    with trio.fail_after(10):
        while True:
            found = await runtime.permissions()
            if len(found) == count:
                return sorted(found, key=lambda request: request.tool_use_id)
            await trio.sleep(0.01)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while True:
            if condition():
                return
            await trio.sleep(0.01)


async def test_without_rules_nobody_is_asked() -> None:
    asked: list[PermissionRequest] = []

    async def approve(request: PermissionRequest) -> PermissionAnswer:
        asked.append(request)
        return PermissionAnswer("reject")

    ran: list[str] = []
    async with Session(agent_with(ran), ask=approve) as session:
        await session.run(CALLS)
    assert sorted(ran) == ["a", "b", "c"]
    assert asked == []


async def test_of_three_calls_one_is_allowed_one_is_asked_about_and_one_is_denied() -> None:
    asked: list[str] = []

    async def approve(request: PermissionRequest) -> PermissionAnswer:
        asked.extend(request.resources)
        return PermissionAnswer("once")

    ran: list[str] = []
    rules: PermissionForm = {"do": {"*": "ask", "a": "allow", "c": "deny"}}
    async with Session(agent_with(ran, rules), ask=approve) as session:
        result = await session.run(CALLS)
    assert asked == ["b"]
    assert sorted(ran) == ["a", "b"]
    assert [call.is_error for call in result.tool_calls] == [False, False, True]


@pytest.mark.parametrize(
    ("server", "agent", "session", "message", "runs"),
    [
        (None, "deny", None, None, False),
        (None, "deny", "allow", None, True),
        (None, "deny", "allow", "deny", False),
        (None, None, "deny", "allow", True),
        ("ask", None, None, None, False),
        ("ask", "allow", None, None, True),
        ("ask", None, None, "allow", True),
        ("deny", "allow", "allow", "allow", False),
        ({"do": {"*": "deny", "a": "allow"}}, "allow", None, None, True),
        (None, {"do": {"a": "deny", "*": "allow"}}, None, None, True),
        (None, {"do": {"b": "allow"}}, None, None, False),
        (None, {"other": "deny"}, None, None, True),
    ],
)
async def test_the_last_rule_of_four_places_counts_and_a_servers_deny_is_final(
    server: Any, agent: Any, session: Any, message: Any, runs: bool
) -> None:
    ran: list[str] = []
    of_code = agent_with(ran, agent)
    async with Runtime(permissions=server, agents=[of_code]) as runtime:
        its = await runtime.create_session(of_code, permissions=session)
        run = await its.submit("!do a", permissions=message, on_ask="reject")
        await run.result()
    assert ran == (["a"] if runs else [])


async def test_no_answer_allows_what_the_rules_deny() -> None:
    ran: list[str] = []
    agent = agent_with(ran)
    rules: PermissionForm = {"do": {"*": "ask", "c": "deny"}}
    async with Runtime(permissions=rules, agents=[agent]) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("!do a")
        (request,) = await waiting(runtime, 1)
        with pytest.raises(InvalidRequest, match="deny"):
            await session.answer(request.id, PermissionAnswer("once", input={"what": "c"}))
        with pytest.raises(InvalidRequest, match="nothing"):
            await session.answer(request.id, PermissionAnswer("once", input={"nothing": "c"}))
        await session.answer(request.id, PermissionAnswer("once", input={"what": "b"}))
        await run.result()
    assert ran == ["b"]


async def test_always_grants_exactly_what_was_shown() -> None:
    ran: list[str] = []
    agent = agent_with(ran, {"do": "ask"})
    async with Runtime(agents=[agent]) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit('!do a\n!do {"what": "a"}\n!do ab')
        first, _, longer = await waiting(runtime, 3)
        await session.answer(first.id, "always")
        assert await waiting(runtime, 1) == [longer]  # the same thing waits no more
        await until(lambda: ran == ["a", "a"])
        await session.cancel()
        await run.wait()
        await (await session.submit("!do a\n!do ab", on_ask="reject")).result()
        other = await runtime.create_session(agent)
        await (await other.submit("!do a", on_ask="reject")).result()
    assert ran == ["a"] * 3


async def test_the_first_answer_counts() -> None:
    ran: list[str] = []
    agent = agent_with(ran, {"do": "ask"})
    outcomes: list[str] = []
    async with Runtime(agents=[agent]) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("!do a")
        (request,) = await waiting(runtime, 1)

        async def answer() -> None:
            try:
                await session.answer(request.id, "once")
            except AlreadyResolved:
                outcomes.append("late")
            else:
                outcomes.append("first")

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(answer)
        await run.result()
    assert sorted(outcomes) == ["first", *["late"] * 19]
    assert ran == ["a"]


async def test_a_run_that_waits_holds_no_place() -> None:
    ran: list[str] = []
    agent = agent_with(ran, {"do": {"*": "ask", "free": "allow"}})
    async with Runtime(agents=[agent], limits=Limits(runs=1)) as runtime:
        runs: list[Run] = []
        for _ in range(5):
            session = await runtime.create_session(agent)
            runs.append(await session.submit("!do a"))
        found = await waiting(runtime, 5)
        await until(lambda: runtime.status().in_flight == 0)
        assert (runtime.status().asking, runtime.status().in_flight) == (5, 0)
        other = await runtime.create_session(agent)
        assert (await other.run("!do free")).tool_calls[0].output == "did free"
        for request in found:
            await runtime.answer(request.session_id, request.id, "once")
        for run in runs:
            await run.result()
    assert ran == ["free", *["a"] * 5]


async def test_what_waits_goes_on_after_a_restart_under_its_id_and_each_call_runs_once(
    tmp_path: Path,
) -> None:
    ran: list[str] = []
    path = tmp_path / "wingman.db"
    agent = agent_with(ran, {"do": "ask"})
    async with Runtime(path, agents=[agent]) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit(CALLS)
        first, second, third = await waiting(runtime, 3)
        await session.answer(first.id, "once")
        await until(lambda: ran == ["a"])
    async with Runtime(path, agents=[agent]) as runtime:
        assert await waiting(runtime, 2) == [second, third]
        assert ran == ["a"]
        await runtime.answer(session.id, second.id, "once")
        await runtime.answer(session.id, third.id, PermissionAnswer("reject", "not now"))
        result = await (await runtime.find_run(run.id)).result()
    assert ran == ["a", "b"]
    assert [call.is_error for call in result.tool_calls][1:] == [False, True]
    assert "not now" in result.tool_calls[2].output


@pytest.mark.parametrize("decision", ["once", "always"])
async def test_what_the_rules_have_come_to_deny_while_it_waited_does_not_run(
    decision: Any, tmp_path: Path
) -> None:
    ran: list[str] = []
    path = tmp_path / "wingman.db"
    agent = agent_with(ran, {"do": "ask"})
    async with Runtime(path, agents=[agent]) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit(CALLS)
        first, *_ = await waiting(runtime, 3)
    stricter: PermissionForm = {"do": {"*": "ask", "a": "deny"}}
    async with Runtime(path, agents=[agent], permissions=stricter) as runtime:
        for request in await waiting(runtime, 3):
            answer = decision if request.id == first.id else "once"
            await runtime.answer(session.id, request.id, answer)
        result = await (await runtime.find_run(run.id)).result()
    assert sorted(ran) == ["b", "c"]
    assert [call.is_error for call in result.tool_calls] == [True, False, False]
    assert "the permissions deny do" in result.tool_calls[0].output.lower()


async def test_a_cancel_settles_what_waits_and_the_session_goes_on() -> None:
    ran: list[str] = []
    agent = agent_with(ran, {"do": {"*": "ask", "free": "allow"}})
    async with Runtime(agents=[agent]) as runtime:
        session = await runtime.create_session(agent)
        await session.submit("!do a\n!do b")
        first, second = await waiting(runtime, 2)
        await session.cancel()
        for request in (first, second):
            assert (await runtime.permission(session.id, request.id)).status == "cancelled"
            with pytest.raises(AlreadyResolved):
                await session.answer(request.id, "once")
        await session.run("!do free")
    assert ran == ["free"]


async def test_a_call_that_nobody_answers_in_time_does_not_run() -> None:
    ran: list[str] = []
    agent = agent_with(ran, {"do": "ask"})
    async with Runtime(agents=[agent]) as runtime:
        session = await runtime.create_session(agent)
        result = await (await session.submit("!do a", ask_timeout=0.05)).result()
        (request,) = await runtime.permissions(statuses=["expired"])
    assert ran == []
    assert "nobody answered" in result.tool_calls[0].output
    assert request.resources == ("a",)
