"""A server that is a program: found, started, called, cancelled, lost, ended with all it has."""

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from mcp_client.servers import Room, call, gone, is_alive, tool_of
from wingman.api import McpServer
from wingman.errors import ToolError
from wingman.mcp import McpFailed, McpToolset
from wingman.tools import ToolOutput

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")


async def failure_of(toolset: McpToolset) -> str:
    with pytest.raises(McpFailed) as raised:
        async with toolset:
            raise AssertionError("it was entered")
    return str(raised.value)


async def test_the_tools_of_a_server_can_be_called_while_it_is_entered(room: Room) -> None:
    async with room.toolset() as toolset:
        assert await call(toolset, room, "echo", {"text": "hello"}) == "hello"
        tool = await tool_of(toolset, "fake_echo")
        assert tool.permission == "fake"
        assert tool.actions == ("fake", "fake_echo")
        assert tool.input_schema["required"] == ["text"]
        assert toolset.pid == room.heard("pid")[0]
        assert toolset.calls == 0


async def test_a_server_runs_in_the_sessions_directory_with_its_environment(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "a key of ours")
    async with room.toolset(env={"MINE": "yes"}) as toolset:
        environment = json.loads(await call(toolset, room, "environment"))
    assert environment["cwd"] == str(room.path)
    assert environment["MINE"] == "yes"
    assert "SOME_API_KEY" not in environment


async def test_a_server_with_a_directory_of_its_own_is_one_for_all(room: Room) -> None:
    server = McpServer(command=("true",), cwd=str(room.path))
    toolset = McpToolset("fake", server)
    assert toolset.within(room.path / "a") is toolset
    remote = McpToolset("fake", McpServer(url="http://127.0.0.1:1/mcp"))
    assert remote.within(room.path / "a") is remote


async def test_an_input_that_does_not_fit_is_never_sent(room: Room) -> None:
    async with room.toolset() as toolset:
        with pytest.raises(ToolError, match=r"not executed.*\$\.text"):
            await call(toolset, room, "echo", {"text": 7})
        assert await call(toolset, room, "echo", {"text": "7"}) == "7"
    calls = [params["arguments"] for params in room.heard("params") if "arguments" in params]
    assert calls == [{"text": "7"}]


async def test_a_cancelled_call_ends_at_once_and_the_server_is_told(room: Room) -> None:
    async with room.toolset("late=1") as toolset:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, toolset, room, "late")
            await room.until_heard("late")
            nursery.cancel_scope.cancel()
        await room.until_heard("method", "notifications/cancelled")
        # Its late answer is dropped, and the connection goes on.
        assert await call(toolset, room, "echo", {"text": "next"}) == "next"


async def test_a_cancelled_call_does_not_disturb_its_siblings(room: Room) -> None:
    async with room.toolset() as toolset, trio.open_nursery() as nursery:
        cancelled = trio.CancelScope()

        async def hang() -> None:
            with cancelled:
                await call(toolset, room, "hang")

        async def echo() -> None:
            assert await call(toolset, room, "echo", {"text": "x" * 1000}) == "x" * 1000

        nursery.start_soon(hang)
        await room.until_heard("hanging")
        for _ in range(20):
            nursery.start_soon(echo)
        cancelled.cancel()


async def test_a_server_that_reads_nothing_does_not_hold_a_cancel(room: Room) -> None:
    async with room.toolset() as toolset:
        await call(toolset, room, "echo", {"text": "x"})
        os.kill(room.heard("pid")[0], signal.SIGSTOP)
        began = time.perf_counter()
        for _ in range(20):  # more than a pipe holds
            with trio.move_on_after(0.005) as scope:
                await call(toolset, room, "echo", {"text": "x" * 50_000})
            assert scope.cancelled_caught
        assert time.perf_counter() - began < 1
        os.kill(room.heard("pid")[0], signal.SIGCONT)
        assert await call(toolset, room, "echo", {"text": "again"}) == "again"


async def test_a_call_has_so_much_time_and_the_server_is_told_when_it_is_over(room: Room) -> None:
    async with room.toolset(execution_timeout=0.05) as toolset:
        with pytest.raises(ToolError, match=r"not answered within 0\.05 s"):
            await call(toolset, room, "hang")
        await room.until_heard("method", "notifications/cancelled")


async def test_progress_is_told_line_by_line(room: Room) -> None:
    async with room.toolset() as toolset:
        with trio.move_on_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call, toolset, room, "hang", {"progress": 3})
                while len(room.progress) < 3:  # noqa: ASYNC110 the tool's listener is a list
                    await trio.sleep(0.005)
                nursery.cancel_scope.cancel()
    assert room.progress == ["working (1/3)\n", "working (2/3)\n", "working (3/3)\n"]


async def test_two_hundred_calls_share_a_connection(room: Room) -> None:
    answers: list[str] = []
    async with room.toolset() as toolset:

        async def one(number: int) -> None:
            answers.append(await call(toolset, room, "echo", {"text": str(number)}))

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(one, number)
    assert sorted(map(int, answers)) == list(range(200))


