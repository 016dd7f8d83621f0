"""The composition root: sessions, agents in code and in the store, over one store."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from session_kit import agent, echo, opened, say
from wingman import Agent, Limits, Runtime, tool
from wingman.api import AgentFields, Credential, ProviderConfig
from wingman.errors import InvalidRequest, NotFound, ProviderNotConfigured, StoreLocked
from wingman.providers import ProviderRegistry, Scripted, ToolCalls
from wingman.store import MemoryStore


async def test_a_runtime_works_as_it_is_shown(tmp_path: Path) -> None:
    helper = echo("helper")
    async with Runtime(store=f"sqlite:///{tmp_path}/w.db", agents=[helper]) as runtime:
        session = await runtime.create_session(helper, work_dir=tmp_path, title="Mine")
        run = await session.submit("Summarise the repository.")
        assert (await run.result()).response == "Summarise the repository."
        again = await runtime.session(session.id)
        assert (await again.run("And again.")).response == "And again."
        page = await runtime.sessions()
        assert [(each.id, each.title) for each in page.sessions] == [(session.id, "Mine")]
        assert len(await again.history()) == 4


async def test_one_runtime_holds_its_database_and_a_second_is_refused(tmp_path: Path) -> None:
    async with Runtime(store=tmp_path / "w.db"):
        with pytest.raises(StoreLocked):
            async with Runtime(store=tmp_path / "w.db"):
                pytest.fail("it opened")
    async with Runtime(store=tmp_path / "w.db"):
        pass


async def test_agents_in_code_are_found_by_their_name_after_a_restart(tmp_path: Path) -> None:
    @tool
    async def secret() -> str:
        """Tell the secret."""
        return "42"

    def build() -> Agent:
        return agent([ToolCalls(("secret", {})), "told"], name="keeper", tools=[secret])

    async with opened(build(), store=tmp_path / "w.db") as runtime:
        session = await runtime.create_session("keeper")
    async with opened(build(), store=tmp_path / "w.db") as runtime:
        session = await runtime.session(session.id)
        result = await session.run("What is it?")
        assert result.tool_calls[0].output == "42"


async def test_two_agents_in_code_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="another agent named 'echo'"):
        Runtime(agents=[echo(), echo()])
    helper = echo()
    async with opened(helper) as runtime:
        await runtime.create_session(helper)
        with pytest.raises(InvalidRequest, match="names must differ"):
            await runtime.create_session(echo())


async def test_a_session_needs_an_agent_that_is_there() -> None:
    async with opened(echo()) as runtime:
        with pytest.raises(NotFound, match="nobody"):
            await runtime.create_session("nobody")
        session = await runtime.create_session()
        with pytest.raises(InvalidRequest, match="No agent is named"):
            await session.run("hello")
        assert runtime.agents.choose("echo").id == "echo"
        await runtime.update_session(session.id, agent_id="echo")
        assert (await session.run("hello")).response == "hello"


async def test_a_session_changes_for_its_next_run(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(echo()) as runtime:
        session = await runtime.create_session("echo")
        await runtime.update_session(session.id, title="New", work_dir=str(tmp_path))
        record = await runtime.describe(session.id)
        assert (record.title, record.work_dir) == ("New", str(tmp_path))
        await session.run("hello")
        after = await runtime.describe(session.id)
        assert after.title == "New"
        assert after.usage.total_tokens > 0
        with pytest.raises(InvalidRequest, match="work_dir"):
            await runtime.update_session(session.id, work_dir=f"{tmp_path}/nowhere")
        with pytest.raises(NotFound):
            await runtime.update_session(session.id, agent_id="nobody")
        with pytest.raises(NotFound):
            await runtime.update_session("01NOSUCH", title="x")


async def test_agents_in_the_store_last_and_change_field_by_field(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    async with opened(store=path) as runtime:
        made = await runtime.agents.create(AgentFields(name="A", tools=("bash",)))
        changed = await runtime.agents.update(made.id, AgentFields(instructions="Be brief."))
        assert (changed.name, changed.tools, changed.instructions) == ("A", ("bash",), "Be brief.")
    async with opened(store=path) as runtime:
        assert runtime.agents.list() == [changed]
        await runtime.agents.delete(made.id)
        with pytest.raises(NotFound):
            runtime.agents.get(made.id)
        with pytest.raises(NotFound):
            await runtime.agents.delete(made.id)
    async with opened(store=path) as runtime:
        assert runtime.agents.list() == []


async def test_changes_of_an_agent_at_once_are_all_kept(tmp_path: Path) -> None:
    async with opened(store=tmp_path / "w.db") as runtime:
        made = await runtime.agents.create(AgentFields(name="A"))
        async with trio.open_nursery() as nursery:
            for fields in (
                AgentFields(name="B"),
                AgentFields(instructions="Be brief."),
                AgentFields(max_steps=3),
            ):
                nursery.start_soon(runtime.agents.update, made.id, fields)
        agent = runtime.agents.get(made.id)
        assert (agent.name, agent.instructions, agent.max_steps) == ("B", "Be brief.", 3)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (AgentFields(), "needs a name"),
        (AgentFields(name="  "), "needs a name"),
        (AgentFields(name="A", tools=("bash", "nosuch")), r"\$.tools\[1\]"),
        (AgentFields(name="A", tools=("bash", "bash")), "named twice"),
        (AgentFields(name="A", provider=ProviderConfig("nosuch")), "no provider 'nosuch'"),
        (AgentFields(name="A", max_steps=0), "max_steps"),
    ],
)
async def test_an_agent_that_cannot_be_is_refused_by_the_fields_path(
    fields: AgentFields, said: str
) -> None:
    async with opened() as runtime:
        with pytest.raises(InvalidRequest, match=said):
            await runtime.agents.create(fields)
        assert runtime.agents.list() == []


async def test_a_run_works_from_the_agent_as_it_was_when_it_was_admitted(
    autojump_clock: MockClock,
) -> None:
    said = Scripted(lambda request: request.system, delay=10)
    registry = ProviderRegistry()
    registry.register("slow", lambda model, **options: said)
    store = MemoryStore()
    async with opened(store=store, providers=registry) as runtime:
        provider = ProviderConfig("slow", "m")
        made = await runtime.agents.create(
            AgentFields(name="A", instructions="old", provider=provider)
        )
        session = await runtime.create_session(made.id)
        await session.submit("one")
        second = await session.submit("two")
        await runtime.agents.update(made.id, AgentFields(instructions="new"))
        third = await session.submit("three")
        await runtime.agents.delete(made.id)
        await runtime.drain(0)
    async with opened(store=store, providers=registry) as runtime:
        results = [
            await (await runtime.run(session.id, run.id)).result() for run in (second, third)
        ]
        assert [result.response for result in results] == ["old", "new"]
        with pytest.raises(NotFound):
            runtime.agents.choose(made.id)


async def test_the_tools_of_an_agent_in_code_are_not_for_others() -> None:
    async with opened(agent([], tools=[say])) as runtime:
        assert "say" not in runtime.agents.tools
        with pytest.raises(InvalidRequest, match="no tool 'say'"):
            await runtime.agents.create(AgentFields(name="A", tools=("say",)))
    async with opened(tools=[say]) as runtime:
        assert (await runtime.agents.create(AgentFields(name="A", tools=("say",)))).tools


async def test_an_agent_without_a_key_can_be_made_and_says_how_to_give_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    async with opened() as runtime:
        provider = ProviderConfig("anthropic", "claude")
        made = await runtime.agents.create(AgentFields(name="A", provider=provider))
        session = await runtime.create_session(made.id)
        with pytest.raises(ProviderNotConfigured, match="ANTHROPIC_API_KEY"):
            await session.run("hello")
        await runtime.credentials.put({"anthropic": Credential(key="sk-1")})
        assert runtime.agents.choose(made.id).agent.provider.id == "anthropic"
        await runtime.credentials.delete("anthropic")
        with pytest.raises(ProviderNotConfigured):
            runtime.agents.choose(made.id)


async def test_credentials_last_and_are_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    async with opened(store=path) as runtime:
        await runtime.credentials.put({"openai": Credential(key="sk-secret")})
        with pytest.raises(InvalidRequest, match="key or a base_url"):
            await runtime.credentials.put({"openai": Credential()})
        with pytest.raises(InvalidRequest, match="no provider"):
            await runtime.credentials.put({"nosuch": Credential(key="sk-2")})
    async with opened(store=path) as runtime:
        assert runtime.credentials.configured("openai")
        assert runtime.credentials.get("openai").key == "sk-secret"
        assert "sk-secret" not in repr(runtime.credentials.get("openai"))
        with pytest.raises(NotFound):
            await runtime.credentials.delete("anthropic")


async def test_an_error_at_the_opening_comes_out_as_it_is() -> None:
    class Unwell(MemoryStore):
        async def credentials(self):  # type: ignore[no-untyped-def]
            raise KeyError("unwell")

    with pytest.raises(KeyError, match="unwell"):
        async with Runtime(Unwell()):
            pytest.fail("it opened")


async def test_a_runtime_that_is_not_open_says_so() -> None:
    runtime = Runtime(agents=[echo()], limits=Limits(runs=1))
    with pytest.raises(RuntimeError, match="not open"):
        await runtime.create_session("echo")
    async with runtime:
        session = await runtime.create_session("echo")
    with pytest.raises(RuntimeError, match="not open"):
        await session.run("hello")
