"""Settings: what a runtime is given anew while it runs, and what its runs keep."""

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trio

from wingman import Agent, Price, Run, Runtime, Tool, tool
from wingman.api import AgentFields, McpServer, NewAgent, PermissionForm, ProviderConfig
from wingman.errors import InvalidRequest, NotFound
from wingman.permissions import Rules
from wingman.providers import Keyless
from wingman.runtime import Settings
from wingman.tools import Tools

KEYLESS = ProviderConfig("scripted")


@attrs.define(eq=False)
class Work:
    """A tool `work`, which notes what it does, and stops at "wait" until it may go on."""

    done: list[str] = attrs.field(factory=list)
    began: trio.Event = attrs.field(factory=trio.Event)
    may_end: trio.Event = attrs.field(factory=trio.Event)

    def tool(self, mark: str = "") -> Tool:
        @tool(resources=("what",))
        async def work(what: str) -> str:
            """Do some work."""
            if what == "wait":
                self.began.set()
                await self.may_end.wait()
            self.done.append(f"{mark}{what}")
            return f"{mark}{what} done"

        return work


def call(what: str) -> str:
    return f'!work {{"what": "{what}"}}'


def agent(name: str = "helper", **fields: object) -> NewAgent:
    given = {"tools": ("work",), "provider": KEYLESS, **fields}
    return NewAgent(name=name, **given)  # type: ignore[arg-type]


def settings(*agents: NewAgent, **more: object) -> Settings:
    return Settings(agents=agents, **more)  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - what the runtime does in tasks of its own
            await trio.sleep(0.01)


async def test_agents_of_the_settings_are_there_by_name_and_come_first() -> None:
    given = settings(agent("b"), agent("a"), tools=[Work().tool()])
    async with Runtime(settings=given) as runtime:
        stored = await runtime.agents.create(NewAgent(name="c"))
        assert [each.id for each in runtime.agents.list()] == ["a", "b", stored.id]
        assert runtime.agents.get("a").tools == ("work",)
        first = runtime.agents.list(limit=1)
        assert [each.id for each in runtime.agents.list(before=first.next)] == ["b", stored.id]


async def test_they_are_changed_by_settings_alone() -> None:
    async with Runtime(settings=settings(agent(), tools=[Work().tool()])) as runtime:
        for attempt in (
            lambda: runtime.agents.update("helper", AgentFields(max_steps=3)),
            lambda: runtime.agents.delete("helper"),
        ):
            with pytest.raises(InvalidRequest, match="one of the server's configuration"):
                await attempt()
        runtime.configure(settings(agent(max_steps=3), tools=[Work().tool()]))
        assert runtime.agents.get("helper").max_steps == 3
        runtime.configure(Settings())
        with pytest.raises(NotFound):
            runtime.agents.get("helper")
        assert runtime.agents.list() == []


async def test_an_agent_that_stays_the_same_keeps_its_times() -> None:
    given = settings(agent("a"), agent("b"), tools=[Work().tool()])
    async with Runtime(settings=given) as runtime:
        before = runtime.agents.list()
        runtime.configure(settings(agent("a"), agent("b", max_steps=1), tools=given.tools))
        a, b = runtime.agents.list()
        assert a == before[0]
        assert b.created_at == before[1].created_at
        assert b.updated_at >= before[1].updated_at


BAD = [
    (settings(agent(tools=("nosuch",))), "no tool 'nosuch'"),
    (settings(agent(provider=ProviderConfig("nosuch"))), "no provider 'nosuch'"),
    (settings(agent("good", tools=()), agent(permissions={"x": "y"})), "permissions are"),
    (settings(tools=[Work().tool(), Work().tool()]), "two tools named 'work'"),
]


