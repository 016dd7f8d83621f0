"""A server from a real terminal: narrow, foreign text, Ctrl-C, pipes that close, shells."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result
from rich.cells import cell_len

from client.troupe import NAME
from client.worlds import served
from wingman.cli import main
from wingman.cli.console import clip, escaped
from wingman.cli.launch import launch
from wingman.client import SyncClient, SyncSession

PATIENCE = 30.0
PROGRAM = (sys.executable, "-m", "wingman")

# It clears the screen, sets the title, turns writing around, begins a sequence in one character.
EVIL = "\x1b[2Jseen \x1b]0;owned\x07\u202eright\u202c \u2066left\u2069 \x9b31mred\x7f 漢字"
OBEYED = re.compile(r"\x1b\[2J|\x1b\]|[\x07\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture
def session(url: str) -> Iterator[SyncSession]:
    with SyncClient(url) as client:
        session = client.create_session(NAME, title=EVIL)
        yield session
        session.cancel(queued=True)


def wingman(url: str, *arguments: str, given: str | bytes = "") -> Result:
    return CliRunner().invoke(main, [*arguments, "--server", url], input=given)


def lines(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def in_terminal(url: str, *arguments: str, columns: int = 80, **environment: str) -> str:
    """What a command prints in a terminal of so many columns."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, columns))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*PROGRAM, *arguments, "--server", url],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**clean, "TERM": "xterm", "PYTHONUTF8": "1", **environment},
    )
    os.close(follower)
    said = b""
    try:
        while chunk := os.read(leader, 65536):
            said += chunk
    except OSError:  # the terminal's other end is closed: how Linux says that it is over
        pass
    finally:
        os.close(leader)
    assert process.wait(PATIENCE) == 0, said
    return said.decode().replace("\r\n", "\n")


