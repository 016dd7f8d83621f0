"""A server that dies and comes back under its clients: nothing is lost, doubled, or run twice.

`python -m client.test_restarts 50`, in `tests`, kills it so many times.
"""

import random
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from client.troupe import NAME
from client.worlds import Killable
from wingman.client import Client, Patience, Session
from wingman.conversation import Message, TextBlock
from wingman.events import Done, Event, Result, Text, ToolResult, ToolUse
from wingman.face import Followed, News, Resynced

PACE = 0.02
TALKERS = 3


async def restart(server: Killable, times: int, seconds: tuple[float, float]) -> None:
    """Kill the server and start it again, some time apart."""
    for _ in range(times):
        await anyio.sleep(random.uniform(*seconds))
        await anyio.to_thread.run_sync(server.kill)
        await anyio.to_thread.run_sync(server.start)


async def talk(session: Session, name: str, over: anyio.Event, results: list[Result]) -> None:
    """Send one message after the other, and hold each stream against what is stored of it."""
    number = 0
    while not over.is_set():
        number += 1
        text = f"!say {name}-{number}-a\n---\n!say {name}-{number}-b"
        async with session.run_stream(text) as stream:
            events = [event async for event in stream]
        assert isinstance(events[-1], Done)
        results.append(stream.result)
        check_run(events, stream.result, await session.history(), text)


def check_run(
    events: Sequence[Event], result: Result, history: Sequence[Message], text: str
) -> None:
    """What was streamed is what is stored, each part of it once.

    What a step had said and asked for that the crash has cut is nowhere stored: it was streamed
    alone.
    """
    asked = [index for index, one in enumerate(history) if one.text == text]
    assert len(asked) == 1, f"{text!r} is {len(asked)} times in the history"
    stored = history[asked[0] + 1 :]
    said = "".join(event.text for event in events if isinstance(event, Text))
    kept = "".join(one.text for one in stored if one.role == "assistant")
    calls = [event.id for event in events if isinstance(event, ToolUse)]
    uses = [use.id for one in stored for use in one.tool_uses]
    results = [event.tool_use_id for event in events if isinstance(event, ToolResult)]
    assert len(set(calls)) == len(calls)
    assert len(set(results)) == len(results)
    assert uses == [call.id for call in result.tool_calls]
    assert set(uses) <= set(results)
    if result.stop_reason == "interrupted":
        assert said.startswith(kept)
        assert calls[: len(uses)] == uses
    else:
        assert said == kept
        assert calls == uses == results


async def follow(session: Session, news: list[News]) -> None:
    async with session.follow() as events:
        async for one in events:
            news.append(one)  # noqa: PERF401 it is looked at while it grows, and after the cancel


def check_followed(news: Sequence[News], history: Sequence[Message]) -> None:
    """Every event came once, in order; what is missing is in a history that was given."""
    last = 0
    ended: list[str] = []
    for one in news:
        if isinstance(one, Resynced):
            assert one.session.last_event_id >= last
            last = one.session.last_event_id
        else:
            assert one.id > last
            last = one.id
            if isinstance(one.event, Done):
                ended.append(one.run_id)
    assert len(set(ended)) == len(ended)
    given = {
        block.text
        for one in news
        if isinstance(one, Resynced)
        for message in one.session.history or ()
        for block in message.content
        if isinstance(block, TextBlock)
    }
    said = "".join(
        one.event.text for one in news if isinstance(one, Followed) and isinstance(one.event, Text)
    )
    for message in history:
        for block in message.content:
            if isinstance(block, TextBlock) and message.role == "assistant":
                assert block.text in given or block.text in said


def has_heard_the_end(news: Sequence[News]) -> bool:
    """Whether a reader has come as far as its session has."""
    last = news[-1] if news else None
    if isinstance(last, Resynced):
        return last.session.status == "idle"
    return last is not None and isinstance(last.event, Done)


async def story(server: Killable, times: int, seconds: tuple[float, float]) -> dict[str, int]:
    """Three talkers and a reader each, while the server dies `times` times."""
    patience = Patience(seconds=120, tries=1000, first_seconds=60)
    retries = 0

    def count(_: object) -> None:
        nonlocal retries
        retries += 1

    results: list[Result] = []
    async with Client(server.url, patience=patience, on_retry=count) as client:
        sessions = [await client.create_session(NAME) for _ in range(TALKERS)]
        news: list[list[News]] = [[] for _ in sessions]
        async with anyio.create_task_group() as readers:
            for session, heard in zip(sessions, news, strict=True):
                readers.start_soon(follow, session, heard)
            over = anyio.Event()
            async with anyio.create_task_group() as talkers:
                for number, session in enumerate(sessions):
                    talkers.start_soon(talk, session, f"t{number}", over, results)
                await restart(server, times, seconds)
                over.set()
            with anyio.move_on_after(20):
                while not all(map(has_heard_the_end, news)):  # noqa: ASYNC110 a machine may be slow
                    await anyio.sleep(0.02)
            readers.cancel_scope.cancel()
        for session, heard in zip(sessions, news, strict=True):
            check_followed(heard, await session.history())
    asked = [line for line in server.book if line.startswith("!say")]
    assert len(set(asked)) == len(asked), "a message was run twice"
    ends = [result.stop_reason for result in results]
    assert set(ends) <= {"end_turn", "interrupted"}
    return {"runs": len(ends), "interrupted": ends.count("interrupted"), "tried again": retries}


def tell(directory: Path, times: int, backend: str, seconds: tuple[float, float]) -> dict[str, int]:
    server = Killable(directory, PACE)
    server.start()
    try:
        return anyio.run(partial(story, server, times, seconds), backend=backend)
    finally:
        server.kill()


@pytest.mark.parametrize(("backend", "times"), [("trio", 2), ("asyncio", 1)])
def test_a_server_that_dies_under_its_clients_costs_nothing(
    tmp_path: Path, backend: str, times: int
) -> None:
    found = tell(tmp_path, times, backend, (0.3, 0.9))
    assert found["runs"] >= TALKERS
    assert found["tried again"] >= times


if __name__ == "__main__":
    for loop in ("trio", "asyncio"):
        with tempfile.TemporaryDirectory() as directory:
            print(loop, tell(Path(directory), int(sys.argv[1]), loop, (0.5, 3.0)), flush=True)
