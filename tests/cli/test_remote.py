"""A server from the terminal: lists, events, messages, cancels, and exit codes for scripts."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from client.troupe import NAME
from client.worlds import served
from wingman.cli import main
from wingman.client import SyncClient, SyncSession


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture
def session(url: str) -> Iterator[SyncSession]:
    with SyncClient(url) as client:
        session = client.create_session(NAME, title="Mine")
        yield session
        session.cancel(queued=True)


def wingman(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--server", url])


def lines(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def started(session: SyncSession) -> str:
    """A run that hangs in its tool; its id."""
    with session.follow() as events:
        run = session.submit("!hang on")
        for news in events:
            if getattr(news, "event", None) is not None and news.event.kind == "tool_progress":  # type: ignore[union-attr]
                return run.id
    raise AssertionError


def test_ps_says_what_runs_and_what_waits(url: str, session: SyncSession) -> None:
    run_id = started(session)
    waiting = session.submit("!say later")
    rows = {row["run"]: row for row in lines(wingman(url, "ps"))}
    row = rows[run_id]
    assert (row["session"], row["status"], row["agent"]) == (session.id, "running", NAME)
    assert (row["step"], row["tool"], row["model"]) == (1, "hang", "obedient/obedient-1")
    assert rows[waiting.id]["status"] == "queued"


def test_console_prints_the_address_and_where_there_is_a_token_a_link(url: str) -> None:
    assert wingman(url, "console").stdout == f"{url}/\n"
    with served(token="secret") as guarded:
        printed = [wingman(guarded, "console", "--token", "secret").stdout for _ in range(2)]
        assert all(line.startswith(f"{guarded}/#link=") for line in printed)
        assert printed[0] != printed[1]
        refused = wingman(guarded, "console", "--token", "wrong")
        assert (refused.exit_code, refused.stdout) == (1, "")
        with SyncClient(guarded, "secret") as client:
            assert client.console_link().startswith(f"{guarded}/#link=")


def test_a_terminal_gets_tables_that_nothing_foreign_takes_over(
    url: str, session: SyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SyncClient(url) as client:
        client.update_session(session.id, title="\x1b[2J[red]evil\n")
    assert lines(wingman(url, "sessions"))  # no terminal, no table
    monkeypatch.setattr("wingman.cli.remote.output.for_people", lambda json: True)
    shown = wingman(url, "sessions").stdout
    assert "STATUS" in shown
    assert "\x1b[2J" not in shown
    assert "[red]evil" in shown


def test_sessions_and_show_have_all_of_it(url: str, session: SyncSession) -> None:
    session.run("!say hello")
    found = {row["session"]: row for row in lines(wingman(url, "sessions"))}
    assert found[session.id]["title"] == "Mine"
    assert len(lines(wingman(url, "sessions", "--limit", "1"))) == 1
    [shown] = lines(wingman(url, "show", session.id))
    assert [message["role"] for message in shown["history"]][:2] == ["user", "assistant"]


def test_show_is_readable(url: str, session: SyncSession, monkeypatch: pytest.MonkeyPatch) -> None:
    session.run("!say hello")
    monkeypatch.setattr("wingman.cli.remote.sessions.for_people", lambda json: True)
    shown = wingman(url, "show", session.id).stdout
    assert "> !say hello" in shown
    assert '→ say {"text": "hello"}' in shown
    assert "← hello" in shown


def test_logs_have_the_events_after_an_id(url: str, session: SyncSession) -> None:
    session.run("!say hello")
    [first, *rest] = lines(wingman(url, "logs", session.id, "--after", "0"))
    assert first["event"] in ("step", "resync")
    assert rest[-1]["event"] == "done"
    assert [row["id"] for row in rest] == sorted(row["id"] for row in rest)
    after = lines(wingman(url, "logs", session.id, "--after", str(rest[-2]["id"])))
    assert [row["event"] for row in after] == ["done"]


def test_send_shows_the_run_and_its_exit_code_says_how_it_ended(
    url: str, session: SyncSession
) -> None:
    sent = wingman(url, "send", session.id, "!say hello")
    assert sent.exit_code == 0
    assert "hello" in sent.stdout
    assert "→ say" in sent.stderr
    events = lines(wingman(url, "send", session.id, "!say hello", "--json"))
    assert events[-1]["event"] == "done"
    failed = wingman(url, "send", session.id, "fail")
    assert failed.exit_code == 3
    assert failed.stderr.endswith("Error: obedient: it was told to (HTTP 500)\n")
    assert wingman(url, "send", session.id, " ").exit_code == 2


def test_cancel_prints_the_receipt(url: str, session: SyncSession) -> None:
    run_id = started(session)
    waiting = session.submit("!say later")
    [receipt] = lines(wingman(url, "cancel", waiting.id))
    assert [run["was"] for run in receipt["cancelled"]] == ["queued"]
    [receipt] = lines(wingman(url, "cancel", session.id, "--queued"))
    assert [run["run_id"] for run in receipt["cancelled"]] == [run_id]
    assert lines(wingman(url, "cancel", session.id)) == [{"cancelled": []}]


def test_wait_waits_and_says_how_it_ended(url: str, session: SyncSession) -> None:
    [sent] = lines(wingman(url, "send", session.id, "!say hello", "--detach"))
    waited = wingman(url, "wait", sent["run_id"])
    assert waited.exit_code == 0
    assert "hello" in waited.stdout
    run_id = started(session)
    session.cancel()
    assert wingman(url, "wait", run_id).exit_code == 4
    assert wingman(url, "wait", session.submit("fail").id).exit_code == 3


def test_agents_are_made_changed_and_deleted(url: str) -> None:
    [made] = lines(
        wingman(url, "agents", "create", "Tester", "--provider", "scripted", "--tools", "bash,read")
    )
    assert made["tools"] == ["bash", "read"]
    assert made["id"] in [row["id"] for row in lines(wingman(url, "agents", "list"))]
    [changed] = lines(wingman(url, "agents", "update", "Tester", "--tools", "none"))
    assert changed["tools"] == []
    assert lines(wingman(url, "agents", "show", made["id"])) == [changed]
    assert wingman(url, "agents", "delete", "Tester").exit_code == 0
    assert wingman(url, "agents", "show", "Tester").exit_code == 6


def test_run_on_a_server_leaves_nothing_there(url: str) -> None:
    before = len(lines(wingman(url, "sessions")))
    done = wingman(url, "run", "!bash echo hello", "--provider", "scripted")
    assert done.exit_code == 0, done.output
    assert "hello" in done.stdout
    assert len(lines(wingman(url, "sessions"))) == before
    assert "wingman run" not in [row["name"] for row in lines(wingman(url, "agents", "list"))]


@pytest.mark.parametrize(
    "command", [("show", "x"), ("logs", "x"), ("send", "x", "hi"), ("cancel", "x"), ("wait", "x")]
)
def test_what_is_not_there_is_one_line_and_its_exit_code(url: str, command: list[str]) -> None:
    result = wingman(url, *command)
    assert result.exit_code == 6
    assert result.stderr.startswith("Error: There is no ")
    assert result.stderr.count("\n") == 1


def test_a_server_that_is_not_there_is_one_line_that_says_what_to_do() -> None:
    result = wingman("http://127.0.0.1:9", "ps")
    assert result.exit_code == 7
    assert result.stderr.count("\n") == 1
    assert "wingman serve" in result.stderr
    assert wingman("nonsense", "ps").exit_code == 1


def process(url: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "wingman", *arguments, "--server", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_logs_and_cancels_what_send_has_started(url: str, session: SyncSession) -> None:
    sending = process(url, "send", session.id, "!hang on", "--json")
    assert sending.stdout is not None
    assert any('"tool_progress"' in line for line in sending.stdout)
    following = process(url, "logs", "-f", session.id)
    assert following.stdout is not None
    assert following.stdout.readline()
    following.send_signal(signal.SIGINT)
    _, noted = following.communicate(timeout=20)
    assert (following.returncode, noted) == (130, "")
    sending.send_signal(signal.SIGINT)
    _, noted = sending.communicate(timeout=20)
    assert sending.returncode == 130
    assert "Cancelled, stopped in" in noted
    assert session.describe().status == "idle"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_the_commands(shell: str) -> None:
    result = CliRunner().invoke(
        main, [], prog_name="wingman", env={"_WINGMAN_COMPLETE": f"{shell}_source"}
    )
    assert "_WINGMAN_COMPLETE" in result.stdout
    assert f"{shell}_complete" in result.stdout