def unstyled(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_terminal_obeys_nothing_that_a_model_a_tool_or_a_title_says(
    url: str, session: SyncSession
) -> None:
    run = session.submit(f"!say {json.dumps({'text': EVIL})}")
    run.wait()
    for command in (("show", session.id), ("wait", run.id)):
        shown = in_terminal(url, *command)
        assert "seen" in shown
        assert not OBEYED.search(shown), command


def test_json_in_a_terminal_is_escaped_and_means_the_same(url: str, session: SyncSession) -> None:
    shown = in_terminal(url, "sessions", "--json")
    assert not OBEYED.search(shown)
    titles = [json.loads(line)["title"] for line in shown.splitlines()]
    assert EVIL in titles


def test_escaped_json_is_the_same_json() -> None:
    text = json.dumps([EVIL, "ä漢"], ensure_ascii=False)
    assert json.loads(escaped(text)) == [EVIL, "ä漢"]
    assert not OBEYED.search(escaped(text))


def test_a_narrow_terminal_shows_whole_ids_and_no_line_that_is_too_wide(
    url: str, session: SyncSession
) -> None:
    run = session.submit("!hang on")
    shown = unstyled(in_terminal(url, "ps", columns=40))
    assert f"SESSION {session.id}" in shown
    assert f"RUN {run.id}" in shown
    assert max(map(cell_len, shown.splitlines())) <= 40
    wide = unstyled(in_terminal(url, "ps", columns=200, TERM="dumb"))
    assert wide.splitlines()[0].split()[:3] == ["SESSION", "RUN", "STATUS"]
    assert f"{session.id}  {run.id}  running" in wide


def test_a_dumb_terminal_gets_no_colours(url: str, session: SyncSession) -> None:
    session.run("!say hello")
    assert "\x1b[" in in_terminal(url, "show", session.id)
    assert "\x1b" not in in_terminal(url, "show", session.id, TERM="dumb")
    assert "\x1b" not in in_terminal(url, "sessions", columns=200, NO_COLOR="1")


def test_what_is_cut_fits_by_the_columns_it_takes() -> None:
    assert clip("漢字漢字", 8) == "漢字漢字"
    assert clip("漢字漢字", 7) == "漢字漢…"
    assert clip("漢字漢字", 6) == "漢字…"
    assert clip("abc", 3) == "abc"
    assert clip("abcd", 3) == "ab…"


def test_ctrl_c_interrupts_a_command_where_it_waits_and_nowhere_else() -> None:
    lines = []

    async def command() -> int:
        signal.raise_signal(signal.SIGINT)
        lines.append("between two lines")
        await trio.sleep_forever()
        return 0

    with pytest.raises(KeyboardInterrupt):
        launch(command)
    assert lines == ["between two lines"]


@pytest.mark.parametrize("command", [("wait", "run"), ("ps",)])
def test_ctrl_c_is_130_and_says_nothing(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [*PROGRAM, *command, "--server", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=PATIENCE) == (b"", b"")
    assert process.returncode == 130


@pytest.mark.parametrize("place", ["/dev/full", "a closed pipe"])
def test_output_that_fails_ends_a_command_with_one_line(
    url: str, session: SyncSession, place: str
) -> None:
    session.run("!say hello")
    if place == "/dev/full":
        out = os.open(place, os.O_WRONLY)
        command = ("sessions", "list")
    else:
        end, out = os.pipe()
        os.close(end)
        command = ("logs", session.id, "--after", "0")
    try:
        done = subprocess.run(
            [*PROGRAM, *command, "--server", url],
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(out)
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: Cannot write to standard output: ")
    assert done.stderr.count(b"\n") == 1


def test_a_session_is_made_changed_and_deleted(url: str, tmp_path: Path) -> None:
    made = wingman(url, "sessions", "create", NAME, "--title", "T", "--work-dir", str(tmp_path))
    [row] = lines(made)
    listed = {one["session"]: one for one in lines(wingman(url, "sessions"))}
    assert listed[row["session"]] == row
    assert (row["title"], row["work_dir"]) == ("T", str(tmp_path))
    changed = wingman(url, "sessions", "update", row["session"], "--title", "U")
    assert (changed.exit_code, changed.output) == (0, "")
    listed = {one["session"]: one for one in lines(wingman(url, "sessions", "list"))}
    assert listed[row["session"]]["title"] == "U"
    assert wingman(url, "sessions", "update", row["session"]).exit_code == 2
    assert wingman(url, "sessions", "create", "nobody").exit_code == 6
    assert wingman(url, "sessions", "delete", row["session"]).exit_code == 0
    assert wingman(url, "sessions", "delete", row["session"]).exit_code == 6


def test_a_session_without_an_agent_says_how_it_gets_one(url: str) -> None:
    with SyncClient(url) as client:
        session = client.create_session()
    for detach in ([], ["--detach"]):
        refused = wingman(url, "send", session.id, "!say hello", *detach)
        assert refused.exit_code == 1
        assert f"`wingman sessions update {session.id} --agent AGENT`" in refused.stderr
    assert wingman(url, "sessions", "update", session.id, "--agent", NAME).exit_code == 0
    assert wingman(url, "send", session.id, "!say hello").exit_code == 0


def test_lists_have_in_json_all_that_show_has(url: str) -> None:
    [made] = lines(wingman(url, "agents", "create", "Listed", "--tools", "bash, read"))
    assert made["tools"] == ["bash", "read"]
    assert made in lines(wingman(url, "agents"))
    assert lines(wingman(url, "agents", "--json")) == lines(wingman(url, "agents", "list"))
    wingman(url, "agents", "delete", made["id"])


def test_a_program_reads_how_a_run_failed(url: str, session: SyncSession) -> None:
    sent = wingman(url, "send", session.id, "fail", "--json")
    assert sent.exit_code == 3
    last = json.loads(sent.stdout.splitlines()[-1])
    assert last["event"] == "error"
    assert last["data"]["message"] == "obedient: it was told to (HTTP 500)"
    waited = wingman(url, "wait", last["run_id"], "--json")
    assert waited.exit_code == 3
    assert json.loads(waited.stdout) == last["data"]


def test_a_person_reads_how_a_run_ended(url: str, session: SyncSession) -> None:
    wingman(url, "send", session.id, "fail")
    hanging = session.submit("!hang on")
    shown = unstyled(in_terminal(url, "show", session.id))
    assert f"running {hanging.id}: !hang on" in shown
    hanging.cancel()
    told = unstyled(in_terminal(url, "logs", session.id, "--after", "0"))
    assert "The run failed: obedient: it was told to (HTTP 500)" in told
    assert told.endswith("The run was cancelled.\n")
    assert "The run was cancelled." in wingman(url, "wait", hanging.id).stderr


@pytest.mark.parametrize("given", [b"\xff", b"h\0i"])
def test_a_message_that_is_no_text_is_refused(url: str, session: SyncSession, given: bytes) -> None:
    refused = wingman(url, "send", session.id, "-", given=given)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: Standard input is no text")


def test_an_argument_that_is_no_text_is_refused(url: str, session: SyncSession) -> None:
    for command in (
        ("show", "\udcff"),
        ("send", session.id, "\udcff"),
        ("agents", "create", "\udcff"),
    ):
        refused = wingman(url, *command)
        assert refused.exit_code == 2
        assert "not UTF-8" in refused.stderr


def test_a_message_is_read_from_a_pipe_or_stands_after_two_dashes(
    url: str, session: SyncSession
) -> None:
    assert "said" in wingman(url, "send", session.id, "-", given="!say said").stdout
    dashed = CliRunner().invoke(main, ["send", "--server", url, session.id, "--", "-v?"])
    assert dashed.exit_code == 0
    assert session.history()[-2].text == "-v?"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("wingman sess", {"sessions"}),
        ("wingman sessions ", {"list", "create", "update", "delete"}),
        ("wingman agents cr", {"create"}),
        ("wingman send --det", {"--detach"}),
    ],
)
def test_words_are_completed(words: str, found: set[str]) -> None:
    place = len(words.split(" ")) - 1
    settings = {
        "_WINGMAN_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(place),
    }
    result = CliRunner().invoke(main, [], prog_name="wingman", env=settings)
    assert {line.partition(",")[2] for line in result.stdout.splitlines()} == found


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        ("bash", "{load} && complete -p wingman"),
        ("zsh", "autoload -Uz compinit && compinit -u -D && {load} && echo $_comps[wingman]"),
        ("fish", "_WINGMAN_COMPLETE=fish_source wingman | source; and complete -C 'wingman sess'"),
    ],
)
def test_a_shell_takes_its_completion(shell: str, script: str, tmp_path: Path) -> None:
    here = Path(sys.executable).parent
    if shutil.which(shell) is None or not (here / "wingman").exists():
        pytest.skip(f"{shell}, or the installed command, is not here")
    load = f'eval "$(_WINGMAN_COMPLETE={shell}_source wingman)"'
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [shell, *quiet, "-c", script.format(load=load)],
        env={**os.environ, "HOME": str(tmp_path), "PATH": f"{here}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"_wingman_completion|^sessions", done.stdout, re.MULTILINE)