@pytest.mark.parametrize(("bad", "why"), BAD, ids=[why for _, why in BAD])
async def test_settings_with_a_mistake_change_nothing(bad: Settings, why: str) -> None:
    work = Work()
    good = settings(agent(), tools=[work.tool()], permissions=Rules.of({"work": "deny"}))
    async with Runtime(settings=good) as runtime:
        before, tools = runtime.agents.list(), dict(runtime.agents.tools)
        with pytest.raises(InvalidRequest, match=why):
            runtime.configure(attrs.evolve(bad, permissions=Rules(), prices={}))
        assert runtime.agents.list() == before
        assert runtime.agents.tools == tools
        session = await runtime.create_session("helper")
        await session.run(call("a"))
    assert work.done == []  # it is still denied


async def test_runs_in_flight_and_queued_keep_the_agent_that_they_were_admitted_with() -> None:
    work = Work()
    async with Runtime(settings=settings(agent(), tools=[work.tool("old ")])) as runtime:
        session = await runtime.create_session("helper")
        in_flight = await session.submit(f"{call('wait')}\n{call('a')}")
        await work.began.wait()
        queued = await session.submit(call("b"))
        runtime.configure(settings(agent("other"), tools=[work.tool("new ")]))
        with pytest.raises(NotFound):
            await session.submit("Is anybody there?")
        work.may_end.set()
        for run in (in_flight, queued):
            assert (await run.result()).stop_reason == "end_turn"
        assert sorted(work.done) == ["old a", "old b", "old wait"]
        await (await runtime.create_session("other")).run(call("c"))
    assert work.done[-1] == "new c"


async def test_a_queued_run_finds_its_agent_after_a_restart_that_has_none_of_its_name(
    tmp_path: Path,
) -> None:
    work = Work()
    store = tmp_path / "w.db"
    async with Runtime(store, settings=settings(agent(), tools=[work.tool()])) as runtime:
        session = await runtime.create_session("helper")
        await session.submit(call("wait"))
        await work.began.wait()
        queued = await session.submit(call("b"))
    work.may_end.set()
    async with Runtime(store, settings=Settings(tools=[work.tool()])) as runtime:  # type: ignore[arg-type]
        found = await runtime.find_run(queued.id)
        assert (await found.result()).stop_reason == "end_turn"
        with pytest.raises(NotFound):
            runtime.agents.get("helper")
    assert work.done == ["b"]


async def waits(runtime: Runtime, run: Run) -> str:
    """The id of the request that a run waits for."""
    with trio.fail_after(10):
        while not (found := await runtime.permissions(run.session_id)):  # noqa: ASYNC110
            await trio.sleep(0.01)
    return found[0].id


async def test_a_run_that_waits_for_an_answer_goes_on_when_it_has_one() -> None:
    work = Work()
    rules = Rules.of({"work": "ask"})
    async with Runtime(settings=settings(agent(), tools=[work.tool()])) as runtime:
        runtime.configure(settings(agent(), tools=[work.tool()], permissions=rules))
        session = await runtime.create_session("helper")
        run = await session.submit(call("a"))
        request = await waits(runtime, run)
        runtime.configure(Settings(permissions=rules))
        await runtime.answer(session.id, request, "once")
        assert (await run.result()).stop_reason == "end_turn"
    assert work.done == ["a"]


async def test_what_is_denied_meanwhile_no_answer_allows() -> None:
    work = Work()
    async with Runtime(permissions={"work": "ask"}, tools=[work.tool()]) as runtime:
        runtime.configure(settings(agent()))
        session = await runtime.create_session("helper")
        run = await session.submit(call("a"))
        request = await waits(runtime, run)
        runtime.configure(settings(agent(), permissions=Rules.of({"work": {"a*": "deny"}})))
        await runtime.answer(session.id, request, "once")
        await run.result()
    assert work.done == []


@pytest.mark.parametrize(("rules", "ran"), [({"work": "deny"}, []), ("allow", ["a"])])
async def test_rules_hold_for_the_next_run(rules: PermissionForm, ran: list[str]) -> None:
    work = Work()
    async with Runtime(tools=[work.tool()], permissions={"work": "deny"}) as runtime:
        runtime.configure(settings(agent(), permissions=Rules.of(rules)))
        session = await runtime.create_session("helper")
        await session.run(call("a"))
    assert work.done == ran


