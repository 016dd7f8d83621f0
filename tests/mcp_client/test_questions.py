"""A server's questions (elicitation): asked for the call that they belong to, or declined."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from mcp_client.servers import Room, call, tool_of
from wingman import Agent, Runtime
from wingman.api import PermissionAnswer
from wingman.conversation import ToolResultBlock
from wingman.mcp import McpToolset
from wingman.providers import Scripted
from wingman.providers.scripted import ToolCalls
from wingman.tools import ToolContext

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")

QUESTION = {
    "message": "Which one?",
    "requestedSchema": {"type": "object", "properties": {"one": {"type": "string"}}},
}
BOTH_PROTOCOLS = pytest.mark.parametrize("protocol", ["", "modern=1"])


@attrs.define
class Person:
    """Who answers, once `may_answer` is set."""

    answer: Mapping[str, Any] | None
    asked: list[tuple[str, Mapping[str, Any]]] = attrs.field(factory=list)
    may_answer: trio.Event = attrs.field(factory=trio.Event)
    gave_up: bool = False

    async def __call__(self, message: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        self.asked.append((message, schema))
        try:
            await self.may_answer.wait()
        except trio.Cancelled:
            self.gave_up = True
            raise
        return self.answer


async def ask(toolset: McpToolset, room: Room, person: Person) -> Any:
    tool = await tool_of(toolset, "fake_ask")
    output = await tool.call(QUESTION, ToolContext(room.path, elicit=person))
    return json.loads(output.text)  # type: ignore[union-attr]


@BOTH_PROTOCOLS
async def test_a_question_is_answered_by_a_person(room: Room, protocol: str) -> None:
    person = Person({"one": "the left"})
    person.may_answer.set()
    async with room.toolset(protocol) as toolset:
        answer = await ask(toolset, room, person)
    assert answer == {"action": "accept", "content": {"one": "the left"}}
    assert person.asked == [("Which one?", QUESTION["requestedSchema"])]


@BOTH_PROTOCOLS
async def test_a_question_that_a_person_declines_is_declined(room: Room, protocol: str) -> None:
    person = Person(None)
    person.may_answer.set()
    async with room.toolset(protocol) as toolset:
        assert (await ask(toolset, room, person))["action"] == "decline"


@BOTH_PROTOCOLS
async def test_a_question_that_nobody_can_be_asked_is_declined(room: Room, protocol: str) -> None:
    async with room.toolset(protocol) as toolset:
        assert json.loads(await call(toolset, room, "ask", QUESTION))["action"] == "decline"


@BOTH_PROTOCOLS
async def test_the_time_that_a_person_takes_is_not_the_calls(room: Room, protocol: str) -> None:
    person = Person({"one": "x"})
    seconds = 0.3
    async with (
        room.toolset(protocol, execution_timeout=seconds) as toolset,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(ask, toolset, room, person)
        while not person.asked:  # noqa: ASYNC110 the server is another process
            await trio.sleep(0.005)
        await trio.sleep(seconds + 0.1)
        person.may_answer.set()


@BOTH_PROTOCOLS
async def test_a_question_ends_with_its_call(room: Room, protocol: str) -> None:
    person = Person({"one": "x"})
    async with room.toolset(protocol) as toolset:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, toolset, room, person)
            while not person.asked:  # noqa: ASYNC110 the server is another process
                await trio.sleep(0.005)
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert person.gave_up
        assert await call(toolset, room, "echo", {"text": "on"}) == "on"


async def test_a_question_that_could_be_of_two_calls_is_declined(room: Room) -> None:
    person = Person({"one": "x"})
    person.may_answer.set()
    async with room.toolset() as toolset, trio.open_nursery() as nursery:
        nursery.start_soon(call, toolset, room, "hang")
        await room.until_heard("hanging")
        assert (await ask(toolset, room, person))["action"] == "decline"
        assert not person.asked
        nursery.cancel_scope.cancel()


async def test_a_question_that_is_no_form_is_declined(room: Room) -> None:
    person = Person({})
    question = {"mode": "url", "message": "Go there", "url": "http://a.b/", "elicitationId": "1"}
    async with room.toolset() as toolset:
        tool = await tool_of(toolset, "fake_ask")
        output = await tool.call(question, ToolContext(room.path, elicit=person))
    assert "decline" in output.text  # type: ignore[union-attr]
    assert not person.asked


@BOTH_PROTOCOLS
async def test_a_servers_question_waits_among_the_permissions(room: Room, protocol: str) -> None:
    asker = Agent(
        "asker",
        provider=Scripted([ToolCalls(("fake_ask", QUESTION)), "done"]),
        toolsets=[room.toolset(protocol)],
    )
    async with Runtime(agents=[asker]) as runtime:
        session = await runtime.create_session(asker, work_dir=room.path)
        run = await session.submit("go")
        with trio.fail_after(30):
            while not (waiting := await session.permissions()):  # noqa: ASYNC110 the store is asked
                await trio.sleep(0.01)
        (request,) = waiting
        assert (request.action, request.resources) == ("fake", ("Which one?",))
        answer = PermissionAnswer("once", input={"one": "the left"})
        await session.answer(request.id, answer)
        assert (await run.result()).response == "done"
        messages = await runtime.run_messages(run.id)
        (result,) = [b for m in messages for b in m.content if isinstance(b, ToolResultBlock)]
        assert json.loads(result.content) == {"action": "accept", "content": {"one": "the left"}}
