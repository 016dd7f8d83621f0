"""Agents that a program defines: what is no agent, and how the others are shown."""

import pytest

from wingman import Agent, Runtime, Session
from wingman.api import AgentFields
from wingman.errors import InvalidRequest
from wingman.providers import Keyless
from wingman.tools import bash

AGENT = Agent("Assistant", instructions="Be brief.", provider=Keyless(), tools=[bash])


def test_what_is_no_provider_is_refused_where_the_agent_is_made() -> None:
    with pytest.raises(TypeError, match="'anthropic' is not a provider"):
        Agent("x", provider="anthropic")  # type: ignore[arg-type]


def test_what_is_no_agent_makes_no_session() -> None:
    with pytest.raises(TypeError, match="needs an Agent, not 'x'"):
        Session("x")  # type: ignore[arg-type]


@pytest.mark.parametrize(("message", "reason"), [("", "empty"), (5, "Expected `str`, got `int`")])
async def test_what_is_no_message_is_refused_and_the_next_is_taken(
    message: str, reason: str
) -> None:
    async with Session(AGENT) as session:
        with pytest.raises(InvalidRequest, match=reason):
            await session.run(message)
        assert (await session.run("Hello")).stop_reason == "end_turn"


async def test_an_agent_of_code_is_shown_beside_those_in_the_store_and_changed_in_code_alone() -> (
    None
):
    async with Runtime(agents=[AGENT]) as runtime:
        stored = await runtime.agents.create(AgentFields(name="Other"))
        shown = runtime.agents.get("Assistant")
        assert runtime.agents.list() == [shown, stored]
        assert (shown.id, shown.tools, shown.provider.id) == ("Assistant", ("bash",), "scripted")
        with pytest.raises(InvalidRequest, match="defined in the program's code"):
            await runtime.agents.update("Assistant", AgentFields(name="New"))
        with pytest.raises(InvalidRequest, match="defined in the program's code"):
            await runtime.agents.delete("Assistant")
        session = await runtime.create_session("Assistant")
        assert (await session.run("Hello")).stop_reason == "end_turn"
