"""Agents are listed in pages: none is given twice or left out, whatever comes and goes."""

from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest

from wingman import Agent, Runtime
from wingman.api import AgentFields, AgentRecord, NewAgent
from wingman.errors import InvalidRequest
from wingman.providers import Keyless
from wingman.runtime import Agents
from wingman.store import AgentSaved, MemoryStore

CODE = [Agent(name, provider=Keyless()) for name in ("Zoe", "Ada", "a.b\nc", "code.1")]
NAMES = sorted(agent.name for agent in CODE)


async def make(agents: Agents, *names: str) -> list[AgentRecord]:
    return [await agents.create(NewAgent(name=name)) for name in names]


def pages(agents: Agents, limit: int) -> list[list[str]]:
    found, before = [], None
    while True:
        page = agents.list(limit, before)
        found.append([agent.name for agent in page])
        if (before := page.next) is None:
            return found


async def test_those_of_code_come_first_then_those_of_the_store_newest_first() -> None:
    async with Runtime(agents=CODE) as runtime:
        await make(runtime.agents, "1", "2", "3")
        await runtime.create_session(Agent("Late", provider=Keyless()))
        names = [*sorted([*NAMES, "Late"]), "3", "2", "1"]
        assert [agent.name for agent in runtime.agents.list()] == names
        assert runtime.agents.list().next is None
        for limit in range(1, 10):
            found = pages(runtime.agents, limit)
            assert [name for page in found for name in page] == names
            assert {len(page) for page in found[:-1]} <= {limit}
            assert found[-1]


async def test_without_any_agent_there_is_one_empty_page() -> None:
    async with Runtime() as runtime:
        assert (runtime.agents.list(1), runtime.agents.list(1).next) == ([], None)


@pytest.mark.parametrize("seed", range(20))
async def test_what_comes_and_goes_between_two_pages_moves_nothing(seed: int) -> None:
    random = Random(seed)
    async with Runtime(agents=CODE) as runtime:
        agents = runtime.agents
        stored = await make(agents, *(f"first {number}" for number in range(8)))
        stays = {agent.id for agent in agents.list()}
        seen: list[str] = []
        before = None
        while True:
            page = agents.list(random.randint(1, 3), before)
            seen += [agent.id for agent in page]
            if (before := page.next) is None:
                break
            await make(agents, "meanwhile")
            await runtime.create_session(Agent(f"Code {random.random()}", provider=Keyless()))
            # Also the one that the next page begins after, and those that it would begin with.
            gone = stored.pop(random.randrange(len(stored)))
            stays.discard(gone.id)
            await agents.delete(gone.id)
            if stored:
                await agents.update(random.choice(stored).id, AgentFields(name="changed"))
        assert len(seen) == len(set(seen))
        assert stays <= set(seen)


async def test_a_cursor_holds_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    async with Runtime(path, agents=CODE) as runtime:
        made = await make(runtime.agents, "1", "2", "3", "4")
        in_code, in_store = runtime.agents.list(2), runtime.agents.list(6)
        await runtime.agents.delete(made[2].id)
    async with Runtime(path, agents=reversed(CODE)) as runtime:
        await make(runtime.agents, "5")
        after = [agent.name for agent in runtime.agents.list(9, in_code.next)]
        assert after == [*NAMES[2:], "5", "4", "2", "1"]
        assert [agent.name for agent in runtime.agents.list(9, in_store.next)] == ["2", "1"]


async def test_agents_that_were_made_in_the_same_moment_are_each_given_once() -> None:
    async with MemoryStore() as store, Runtime(store) as runtime:
        [one] = await make(runtime.agents, "one")
        older = one.created_at - timedelta(days=1)
        for id in ("c", "a", "b"):  # and not in the order in which they were made
            await store.write(AgentSaved(msgspec.structs.replace(one, id=id))).wait()
        await store.write(AgentSaved(msgspec.structs.replace(one, id="z", created_at=older))).wait()
        async with Runtime(store) as again:
            ids, before = [], None
            while True:
                page = again.agents.list(1, before)
                ids += [agent.id for agent in page]
                if (before := page.next) is None:
                    break
            assert ids == [*sorted(["a", "b", "c", one.id]), "z"]


@pytest.mark.parametrize("cursor", ["", "x", "x.y", "-1.a", "1", "1e3.a", "١.a", "coder.Ada"])
async def test_a_cursor_that_no_page_has_is_refused(cursor: str) -> None:
    async with Runtime(agents=CODE) as runtime:
        if cursor == "1":  # a number is a moment, after which there is nothing
            assert runtime.agents.list(9, cursor) == []
        else:
            with pytest.raises(InvalidRequest, match=r"at `\?cursor`"):
                runtime.agents.list(9, cursor)
