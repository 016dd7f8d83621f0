"""A long result is stored once, as its run's messages; it is read whole, and listed in short."""

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from server_kit import call, parse_frames, serving
from session_kit import TOOLS, agent
from store.samples import USAGE, admit, ended, run, session, started
from wingman import Limits, Runtime, tool
from wingman.conversation import Message, TextBlock, ToolResultBlock, ToolUseBlock
from wingman.events import Result, summarize
from wingman.providers import Request, ToolCalls
from wingman.store import RunQueued, SessionSaved, StepEnded, Store
from wingman.store.records import RunRecord
from wingman.store.results import MOST_CHARS, WHOLE_RESULT
from wingman.store.sql import reads
from wingman.store.sql.run_pages import run_page
from wingman.store.sqlite import SQLStore
from wingman.store.sqlite.connection import Connection

CALL = ToolUseBlock("t1", "bash", {"command": "ls", "n": [1, 2.5, None]})
ANSWERED = Message("user", (ToolResultBlock("t1", "long " * 4000, is_error=False),))
SAID = Message("assistant", (TextBlock("é\x00🛩" * 1500),))
MESSAGES = (Message("assistant", (TextBlock("Let me see."), CALL)), ANSWERED, SAID)


def result_of(messages: Sequence[Message] = MESSAGES, run_id: str = "r1") -> Result:
    return summarize(run_id, messages, "end_turn", 2, USAGE, "Why.", cost=0.25)


def long_end(run_id: str = "r1", messages: Sequence[Message] = MESSAGES, **fields: Any) -> Any:
    values = {"messages": messages, "result": result_of(messages, run_id), "from_messages": True}
    return ended(run_id, **(values | fields))


def ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, factory=Connection)) as connection:
        return connection.execute(query).fetchall()


async def only(store: Store, run_id: str = "r1") -> RunRecord:
    found = await store.run(None, run_id)
    assert found is not None
    return found


def cuts(path: Path) -> list[int]:
    return [cut for (cut,) in ask(path, "SELECT result_cut FROM runs ORDER BY seq")]


async def test_a_long_result_is_read_whole_wherever_one_run_is_read_whole(store: Store) -> None:
    store.write(SessionSaved(session()), RunQueued(run(request_id="q1")))
    store.write(started())
    await store.write(long_end()).wait()
    assert (await only(store)).result == result_of()
    assert await store.run("s2", "r1") is None
    found = await store.run_by_request("s1", "q1")
    assert found is not None
    assert found.result == result_of()
    assert [record.result for record in await store.runs("s1")] == [result_of()]


async def test_a_result_that_is_short_or_has_more_than_its_messages_is_kept_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.db"
    brief = (Message("assistant", (TextBlock("Hello."),)),)
    typed = msgspec.structs.replace(result_of(run_id="r2"), output={"a": [1]})
    other = result_of(run_id="r3")
    async with SQLStore(path) as store:
        store.write(SessionSaved(session()))
        for id, end in (
            ("r1", long_end("r1", brief)),
            ("r2", long_end("r2", result=typed)),
            ("r3", long_end("r3", result=other, messages=brief, from_messages=False)),
        ):
            store.write(RunQueued(run(id)), started(id))
            await store.write(end).wait()
    assert cuts(path) == [0, 0, 0]
    async with SQLStore(path) as store:
        results = [record.result for record in await store.runs()]
    assert results == [result_of(brief), typed, other]


@pytest.mark.parametrize("over", [0, 1])
async def test_the_border_is_the_length_of_the_json(over: int, tmp_path: Path) -> None:
    def said(length: int) -> tuple[Message, ...]:
        return (Message("assistant", (TextBlock("é" * length),)),)

    around = len(msgspec.json.encode(result_of(said(0))).decode())
    messages = said(WHOLE_RESULT - around + over)
    async with SQLStore(tmp_path / "w.db") as store:
        admit(store)
        await store.write(started(), long_end(messages=messages)).wait()
        assert cuts(tmp_path / "w.db") == [over]
        assert (await only(store)).result == result_of(messages)
        [listed] = (await store.run_page(None, (), 1)).runs
        assert listed.cut is bool(over)


