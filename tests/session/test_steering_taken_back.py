"""Words that are taken back, or cancelled, while it is just being recorded that they are read."""

import pytest
import trio
from trio.testing import MockClock

from session_kit import LateStore, SlowStore, idle, last_text, opened, wait
from wingman import Agent, Message, Runtime, Session
from wingman.errors import MessageRead
from wingman.providers import Request, Scripted, ToolCalls
from wingman.providers.scripted import Item
from wingman.session import Run
from wingman.store import RunSteered


def answer(request: Request) -> Item:
    """One call for the message `go`, and then an answer."""
    return ToolCalls(("wait", {"seconds": 5.0})) if last_text(request.messages) == "go" else "Done."


def calling() -> Agent:
    return Agent("tester", provider=Scripted(answer), tools=[wait])


def said(history: list[Message]) -> list[str]:
    return [message.text for message in history if message.role == "user" and message.text]


async def being_read(runtime: Runtime) -> tuple[Session, Run, Run]:
    """A run, and words that it is just reading: for a second or more that is not recorded."""
    session = await runtime.create_session("tester")
    run = await session.submit("go")
    await trio.sleep(1)
    words = await run.steer("words")
    await trio.sleep(4.5)
    assert words._live is not None
    assert words._live.being_read
    return session, run, words


def refusing() -> SlowStore:
    """A store that refuses, after two seconds, that words are read."""
    store = SlowStore()
    store.kinds, store.slow_until_refused = (RunSteered,), 2.0
    return store


async def test_words_whose_reading_fails_while_they_are_taken_back_are_taken_back(
    autojump_clock: MockClock,
) -> None:
    async with opened(calling(), store=refusing()) as runtime:
        session, run, words = await being_read(runtime)
        receipt = await session.take_back(words.id)
        assert [each.run_id for each in receipt.cancelled] == [words.id]
        await run.wait()
        assert words.status == "cancelled"
        assert said(list(await session.history())) == ["go"]
        assert idle(runtime)


async def test_a_cancel_of_all_takes_words_whose_reading_fails(autojump_clock: MockClock) -> None:
    async with opened(calling(), store=refusing()) as runtime:
        session, run, words = await being_read(runtime)
        receipt = await session.cancel(queued=True)
        assert words.id in [each.run_id for each in receipt.cancelled]
        await run.wait()
        assert words.status == "cancelled"
        assert said(list(await session.history())) == ["go"]
        assert idle(runtime)


async def test_words_whose_reading_is_recorded_meanwhile_are_not_taken_back(
    autojump_clock: MockClock,
) -> None:
    async with opened(calling(), store=LateStore(RunSteered)) as runtime:
        session, run, words = await being_read(runtime)
        with pytest.raises(MessageRead):
            await session.take_back(words.id)
        assert (await words.result()).run_id == run.id
        assert said(list(await session.history())) == ["go", "words"]


async def test_to_take_back_twice_is_to_take_back(autojump_clock: MockClock) -> None:
    async with opened(calling()) as runtime:
        session = await runtime.create_session("tester")
        run = await session.submit("go")
        await trio.sleep(1)
        words = await run.steer("words")
        assert len((await session.take_back(words.id)).cancelled) == 1
        assert (await session.take_back(words.id)).cancelled == ()
        await run.wait()
        assert said(list(await session.history())) == ["go"]
