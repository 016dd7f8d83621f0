"""Steering: what the run in flight cannot read any more is a run of its own, in order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from permission_kit import Hand, until_pending
from session_kit import last_text, opened, wait
from wingman import Agent, Message, Run, Session
from wingman.providers import Delay, Fail, Finished, Parts, Request, Scripted, TextDelta, ToolCalls
from wingman.providers.scripted import Item
from wingman.store import MemoryStore

WAIT = ToolCalls(("wait", {"seconds": 5.0}))

ENDINGS: dict[str, Item] = {
    "max_tokens": Parts(TextDelta("Too lo"), Finished("max_tokens")),
    "refusal": Parts(TextDelta("No."), Finished("refusal")),
    "failed": Fail("it broke"),
    "step_limit": WAIT,
}


def said(history: list[Message]) -> list[str]:
    return [message.text for message in history if message.role == "user" and message.text]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_words_that_come_before_an_end_that_cannot_be_put_off_are_runs_of_their_own(
    ending: str, autojump_clock: MockClock
) -> None:
    def script(request: Request) -> Item:
        if last_text(request.messages) != "go":
            return "Done."
        end = ENDINGS[ending]
        return end if isinstance(end, ToolCalls) else Delay(end, first=5.0)

    tester = Agent("tester", provider=Scripted(script), tools=[wait], max_steps=1)
    async with opened(tester) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        await trio.sleep(1)
        words = [await run.steer(f"word {n}") for n in range(2)]
        await run.wait()
        for each in words:
            result = await each.result()
            assert (result.run_id, result.response, each.status) == (each.id, "Done.", "completed")
        assert said(list(await session.history())) == ["go", "word 0", "word 1"]


@asynccontextmanager
async def steered(agent: Agent) -> AsyncIterator[tuple[Session, Run, Run]]:
    """A session, its run in the middle of its response, and words that are sent to steer it."""
    async with opened(agent) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        await trio.sleep(1)
        yield session, run, await run.steer("word")


async def test_a_final_response_is_put_off_by_words_that_came_while_it_was_said(
    autojump_clock: MockClock,
) -> None:
    script = Scripted(lambda request: Delay(last_text(request.messages), first=5.0))
    async with steered(Agent("tester", provider=script)) as (session, run, words):
        result = await words.result()
        assert (result.run_id, result.response, result.steps) == (run.id, "word", 2)
        assert [m.text for m in await session.history()] == ["go", "go", "word", "word"]


async def test_who_follows_words_is_told_of_the_run_that_reads_them_to_its_end(
    autojump_clock: MockClock,
) -> None:
    script = Scripted(lambda request: Delay(last_text(request.messages), first=5.0))
    async with steered(Agent("tester", provider=script)) as (session, run, words):
        unread = await session.submit("later")
        told = []
        async with words.reader() as reader:
            while batch := await reader.receive():
                told += batch
        assert {published.run_id for published in told} == {run.id}
        assert [published.event.kind for published in told] == ["steered", "step", "text", "done"]
        assert not unread.ended


async def test_words_have_the_typed_output_of_the_run_that_has_read_them(
    autojump_clock: MockClock,
) -> None:
    script = Scripted(lambda request: Delay('{"city": "Ulm"}', first=5.0))
    asked = Agent("tester", provider=script, output_schema=City)
    async with steered(asked) as (_, run, words):
        assert (await words.result()).output == (await run.result()).output == City("Ulm")


@attrs.frozen
class City:
    city: str


async def test_an_interrupting_message_loses_none_of_the_words(autojump_clock: MockClock) -> None:
    script = Scripted(lambda r: WAIT if last_text(r.messages) == "go" else "Done.")
    async with opened(Agent("tester", provider=script, tools=[wait])) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        await trio.sleep(1)
        words = await run.steer("word")
        newcomer = await session.submit("now", on_busy="interrupt")
        await newcomer.result()
        assert (run.status, words.status) == ("cancelled", "completed")
        assert said(list(await session.history())) == ["go", "word", "now"]


async def test_words_that_steer_overtake_none_that_were_sent_to_steer_before(
    autojump_clock: MockClock,
) -> None:
    def script(request: Request) -> Item:
        return WAIT if last_text(request.messages) in ("go", "one") else "Done."

    tester = Agent("tester", provider=Scripted(script), tools=[wait], max_steps=1)
    async with opened(tester) as runtime:
        session = await runtime.create_session("tester")
        await session.submit("go")
        await trio.sleep(1)
        words = [await session.submit(text, on_busy="steer") for text in ("one", "two")]
        await trio.sleep(5)  # `one` runs, and `two` waits behind it
        assert [each.status for each in words] == ["running", "queued"]
        third = await session.submit("three", on_busy="steer")
        assert third.disposition == "queued"
        await third.result()
        assert said(list(await session.history())) == ["go", "one", "two", "three"]


@pytest.mark.parametrize("more", [[], ["another"]])
async def test_a_run_that_waits_since_a_restart_reads_the_words_of_the_earlier_process(
    more: list[str],
    autojump_clock: MockClock,
) -> None:
    hand, store = Hand({"go": [[("guarded", "a")]]}), MemoryStore()
    async with opened(hand.agent(), store=store) as runtime:
        session = await runtime.create_session("hand")
        run = await session.submit("go")
        await until_pending(runtime)
        words = await run.steer("word")
    async with opened(hand.agent(), store=store) as runtime:
        (request,) = await until_pending(runtime)
        found = await runtime.run(session.id, run.id)
        sent = [words, *[await found.steer(text) for text in more]]
        await runtime.answer(session.id, request.id, "once")
        for each in sent:
            found = await runtime.run(session.id, each.id)
            assert (await found.result()).run_id == run.id
        session = await runtime.session(session.id)
        assert said(list(await session.history())) == ["go", "word", *more]
        assert hand.ran == ["a"]
