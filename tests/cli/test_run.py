"""`wingman run`: one message in the terminal."""

import json
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from cli.terminal import PATIENCE, wingman
from wingman.cli import main

KEY = "sk-secret-1234"


async def test_text_goes_to_stdout_and_tool_calls_to_stderr(tmp_path: Path) -> None:
    (tmp_path / "found.txt").touch()
    async with wingman("run", "!bash ls\n---\n!bash echo 2", home=tmp_path) as command:
        assert await command.ended() == 0
    assert "bash gave:\nfound.txt" in command.out
    assert "→" not in command.out
    assert '→ bash {"command": "ls"}\n← found.txt\n' in command.err
    assert "3 steps, 2 tool calls" in command.err
    assert "no language model" in command.err


async def test_a_result_of_several_calls_at_once_says_whose_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    async with wingman("run", "!bash echo two\n!read a.txt", home=tmp_path) as command:
        assert await command.ended() == 0
    assert "← bash: two" in command.err
    assert "← read: " in command.err


async def test_the_message_may_come_from_stdin(tmp_path: Path) -> None:
    async with wingman("run", "-", home=tmp_path, stdin=b"!bash echo piped") as command:
        assert await command.ended() == 0
    assert "piped" in command.out


async def test_an_empty_message_is_wrong_usage(tmp_path: Path) -> None:
    async with wingman("run", "-", home=tmp_path, stdin=b"\n") as command:
        assert await command.ended() == 2
    assert command.err.endswith("Error: The message is empty.\n")


async def test_ctrl_c_cancels_the_run_and_says_what_has_stopped(tmp_path: Path) -> None:
    message = "!bash echo up; sleep 60"
    async with wingman("run", "--verbose", message, home=tmp_path) as command:
        await command.says("\nup\n")
        command.process.send_signal(signal.SIGINT)
        assert await command.ended() == 128 + signal.SIGINT
        assert command.survivors() == []
    assert "Cancelled, stopped in " in command.err
    assert " ms: bash stopped." in command.err
    assert "Traceback" not in command.err


async def test_a_second_ctrl_c_leaves_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    message = "!bash trap '' TERM; echo up; sleep 60; sleep 60"
    async with wingman("run", "--verbose", message, home=tmp_path) as command:
        await command.says("\nup\n")
        command.process.send_signal(signal.SIGINT)
        command.process.send_signal(signal.SIGTERM)
        with trio.fail_after(PATIENCE):
            assert await command.ended() == 128 + signal.SIGINT
        assert command.survivors() == []


@pytest.fixture
async def refusing_api() -> AsyncIterator[str]:
    """A model's API that refuses the key, and repeats it; its URL."""
    body = json.dumps({"error": {"type": "authentication_error", "message": f"bad {KEY}"}}).encode()
    head = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
    length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)

    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(head + length + body)
        await stream.send_eof()

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, refuse, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def test_a_provider_that_fails_is_one_line_without_the_key(
    tmp_path: Path, refusing_api: str
) -> None:
    environment = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": refusing_api}
    async with wingman("run", "Hello", home=tmp_path, **environment) as command:
        assert await command.ended() == 1
    assert command.err.startswith("Error: anthropic: ")
    assert command.err.count("\n") == 1
    assert KEY not in command.err + command.out


async def test_a_key_that_is_missing_is_one_line(tmp_path: Path) -> None:
    async with wingman("run", "--provider", "openai", "Hello", home=tmp_path) as command:
        assert await command.ended() == 1
    assert "OPENAI_API_KEY" in command.err
    assert command.err.count("\n") == 1


def test_an_unknown_tool_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["run", "--tools", "bash,fly", "Hello"])
    assert result.exit_code == 2
    assert "there is no tool 'fly'; there are: bash, read," in result.output


async def test_the_instruction_files_of_the_directory_are_told_and_verbose_says_which(
    tmp_path: Path,
) -> None:
    (tmp_path / "AGENTS.md").write_text("Be brief.")
    for verbose in (True, False):
        options = ("--verbose",) if verbose else ()
        async with wingman("run", *options, "!bash echo up", home=tmp_path) as command:
            assert await command.ended() == 0
        assert (f"instructions from {tmp_path / 'AGENTS.md'}\n" in command.err) is verbose
