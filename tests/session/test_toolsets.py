"""Toolsets: opened when a run needs them, shared, closed when idle, and opened again when lost."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from session_kit import opened, say
from wingman import Agent, Runtime, Tool, tool
from wingman.errors import ToolsetUnavailable
from wingman.providers import Scripted
from wingman.providers.scripted import ToolCalls
from wingman.tools import Asking, Combined, Filtered, Prefixed, Tools, Toolset, Wrapped


@attrs.define(eq=False)
class Counted(Toolset):
    """A toolset that counts, and can be lost, or refuse to open."""

    name: str = "counted"
    refusal: str | None = None
    opened: int = 0
    closed: int = 0
    given: list[Tool] = attrs.field(factory=lambda: [say])
    slow: float = 0.0
    lost: trio.Event | None = None
    tasks: list[Any] = attrs.field(factory=list)
    _nursery: Any = None

    async def __aenter__(self) -> Self:
        self.tasks.append(trio.lowlevel.current_task())
        await trio.sleep(self.slow)
        if self.refusal is not None:
            raise ToolsetUnavailable(self.refusal)
        self.lost = trio.Event()
        self._nursery = trio.open_nursery()
        inner = await self._nursery.__aenter__()
        inner.start_soon(self._watch, self.lost)
        self._inner = inner
        self.opened += 1
        return self

    async def _watch(self, lost: trio.Event) -> None:
        await lost.wait()
        raise ToolsetUnavailable("The connection broke.")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self.tasks.append(trio.lowlevel.current_task())
        self.closed += 1
        self._inner.cancel_scope.cancel()
        try:
            done: bool | None = await self._nursery.__aexit__(kind, value, traceback)
        except BaseExceptionGroup as group:
            first = group.exceptions[0]
            if isinstance(first, ToolsetUnavailable):
                raise first from None
            raise
        return done

    async def tools(self) -> Sequence[Tool]:
        return self.given


def calling(*names: str, toolsets: Sequence[Toolset], **options: Any) -> Agent:
    """An agent whose model calls these tools, one a step, and then says "done"; again and again."""
    replies: list[Any] = [ToolCalls((name, {"text": name})) for name in names]
    return Agent("caller", provider=Scripted([*replies, "done"] * 40), toolsets=toolsets, **options)


def results(messages: Sequence[Any]) -> list[str]:
    """The texts of all tool results."""
    return [
        block.content
        for message in messages
        for block in message.content
        if block.__class__.__name__ == "ToolResultBlock"
    ]


async def turn(runtime: Runtime, agent: Agent, session: Any = None) -> list[str]:
    """One message, and the results of its calls."""
    session = session or await runtime.create_session(agent)
    run = await session.submit("go")
    return await results_of(runtime, run)


async def results_of(runtime: Runtime, run: Any) -> list[str]:
    """The results of a run's calls, once it has ended."""
    await run.result()
    return results(await runtime.run_messages(run.id))


# --- the classes ----------------------------------------------------------------------------------


@tool
async def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()


async def test_toolsets_combine_filter_prefix_and_wrap() -> None:
    inner = Combined("all", [Tools("one", [say]), Tools("two", [shout])])
    quiet = Filtered(inner, lambda each: each.name != "shout")
    named = Prefixed(quiet, "my_")
    louder = Wrapped(named, lambda each: attrs.evolve(each, description="Louder."))
    async with louder:
        (only,) = await louder.tools()
    assert (only.name, only.description, louder.name) == ("my_say", "Louder.", "all")


async def test_two_tools_of_one_name_cannot_be_combined() -> None:
    twice = Combined("twice", [Tools("one", [say]), Tools("two", [say])])
    async with twice:
        with pytest.raises(ValueError, match="two tools of 'twice' have the name 'say'"):
            await twice.tools()


async def test_a_combined_toolset_that_cannot_be_entered_leaves_what_it_has_entered() -> None:
    first, second = Counted("first"), Counted("second", refusal="No.")
    with pytest.raises(ToolsetUnavailable, match="No"):
        async with Combined("both", [first, second]):
            raise AssertionError
    assert (first.opened, first.closed) == (1, 1)


@attrs.frozen
class ByDirectory(Toolset):
    """One for each directory."""

    directory: Path | None = None
    name: str = "by-directory"

    def within(self, work_dir: Path) -> Toolset:
        return ByDirectory(work_dir)

    async def tools(self) -> Sequence[Tool]:
        directory = str(self.directory)

        @tool
        async def where(text: str) -> str:
            """Say where."""
            return directory

        return (where,)


