"""What is piped in, what cannot be written, and how the program is called."""

import io
import os
import sys
import threading
from pathlib import Path
from typing import Any

import click
import pytest

from cli.terminal import running
from wingman.cli import stdin
from wingman.cli.program import program
from wingman.cli.run import _message, _told
from wingman.errors import ContextTooLong, InvalidRequest, ProviderAuthError, ProviderNotConfigured
from wingman.providers import ProviderRegistry

PROGRAM = f"{sys.executable} -m wingman"


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes | None, *, terminal: bool = False) -> None:
    """Let standard input be this; None: closed."""
    stream = None if data is None else io.TextIOWrapper(io.BytesIO(data))
    if stream is not None:
        monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stdin", stream)


@pytest.mark.parametrize(
    ("given", "data", "message"),
    [
        ("Summarise this.", b"A text.\n", "Summarise this.\n\nA text.\n"),
        ("Summarise this.", b"", "Summarise this."),
        ("Summarise this.", b" \n", "Summarise this."),
        ("Summarise this.", None, "Summarise this."),
        ("-", b"A text.", "A text."),
        (None, b"A text.", "A text."),
        ("", b"A text.", "\n\nA text."),
        ("Look.", "\ufeffé\r\n".encode(), "Look.\n\né\r\n"),
    ],
)
def test_the_message_is_what_is_given_and_what_is_piped(
    monkeypatch: pytest.MonkeyPatch, given: str | None, data: bytes | None, message: str
) -> None:
    piped(monkeypatch, data)
    assert _message(given) == message


def test_a_terminal_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b"typed", terminal=True)
    assert _message("Hello") == "Hello"
    for given in (None, "-"):
        with pytest.raises(click.UsageError, match="pipe a text in"):
            _message(given)


@pytest.mark.parametrize(
    ("given", "data", "why"),
    [
        (None, b"", "message is empty"),
        ("-", b"\n", "message is empty"),
        ("", b"", "message is empty"),
        (None, None, "Missing argument"),
        ("-", None, "closed"),
    ],
)
def test_no_message_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, given: str | None, data: bytes | None, why: str
) -> None:
    piped(monkeypatch, data)
    with pytest.raises(click.UsageError, match=why):
        _message(given)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x89PNG\r\n\x1a\n", "byte 0 is not UTF-8"),
        ("text".encode("utf-16"), "byte 0 is not UTF-8"),
        (b"half \xc3", "byte 5 is not UTF-8"),
        (b"MZ\0\0", "character 2 is NUL"),
    ],
)
def test_what_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch, data: bytes, why: str) -> None:
    piped(monkeypatch, data)
    with pytest.raises(click.ClickException, match=why) as caught:
        _message("Summarise this.")
    assert caught.value.exit_code == 1


def test_too_much_is_refused_before_all_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdin, "_MOST", 1024 * 1024)
    piped(monkeypatch, b"")
    with Path("/dev/zero").open() as endless:
        monkeypatch.setattr(sys, "stdin", endless)
        with pytest.raises(click.ClickException, match="more than 1 MiB"):
            _message("Summarise this.")


def test_what_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    only_written = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    with io.TextIOWrapper(io.BufferedReader(io.FileIO(only_written, "r"))) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(click.ClickException, match="Cannot read standard input"):
            _message("Summarise this.")


def test_ctrl_c_while_it_reads_ends_it_as_a_shell_expects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Interrupted()))
    with pytest.raises(click.exceptions.Exit) as caught:
        _message("Summarise this.")
    assert caught.value.exit_code == 130


def test_who_waits_for_a_silent_input_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stdin, "_SILENT_SECONDS", 0.01)
    reading, writing = os.pipe()
    told = threading.Event()
    echo = stdin.echo

    def say(*words: Any, **options: Any) -> None:
        echo(*words, **options)
        told.set()
        os.close(writing)

    monkeypatch.setattr(stdin, "echo", say)
    with os.fdopen(reading) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert _message("Summarise this.") == "Summarise this."
    assert told.is_set()
    assert "give </dev/null" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run '!bash echo hi; sleep 60'", "demo", "run --help"])