async def test_prices_are_those_that_were_given_last() -> None:
    async with Runtime(prices={}) as runtime:
        runtime.configure(settings(agent(tools=())))
        session = await runtime.create_session("helper")
        assert (await session.run("a")).cost is None
        prices = {"scripted/keyless": Price(input=1_000_000, output=0)}
        runtime.configure(settings(agent(tools=()), prices=prices))
        result = await session.run("b")
        assert result.cost == result.usage.input_tokens


async def test_an_agent_of_the_store_has_the_tools_of_the_settings() -> None:
    old, new = Work(), Work()
    async with Runtime(settings=Settings(tools=[old.tool()])) as runtime:  # type: ignore[arg-type]
        made = await runtime.agents.create(agent())
        session = await runtime.create_session(made.id)
        await session.run(call("a"))
        runtime.configure(Settings(tools=[new.tool()]))  # type: ignore[arg-type]
        await session.run(call("b"))
        runtime.configure(Settings())
        await session.run(call("c"))
        with pytest.raises(InvalidRequest, match="no tool 'work'"):
            await runtime.agents.create(agent("another"))
    assert (old.done, new.done) == (["a"], ["b"])


async def test_a_toolset_stands_for_what_was_given_last_also_in_a_run_that_goes_on() -> None:
    old, new = Work(), Work()
    with_toolset = agent(tools=(), toolsets=("kit",))
    given = settings(with_toolset, toolsets=[Tools("kit", [old.tool()])])
    async with Runtime(settings=given) as runtime:
        session = await runtime.create_session("helper")
        run = await session.submit(call("wait"))
        await old.began.wait()
        runtime.configure(settings(with_toolset, toolsets=[Tools("kit", [new.tool()])]))
        old.may_end.set()
        await run.result()
        await session.run(call("b"))
        assert (old.done, new.done) == (["wait"], ["b"])
        with pytest.raises(InvalidRequest, match="no toolset 'kit'"):
            runtime.configure(settings(with_toolset))
        twice = [Tools("kit", []), Tools("kit", [])]
        with pytest.raises(InvalidRequest, match="two toolsets named 'kit'"):
            runtime.configure(settings(toolsets=twice))


async def test_a_server_of_the_settings_hides_one_of_the_store_as_long_as_it_is_there(
    tmp_path: Path,
) -> None:
    store = tmp_path / "w.db"
    given = Settings(mcp={"git": McpServer(url="http://127.0.0.1:1/of-settings")})
    async with Runtime(store) as runtime:
        await runtime.mcp.put("git", McpServer(url="http://127.0.0.1:1/of-store"))
        runtime.configure(given)
        assert runtime.mcp.get("git").origin == "configuration"
        with pytest.raises(InvalidRequest, match="one of the server's configuration"):
            await runtime.mcp.delete("git")
        runtime.configure(Settings())
        assert runtime.mcp.get("git").origin == "store"
    async with Runtime(store, settings=given) as runtime:
        assert [view.url for view in runtime.mcp.list()] == ["http://127.0.0.1:1/of-settings"]
        runtime.configure(Settings())
        assert [view.url for view in runtime.mcp.list()] == ["http://127.0.0.1:1/of-store"]


async def test_a_name_of_code_stays_the_codes() -> None:
    async with Runtime(agents=[Agent("helper", provider=Keyless())]) as runtime:
        with pytest.raises(InvalidRequest, match="another agent whose id is 'helper'"):
            runtime.configure(settings(agent(tools=())))


def test_what_are_no_settings_is_refused() -> None:
    with pytest.raises(TypeError, match="settings must be Settings"):
        Runtime().configure({})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="agents"):
        Settings(agents=["helper"])  # type: ignore[arg-type]