async def test_a_view_of_a_toolset_is_of_the_directory_too(tmp_path: Path) -> None:
    seen = Prefixed(Filtered(ByDirectory(), lambda _: True), "x_").within(tmp_path)
    assert seen.inner.inner == ByDirectory(tmp_path)  # type: ignore[attr-defined]
    assert seen == Prefixed(Filtered(ByDirectory(tmp_path), seen.inner.keep), "x_")  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", [say, [say], "toolset", 3, [Tools]])
def test_what_is_no_toolset_is_refused_where_it_is_given(given: Any) -> None:
    with pytest.raises(TypeError, match="toolsets are a list"):
        Agent("a", provider=Scripted(["."]), toolsets=given)


def test_two_toolsets_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="the same name: counted"):
        Agent("a", provider=Scripted(["."]), toolsets=[Counted(), Counted()])


# --- opened, shared, closed -----------------------------------------------------------------------


async def test_a_run_calls_the_tools_of_a_toolset(autojump_clock: trio.testing.MockClock) -> None:
    toolset = Counted()
    async with opened() as runtime:
        assert await turn(runtime, calling("say", toolsets=[toolset])) == ["say"]
        assert (toolset.opened, toolset.closed) == (1, 0)
    assert toolset.closed == 1
    assert len(set(toolset.tasks)) == 1, "the task that enters a toolset leaves it"