async def test_a_list_shows_of_it_what_it_shows_of_one_that_is_kept_whole(tmp_path: Path) -> None:
    # So many characters that JSON has as \u0000 make even what is short long.
    noughts = (Message("assistant", (TextBlock("\0" * 5000),)),)
    async with SQLStore(tmp_path / "w.db") as store:
        store.write(SessionSaved(session()))
        for id, messages, whole in (
            ("r1", MESSAGES, False),
            ("r2", MESSAGES, True),
            ("r3", noughts, False),
            ("r4", noughts, True),
        ):
            store.write(RunQueued(run(id)), started(id))
            await store.write(long_end(id, messages, from_messages=not whole)).wait()
        assert cuts(tmp_path / "w.db") == [1, 0, 1, 0]
        page = (await store.run_page(None, (), 10)).runs[::-1]
    for short, whole in ((page[0], page[1]), (page[2], page[3])):
        assert short.cut
        assert whole.cut
        assert short.record.result is not None
        assert whole.record.result == msgspec.structs.replace(
            short.record.result, run_id=whole.record.id
        )
        assert len(short.record.result.response) == MOST_CHARS


async def test_a_page_reads_no_messages_and_one_run_reads_its_own_in_one_statement_more(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.db"
    async with SQLStore(path) as store:
        store.write(SessionSaved(session()))
        for number in range(20):
            id = f"r{number}"
            store.write(RunQueued(run(id)), started(id))
            await store.write(long_end(id) if number % 2 else ended(id)).wait()
    with closing(sqlite3.connect(path, factory=Connection)) as connection:
        told: list[str] = []
        connection.set_trace_callback(told.append)

        def statements(read: Any) -> int:
            told.clear()
            read(connection)
            return len(told)

        assert statements(lambda c: run_page(c, None, (), 20, None, ())) == 1
        assert not any("history" in text for text in told)
        assert statements(lambda c: reads.run(c, None, "r0")) == 1
        assert statements(lambda c: reads.run(c, None, "r1")) == 2
    # What a page takes from the rows of runs does not grow with the results.
    assert ask(path, "SELECT max(length(result)) FROM runs") < [(7000,)]


async def test_a_run_whose_messages_are_gone_is_shown_in_short(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    async with SQLStore(path) as store:
        admit(store)
        await store.write(started(), long_end()).wait()
    for gone in ("seq = (SELECT max(seq) FROM history)", "true"):
        with closing(sqlite3.connect(path, factory=Connection)) as connection:
            connection.execute(f"DELETE FROM history WHERE {gone}")
            connection.commit()
        async with SQLStore(path) as store:
            result = (await only(store)).result
            assert result is not None
            assert result.response == result_of().response[:MOST_CHARS]
            assert (result.tool_calls, result.detail, result.cost) == ((), "Why.", 0.25)


async def test_a_long_result_of_an_older_database_is_read_and_listed_as_before(
    tmp_path: Path,
) -> None:
    path = tmp_path / "old.db"
    old = result_of()
    with closing(sqlite3.connect(path, factory=Connection)) as connection:
        connection.executescript(Path(__file__).with_name("version_5.sql").read_text())
        text = msgspec.json.encode(old).decode()
        connection.execute("UPDATE runs SET result = ? WHERE id = 'r1'", (text,))
        connection.commit()
    async with SQLStore(path) as store:
        assert (await only(store)).result == old  # its messages in this file say something else
        page = await store.run_page("s1", ("cancelled",), 1)
        result = page.runs[0].record.result
        assert result is not None
        assert (page.runs[0].cut, result.response) == (True, old.response[:MOST_CHARS])


async def test_a_run_that_a_crash_cut_off_after_a_long_step_has_the_result_of_what_is_stored(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.db"
    step = MESSAGES[:2]
    async with SQLStore(path) as store:
        admit(store)
        store.write(started())
        await store.write(StepEnded("s1", "r1", step, 1, USAGE, 9)).wait()
    for _ in range(2):  # the first one ends it
        async with Runtime(path) as runtime:
            record = await only(runtime.store)
            assert record.status == "interrupted"
            assert record.result == summarize("r1", step, "interrupted", 1, USAGE)
    assert cuts(path) == [1]


# --- of turns -------------------------------------------------------------------------------------


@tool
async def produce(length: int) -> str:
    """Say a text of so many characters."""
    await trio.lowlevel.checkpoint()
    return "0123456789abcdef" * (length // 16)


async def test_a_turn_stores_a_megabyte_that_a_tool_gave_once(tmp_path: Path) -> None:
    path, megabyte = tmp_path / "w.db", 1 << 20

    def script(request: Request) -> str | ToolCalls:
        asked = request.messages[-1].text
        return ToolCalls(("produce", {"length": megabyte})) if asked else "Done."

    ada = agent(script, tools=[produce])
    pages = []
    async with Runtime(path, agents=[ada], limits=Limits(tool_output=2 * megabyte)) as runtime:
        talk = await runtime.create_session(ada)
        for _ in range(4):
            result = await talk.run("go")
            pages += ask(path, "PRAGMA page_count")
        history = (await runtime.describe(talk.id)).history
        assert isinstance(history[2].content[0], ToolResultBlock)
        assert history[2].content[0].content == result.tool_calls[0].output
    [(kept,)] = ask(
        path,
        "SELECT (SELECT sum(length(message)) FROM history) + (SELECT sum(length(result)) FROM runs)"
        " + (SELECT count(*) FROM pending)",
    )
    assert 4 * megabyte < kept < 4.02 * megabyte
    # The room that a call's result takes while its step is under way is used again.
    assert (pages[3][0] - pages[1][0]) * 4096 < 2 * 1.05 * megabyte


async def test_the_store_in_memory_holds_a_long_output_once() -> None:
    ada = agent(
        lambda request: (
            ToolCalls(("produce", {"length": 20_000})) if request.messages[-1].text else "x" * 9000
        ),
        tools=[produce],
    )
    async with Runtime("memory", agents=[ada]) as runtime:
        talk = await runtime.create_session(ada)
        await talk.run("go")
        [record] = await runtime.store.runs()
        messages = await runtime.store.run_messages(record.id)
    assert record.result is not None
    assert isinstance(messages[2].content[0], ToolResultBlock)
    assert record.result.tool_calls[0].output is messages[2].content[0].content
    assert isinstance(messages[3].content[0], TextBlock)
    assert record.result.response is messages[3].content[0].text


texts = st.text(st.sampled_from('a\0é\\"🛩 \n'), max_size=8)
said = st.builds(lambda text, times: text * times, texts, st.sampled_from([1, 30, 900]))
tool_calls = st.one_of(
    st.builds(lambda text: ("say", {"text": text}), said),
    st.builds(lambda text: ("fail", {"text": text}), said),
    st.builds(lambda text: ("nobody", {"text": text}), said),
)
answers = said | st.lists(tool_calls, min_size=1, max_size=3).map(lambda some: ToolCalls(*some))
turns = st.lists(st.lists(answers, max_size=4), min_size=1, max_size=3)


async def compare(talks: list[list[Any]], path: Path) -> None:
    script = [answer for turn in talks for answer in turn]

    def speak(_request: Request) -> Any:
        return script.pop(0) if script else "The end."

    ada, results = agent(speak, tools=TOOLS), {}
    async with Runtime(SQLStore(path, synchronous="normal"), agents=[ada]) as runtime:
        talk = await runtime.create_session(ada)
        for number in range(len(talks)):
            result = await talk.run("go", max_steps=2 + number)
            results[result.run_id] = result
        before = [await runtime.describe_run(talk.id, id) for id in results]
        listed = await runtime.runs()
    async with Runtime(SQLStore(path, synchronous="normal"), agents=[ada]) as runtime:
        assert [await runtime.describe_run(talk.id, id) for id in results] == before
        assert await runtime.runs() == listed
    assert [view.result for view in before] == [*results.values()]


@settings(max_examples=25, deadline=None)
@given(turns)
def test_a_result_is_the_same_before_and_after_a_restart(talks: list[list[Any]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        trio.run(compare, talks, Path(directory) / "w.db")


async def test_http_says_the_same_of_a_long_run_before_and_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    paths: list[str] = []
    said: list[Any] = []
    async with serving(path, tools=[produce]) as server:
        session_id = await server.session(tools=["produce"])
        server.stage.play("Now.", call("produce", length=20_000))
        server.stage.play("word " * 4000)
        answer = await server.send(session_id, "go", request_id="q1")
        assert answer.status_code == 200
        run_id = answer.json()["run_id"]
        paths += [f"/sessions/{session_id}/runs/{run_id}", f"/sessions/{session_id}/runs"]
        said += [(await server.client.get(each)).json() for each in paths]
        assert said[0]["result"] == answer.json()
    async with serving(path, tools=[produce]) as server:
        assert [(await server.client.get(each)).json() for each in paths] == said
        again = await server.send(session_id, "go", request_id="q1")
        assert again.json() == answer.json()
        streamed = await server.client.post(
            f"/sessions/{session_id}/message/stream", json={"message": "go", "request_id": "q1"}
        )
        assert parse_frames(streamed.text)[-1].data == answer.json()
    assert cuts(path) == [1]