async def test_a_call_in_flight_when_the_server_dies_says_so_and_the_block_ends(
    room: Room,
) -> None:
    told: list[str] = []

    async def dying(toolset: McpToolset) -> None:
        try:
            await call(toolset, room, "die")
        except ToolError as error:
            told.append(str(error))

    async with trio.open_nursery() as nursery:
        with pytest.raises(McpFailed, match=r"exit code 3.*I am dying"):  # noqa: PT012 it is left by it
            async with room.toolset() as toolset:
                nursery.start_soon(dying, toolset)
                await trio.sleep_forever()
    assert "may have had its effect" in told[0]
    assert "exit code 3" in told[0]


async def test_a_server_that_was_lost_can_be_entered_again(room: Room) -> None:
    toolset = room.toolset()
    with pytest.raises(McpFailed):  # noqa: PT012 it is left by it
        async with toolset:
            os.kill(room.heard("pid")[0], signal.SIGKILL)
            await trio.sleep_forever()
    async with toolset:
        assert await call(toolset, room, "echo", {"text": "again"}) == "again"


async def test_a_call_after_the_end_is_not_executed(room: Room) -> None:
    async with room.toolset() as toolset:
        tool = await tool_of(toolset, "fake_echo")
    with pytest.raises(ToolError, match=r"not executed\. The connection .* has been ended"):
        await tool.call({"text": "x"}, room.context())


async def test_a_call_in_flight_when_the_toolset_is_left_says_so(room: Room) -> None:
    told: list[str] = []

    async def hang(toolset: McpToolset) -> None:
        try:
            await call(toolset, room, "hang")
        except ToolError as error:
            told.append(str(error))

    async with trio.open_nursery() as nursery, room.toolset() as toolset:
        nursery.start_soon(hang, toolset)
        await room.until_heard("hanging")
    assert "may have had its effect" in told[0]


async def test_a_program_that_is_not_there_is_named(room: Room) -> None:
    toolset = McpToolset("gone", McpServer(command=("no-such-program",))).within(room.path)
    assert isinstance(toolset, McpToolset)
    words = await failure_of(toolset)
    assert words.startswith(
        "The MCP server 'gone' cannot be used. The command could not be started"
    )
    assert "no-such-program" in words