async def test_runs_of_many_sessions_share_what_is_open(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted(slow=1)
    agent = Agent(
        "caller",
        provider=Scripted(
            lambda request: (
                "done" if len(request.messages) > 1 else ToolCalls(("say", {"text": "x"}))
            )
        ),
        toolsets=[toolset],
    )
    async with opened() as runtime:
        sessions = [await runtime.create_session(agent) for _ in range(30)]
        async with trio.open_nursery() as nursery:
            for session in sessions:
                nursery.start_soon(turn, runtime, agent, session)
    assert (toolset.opened, toolset.closed) == (1, 1)


async def test_each_directory_has_its_own(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    agent = calling("where", toolsets=[ByDirectory()])
    async with opened() as runtime:
        for name in ("a", "b"):
            directory = tmp_path / name
            directory.mkdir()
            session = await runtime.create_session(agent, work_dir=directory)
            assert await turn(runtime, agent, session) == [str(directory)]


async def test_a_toolset_that_nobody_uses_is_closed_after_a_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted()
    agent = calling("say", toolsets=[toolset])
    async with opened() as runtime:
        session = await runtime.create_session(agent)
        await turn(runtime, agent, session)
        await trio.sleep(50)
        await turn(runtime, agent, session)
        await trio.sleep(59)
        assert toolset.closed == 0
        await trio.sleep(2)
        assert toolset.closed == 1
        assert await turn(runtime, agent, session) == ["say"]
        assert toolset.opened == 2


async def test_of_many_toolsets_that_nobody_uses_those_left_first_are_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    given = [Counted(f"number{number}") for number in range(40)]
    async with opened() as runtime:
        toolsets = runtime._root.services.toolsets
        for toolset in (*given, given[8], given[0]):
            held = toolsets.take_now(toolset, Path.cwd())
            await wait_all_tasks_blocked()
            toolsets.leave(held)
            await wait_all_tasks_blocked()
        assert [each.opened for each in given] == [2] + [1] * 39
        assert [each.opened - each.closed for each in given] == [1] + [0] * 7 + [1, 0] + [1] * 30
    assert all(each.opened == each.closed for each in given)


async def test_a_long_call_keeps_its_toolset_open(autojump_clock: trio.testing.MockClock) -> None:
    @tool
    async def wait(text: str) -> str:
        """Wait."""
        await trio.sleep(300)
        return "waited"

    toolset = Counted(given=[wait])
    async with opened() as runtime:
        assert await turn(runtime, calling("wait", toolsets=[toolset])) == ["waited"]
        assert toolset.closed == 0


async def test_tools_that_change_are_seen_by_the_next_step(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted()

    @tool
    async def more(text: str) -> str:
        """Have one more tool."""
        toolset.given = [more, shout]
        return "there is more"

    toolset.given = [more]
    async with opened() as runtime:
        given = await turn(runtime, calling("more", "shout", toolsets=[toolset]))
    assert given == ["there is more", "SHOUT"]


async def test_the_agents_own_tool_comes_before_one_of_the_same_name(
    autojump_clock: trio.testing.MockClock,
) -> None:
    @tool(name="say")
    async def other(text: str) -> str:
        """Say something else."""
        return "something else"

    async with opened() as runtime:
        agent = calling("say", toolsets=[Counted(given=[other])], tools=[say])
        assert await turn(runtime, agent) == ["say"]


# --- failing --------------------------------------------------------------------------------------


async def test_a_run_goes_on_without_a_toolset_that_cannot_be_opened(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted(refusal="There is no program 'x'.")
    async with opened() as runtime:
        (given,) = await turn(runtime, calling("say", toolsets=[toolset]))
    assert "There is no tool named 'say'" in given
    assert "The toolset 'counted' is not there now: There is no program 'x'." in given


class Rude(Toolset):
    """A toolset that raises what it likes."""

    name = "rude"

    def __init__(self, where: str, error: BaseException) -> None:
        self.where, self.error = where, error

    def within(self, work_dir: Path) -> Toolset:
        return self._raise("within")

    def _raise(self, where: str) -> Self:
        if where == self.where:
            raise self.error
        return self

    async def __aenter__(self) -> Self:
        return self._raise("enter")

    async def __aexit__(self, *raised: object) -> None:
        self._raise("exit")

    async def tools(self) -> Sequence[Tool]:
        self._raise("tools")
        return [say]


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("no"), GeneratorExit(), KeyError()])
@pytest.mark.parametrize("where", ["within", "enter", "tools", "exit"])
async def test_whatever_a_toolset_raises_the_session_goes_on(
    where: str, error: BaseException, autojump_clock: trio.testing.MockClock
) -> None:
    async with opened() as runtime:
        agent = calling("say", toolsets=[Rude(where, error), Counted("fine", given=[shout])])
        session = await runtime.create_session(agent)
        (given,) = await turn(runtime, agent, session)
        assert (given == "say") is (where == "exit")
        await turn(runtime, agent, session)


async def test_one_that_hangs_while_it_opens_ends_with_the_run_that_is_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted(slow=1000)
    agent = calling("say", toolsets=[toolset])
    async with opened() as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("go")
        await trio.sleep(1)
        began = trio.current_time()
        receipt = await run.cancel()
        assert receipt.cancelled
        assert trio.current_time() == began
        (given,) = await turn(runtime, agent, session)
        assert "It did not open in time." in given


async def test_one_that_is_lost_is_opened_again_for_the_next_step(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted()

    @tool
    async def lose(text: str) -> str:
        """Lose the connection."""
        assert toolset.lost is not None
        toolset.lost.set()
        await trio.sleep(1)
        return "lost"

    toolset.given = [lose, say]
    async with opened() as runtime:
        assert await turn(runtime, calling("lose", "say", toolsets=[toolset])) == ["lost", "say"]
    assert (toolset.opened, toolset.closed) == (2, 2)


async def test_a_call_of_a_toolset_that_was_lost_since_finds_the_new_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted()
    replies = iter([ToolCalls(("say", {"text": "once"})), "done"])

    async def model(request: Any) -> Any:
        reply = next(replies)
        if toolset.opened == 1:
            assert toolset.lost is not None
            toolset.lost.set()  # while the model answers
            await trio.sleep(1)
        return reply

    agent = Agent("caller", provider=Scripted(model), toolsets=[toolset])
    async with opened() as runtime:
        assert await turn(runtime, agent) == ["once"]
    assert toolset.opened == 2


async def test_siblings_that_find_their_toolset_lost_share_the_new_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted(slow=1)
    calls = ToolCalls(*(("say", {"text": str(number)}) for number in range(20)))
    replies = iter([calls, "done"])

    async def model(request: Any) -> Any:
        reply = next(replies)
        if toolset.opened == 1:
            assert toolset.lost is not None
            toolset.lost.set()
            await trio.sleep(1)
        return reply

    agent = Agent("caller", provider=Scripted(model), toolsets=[toolset])
    async with opened() as runtime:
        assert len(await turn(runtime, agent)) == 20
        (held,) = runtime._root.services.toolsets.held
        assert (held.users, toolset.opened) == (0, 2)


@pytest.mark.parametrize("reason", ["No.", None])
async def test_a_call_of_a_toolset_that_is_gone_since_says_that_it_was_not_executed(
    autojump_clock: trio.testing.MockClock, reason: str | None
) -> None:
    toolset = Counted()
    replies = iter([ToolCalls(("say", {"text": "once"})), "done"])

    async def model(request: Any) -> Any:
        assert toolset.lost is not None
        toolset.refusal, toolset.given = reason, []
        toolset.lost.set()  # while the model answers
        await trio.sleep(1)
        return next(replies)

    agent = Agent("caller", provider=Scripted(model), toolsets=[toolset])
    async with opened() as runtime:
        (given,) = await turn(runtime, agent)
    assert given.startswith("The call was not executed. ")


async def test_one_that_fails_again_and_again_is_tried_less_and_less_often(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted(refusal="No.")
    tried = 0
    enter = Counted.__aenter__

    class Tried(Counted):
        async def __aenter__(self) -> Self:
            nonlocal tried
            tried += 1
            return await enter(self)

    toolset = Tried(refusal="No.")
    agent = calling("say", toolsets=[toolset])
    async with opened() as runtime:
        session = await runtime.create_session(agent)
        for _ in range(20):
            await turn(runtime, agent, session)
            await trio.sleep(3)
        assert 3 <= tried <= 10
        toolset.refusal = None
        await trio.sleep(90)
        assert await turn(runtime, agent, session) == ["say"]


async def test_one_that_is_retired_while_it_opens_is_given_up_and_the_run_has_a_new_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted(slow=100)
    agent = calling("say", toolsets=[toolset])
    async with opened() as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("go")
        await trio.sleep(1)
        toolset.slow = 0
        began = trio.current_time()
        runtime._root.services.toolsets.retire(lambda each: each is toolset)
        assert await results_of(runtime, run) == ["say"]
        assert trio.current_time() == began
    assert (toolset.opened, toolset.closed) == (1, 1)


async def test_one_that_is_retired_before_it_begins_to_open_holds_nobody_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted()
    async with opened() as runtime:
        toolsets = runtime._root.services.toolsets
        toolsets.take_now(toolset, Path.cwd())
        toolsets.retire(lambda each: each is toolset)
        assert await turn(runtime, calling("say", toolsets=[toolset])) == ["say"]
    assert (toolset.opened, toolset.closed) == (1, 1)


async def test_one_that_hangs_while_it_opens_does_not_hold_up_the_end_of_the_runtime(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted(slow=1000)
    async with opened() as runtime:
        session = await runtime.create_session(calling("say", toolsets=[toolset]))
        await session.submit("go")
        await trio.sleep(1)
        began = trio.current_time()
    assert trio.current_time() - began < 1
    assert toolset.opened == 0


async def test_closing_a_toolset_waits_for_its_calls_and_the_next_step_has_a_new_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    toolset = Counted()
    order: list[str] = []

    @tool
    async def wait(text: str) -> str:
        """Wait."""
        await trio.sleep(10)
        order.append(f"called, {toolset.closed} closed")
        return "waited"

    toolset.given = [wait]
    agent = calling("wait", "wait", toolsets=[toolset])
    async with opened() as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("go")
        await trio.sleep(1)
        runtime._root.services.toolsets.retire(lambda each: each is toolset)
        assert await results_of(runtime, run) == ["waited", "waited"]
    assert order == ["called, 0 closed", "called, 1 closed"]
    assert toolset.opened == 2


# --- permissions ----------------------------------------------------------------------------------


async def test_rules_reach_the_tools_of_a_toolset(autojump_clock: trio.testing.MockClock) -> None:
    agent = calling("say", toolsets=[Counted()], permissions={"say": "deny"})
    async with opened() as runtime:
        (given,) = await turn(runtime, agent)
    assert given.startswith("Not allowed: the permissions deny say")


async def test_an_asking_toolset_asks_where_no_rule_speaks_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked: list[str] = []

    async def ask(request: Any) -> str:
        asked.append(request.tool)
        return "once"

    async with opened(ask=ask) as runtime:
        agent = calling("say", toolsets=[Asking(Counted())])
        assert await turn(runtime, agent) == ["say"]
        assert asked == ["say"]
        allowed = calling("say", toolsets=[Asking(Counted())], permissions={"say": "allow"})
        assert await turn(runtime, attrs.evolve(allowed, name="allowed")) == ["say"]
        assert asked == ["say"]


async def test_an_edited_input_of_a_toolsets_tool_is_held_to_its_schema(
    autojump_clock: trio.testing.MockClock,
) -> None:
    from wingman.api import PermissionAnswer
    from wingman.errors import InvalidRequest

    agent = calling("say", toolsets=[Asking(Counted())])
    async with opened() as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("go")
        await trio.sleep(1)
        (request,) = await session.permissions()
        with pytest.raises(InvalidRequest, match=r"text"):
            await session.answer(request.id, PermissionAnswer("once", input={"text": 3}))
        await session.answer(request.id, PermissionAnswer("once", input={"text": "edited"}))
        (given,) = await results_of(runtime, run)
    assert given.endswith("edited")