async def test_a_full_disk_ends_a_command_with_one_line(tmp_path: Path, command: str) -> None:
    said = "run '!bash echo hi'" if "sleep" in command else command
    line = f"{PROGRAM} {said} > /dev/full"
    async with running("/bin/sh", "-c", line, home=tmp_path) as process:
        assert await process.ended() == 1
        assert process.survivors() == []
    last = process.err.splitlines()[-1]
    assert last == "Error: Cannot write to standard output: No space left on device."
    assert "Traceback" not in process.err
    assert "Exception ignored" not in process.err


async def test_a_closed_pipe_ends_a_run_with_one_line(tmp_path: Path) -> None:
    line = f"{{ {PROGRAM} run '!bash echo hi' </dev/null; echo code $? >&2; }} | true"
    async with running("/bin/sh", "-c", line, home=tmp_path) as process:
        assert await process.ended() == 0
    *_, last, code = process.err.splitlines()
    assert last == "Error: Cannot write to standard output: Broken pipe."
    assert code == "code 1"
    assert "Traceback" not in process.err


@pytest.mark.parametrize("place", ["2>/dev/full", "2>&-"])
async def test_notes_that_cannot_be_written_end_nothing(tmp_path: Path, place: str) -> None:
    line = f"exec {PROGRAM} run '!bash echo hi' {place}"
    async with running("/bin/sh", "-c", line, home=tmp_path) as process:
        assert await process.ended() == 0
    assert "hi" in process.out


@pytest.mark.parametrize("environment", ["none", "no url", "odd key"])
def test_what_a_provider_lacks_is_told_as_a_run_can_give_it(environment: str) -> None:
    registry = ProviderRegistry()
    seen = 0
    for name in registry.names():
        access = registry.entry(name).access
        if access is None:
            continue
        variables = {}
        if environment == "no url":
            variables = {access.url_variable: "gpu:port"}
        elif environment == "odd key" and access.key_variable is not None:
            variables = {access.key_variable: "a b", access.url_variable: "http://x"}
        try:
            access.endpoint(environment=variables)
        except ProviderNotConfigured as error:
            seen += 1
            said = _told(error)
            assert "in the environment" in said, said
            assert any(v and v in said for v in (access.key_variable, access.url_variable)), said
            for other in ("PUT", "/provider", "api_key=", "base_url="):
                assert other not in said, said
    assert seen >= 4


@pytest.mark.parametrize(
    ("error", "wanted", "unwanted"),
    [
        (ContextTooLong("The history has 9: choose a model, or go on in a new session."),
         "--model", "session"),
        (ProviderAuthError("no", provider="openai"), "OPENAI_API_KEY", "PUT"),
        (InvalidRequest("It is empty - at `$.message`"), "It is empty", "$"),
    ],
)  # fmt: skip
def test_other_errors_too_advise_what_a_run_can_do(error: Any, wanted: str, unwanted: str) -> None:
    assert wanted in _told(error)
    assert unwanted not in _told(error)


def test_the_program_is_named_as_it_can_be_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bin_dir = tmp_path / "a venv" / "bin"
    bin_dir.mkdir(parents=True)
    script = bin_dir / "wingman"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert program() == f"'{script}'"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["a venv/bin/wingman"])
    assert program() == "'a venv/bin/wingman'"
    monkeypatch.setenv("PATH", str(bin_dir))
    assert program() == "wingman"
    monkeypatch.setattr(sys, "argv", ["/elsewhere/wingman"])
    assert program() == "/elsewhere/wingman"
    monkeypatch.setattr(sys, "argv", ["/lib/python/wingman/__main__.py"])
    monkeypatch.setattr(sys, "executable", "/opt/python/bin/python3")
    assert program() == "/opt/python/bin/python3 -m wingman"
    (bin_dir / "python3").symlink_to(sys.base_prefix)
    monkeypatch.setattr(sys, "argv", ["something-else"])
    assert program() == "wingman"


async def test_usage_names_the_program_as_it_was_called(tmp_path: Path) -> None:
    async with running("/bin/sh", "-c", f"exec {PROGRAM} run -x", home=tmp_path) as process:
        assert await process.ended() == 2
    assert process.err.split(" run ")[0].endswith(" -m wingman")