async def test_one_that_ends_at_once_is_told_of_with_its_last_words_and_no_secret(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    words = await failure_of(
        room.toolset("exit=7", "stderr=bad key: s3cr3t-k3y\x1b[31m", env={"KEY": "s3cr3t-k3y"})
    )
    assert "It ended with exit code 7." in words
    assert "bad key: [hidden]\\x1b[31m" in words
    assert "s3cr3t" not in caplog.text


async def test_one_that_hangs_at_its_start_is_given_up(room: Room) -> None:
    words = await failure_of(room.toolset("hang=1", discovery_timeout=0.5))
    assert "has not answered within 0.5 s. It wrote to stderr: fake is here" in words
    await gone(*room.heard("pid"))


async def test_one_that_knows_only_the_handshake_is_started_again_for_it(room: Room) -> None:
    async with room.toolset("strict=1") as toolset:
        assert await call(toolset, room, "echo", {"text": "old"}) == "old"
    assert len(room.heard("pid")) == 2


async def test_a_protocol_that_nobody_knows_is_said(room: Room) -> None:
    assert "1999-01-01" in await failure_of(room.toolset("version=1999-01-01"))


async def test_rubbish_on_stdout_is_skipped_and_logged(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wingman.mcp")
    async with room.toolset("rubbish=1") as toolset:
        assert await call(toolset, room, "raw", {"line": "{]"}) == "after"
    assert "no message on stdout (1): Welcome to my server!" in caplog.text


async def test_a_server_that_closes_its_output_is_lost(room: Room) -> None:
    with pytest.raises(McpFailed, match="It closed its output"):  # noqa: PT012
        async with room.toolset() as toolset:
            with pytest.raises(ToolError, match="may have had its effect"):
                await call(toolset, room, "close_stdout")
            await trio.sleep_forever()
    await gone(*room.heard("pid"))


async def test_answers_that_nobody_asked_for_are_dropped(room: Room) -> None:
    async with room.toolset() as toolset:
        assert await call(toolset, room, "twice") == "first"
        assert await call(toolset, room, "echo", {"text": "on"}) == "on"


@pytest.mark.parametrize("manners", [(), ("stay=1",), ("stay=1", "no_term=1")])
async def test_a_server_and_all_that_it_started_have_ended_when_the_block_is_left(
    room: Room, manners: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with room.toolset("children=1", *manners):
        pids = [*room.heard("pid"), *room.heard("child")]
    assert len(pids) == 3
    assert not any(map(is_alive, pids))
    assert "not left well" not in caplog.text


async def test_a_cancelled_block_ends_the_server_and_all_that_it_started(room: Room) -> None:
    with trio.CancelScope() as scope:
        async with room.toolset("children=1", "stay=1"):
            pids = [*room.heard("pid"), *room.heard("child")]
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert not any(map(is_alive, pids))


async def test_what_the_block_raises_goes_on_as_it_is(room: Room) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with room.toolset():
            raise KeyError("mine")


async def test_a_server_may_send_very_many_notifications(room: Room) -> None:
    async with room.toolset() as toolset:
        assert await call(toolset, room, "flood", {"count": 5_000}) == "done"


async def test_a_server_may_send_a_message_of_twenty_megabytes(room: Room) -> None:
    async with room.toolset() as toolset:
        text = await call(toolset, room, "big", {"length": 20_000_000}, max_output=1_000)
    assert len(text) <= 1_100
    assert "19,999,000 characters cut" in text


async def test_of_a_large_answer_only_what_is_shown_is_read(room: Room) -> None:
    async with room.toolset() as toolset:
        tool = await tool_of(toolset, "fake_nested")
        output = await tool.call({"count": 400_000}, room.context(max_output=1_000))
    assert isinstance(output, ToolOutput)
    assert output.structured is None
    assert output.text.startswith('{"a": [[],[],[],')
    assert "characters cut" in output.text


async def test_a_server_that_asks_without_end_is_not_answered_without_end(room: Room) -> None:
    async with room.toolset() as toolset:
        assert await call(toolset, room, "pings", {"count": 1_000}) == "pinged"


async def test_a_server_is_told_of_the_directory_as_its_root(room: Room) -> None:
    async with room.toolset() as toolset:
        answer = json.loads(await call(toolset, room, "roots"))
    assert answer["roots"][0]["uri"] == room.path.as_uri()


async def test_tools_that_have_changed_are_there_at_the_next_look(room: Room) -> None:
    async with room.toolset() as toolset:
        before = {tool.name for tool in await toolset.tools()}
        await call(toolset, room, "change")
        after = {tool.name for tool in await toolset.tools()}
    assert after - before == {"fake_new"}


async def test_only_the_tools_that_are_wanted_are_there(room: Room) -> None:
    async with room.toolset("tools=3000", tools=("echo", "more2999", "missing")) as toolset:
        names = {tool.name for tool in await toolset.tools()}
    assert names == {"fake_echo", "fake_more2999"}


@pytest.mark.parametrize("manner", ["tools=10000", "endless=1"])
async def test_a_list_of_tools_without_end_is_bounded(room: Room, manner: str) -> None:
    async with room.toolset(manner) as toolset:
        assert 3 <= len(await toolset.tools()) <= 1_000


async def test_a_tool_that_is_none_is_left_out_and_the_others_are_there(room: Room) -> None:
    extra = [
        {"name": 7},
        "what",
        {"name": "no_schema", "inputSchema": None},
        {"name": "list", "inputSchema": {"type": "array"}},
        {"name": "broken", "inputSchema": {"type": "object", "properties": {"a": {"type": 7}}}},
        {"name": "far", "inputSchema": {"type": "object", "$ref": "http://127.0.0.1:1/schema"}},
        {"name": "fine", "inputSchema": {}},
    ]
    async with room.toolset(f"extra={json.dumps(extra)}") as toolset:
        names = {tool.name for tool in await toolset.tools()}
    assert names & {f"fake_{each['name']}" for each in extra if isinstance(each, dict)} == {
        "fake_fine"
    }


async def test_two_tools_of_one_name_are_an_error_that_says_what_to_do(room: Room) -> None:
    extra = [{"name": name, "inputSchema": {"type": "object"}} for name in ("a.b", "a/b")]
    words = await failure_of(room.toolset(f"extra={json.dumps(extra)}"))
    assert "'a.b' and 'a/b'" in words
    assert "`tools`" in words
    async with room.toolset(f"extra={json.dumps(extra)}", tools=("a.b",)) as toolset:
        assert [tool.name for tool in await toolset.tools()] == ["fake_a_b"]


def test_importing_the_package_does_not_import_the_sdk(tmp_path: Path) -> None:
    import subprocess

    code = "import wingman.mcp, sys; sys.exit(bool({'mcp', 'pydantic'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


async def test_a_call_that_was_never_sent_is_said_not_to_be_executed(room: Room) -> None:
    told: list[str] = []

    async def late(toolset: McpToolset) -> None:
        tool = await tool_of(toolset, "fake_echo")
        pid = room.heard("pid")[0]
        os.kill(pid, signal.SIGKILL)
        await gone(pid)
        with pytest.raises(ToolError) as raised:
            await tool.call({"text": "x"}, room.context())
        told.append(str(raised.value))

    async with trio.open_nursery() as nursery:
        with pytest.raises(McpFailed, match="SIGKILL"):  # noqa: PT012 it is left by it
            async with room.toolset() as toolset:
                nursery.start_soon(late, toolset)
                await trio.sleep_forever()
    assert told[0].startswith("The call was not executed. The MCP server 'fake' cannot be used.")
