"""`wingman run` asks in a terminal; `wingman permissions` and `wingman answer` do for a server."""

import json
import os
import pty
import select
import shlex
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result

from cli.terminal import PATIENCE
from client.worlds import served
from wingman.api import NewAgent, ProviderConfig
from wingman.cli import main
from wingman.cli.rules import told
from wingman.client import SyncClient, SyncSession
from wingman.permissions import Rules

_SECRETS = ("_API_KEY", "_BASE_URL", "WINGMAN_")


@attrs.define
class Terminal:
    """A command in a terminal of its own, as a person has it."""

    pid: int
    fd: int
    seen: str = ""
    read_until: int = 0
    code: int | None = None

    def says(self, text: str) -> None:
        """Wait until it says so, after what it was last waited for."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen[self.read_until :]:
            assert time.monotonic() < end, self.seen
            if not self._read(0.1):
                raise AssertionError(f"it has ended without {text!r}: {self.seen}")
        self.read_until = self.seen.index(text, self.read_until) + len(text)

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        end = time.monotonic() + PATIENCE
        while self._read(0.1):
            assert time.monotonic() < end, self.seen
        _, status = os.waitpid(self.pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if ready:
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # its other side is closed
                return False
            if not data:
                return False
            self.seen += data.decode(errors="replace").replace("\r\n", "\n")
        return True


@contextmanager
def terminal(*arguments: str, cwd: Path, **environment: str) -> Iterator[Terminal]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not any(secret in name for secret in _SECRETS) and name not in ("VISUAL", "EDITOR")
    }
    env = {**clean, "HOME": str(cwd), "NO_COLOR": "1", "TERM": "xterm", **environment}
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(sys.executable, [sys.executable, "-m", "wingman", *arguments], env)
    command = Terminal(pid, fd)
    try:
        yield command
    finally:
        if command.code is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(fd)


ASKS = "[e] edit "


def test_three_parallel_calls_are_asked_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("old\nsame\n")
    message = (
        "!bash echo ran > one.txt\n"
        '!write {"path": "there.txt", "content": "new\\nsame\\n"}\n'
        "!read there.txt"
    )
    with terminal("run", "--provider", "scripted", message, cwd=tmp_path) as command:
        command.says("? bash needs your permission:\n  $ echo ran > one.txt\n")
        command.says("always would allow")
        command.says(ASKS)
        assert not (tmp_path / "one.txt").exists()
        command.type("y")
        command.says("? write (edit) needs your permission:\n  there.txt\n")
        command.says("-old\n  +new\n")
        command.says(ASKS)
        command.type("w")
        command.says("What is the model told? ")
        command.type("use other.txt\n")
        command.says("the user rejected this call, and says: use other.txt")
        assert command.ended() == 0
    assert (tmp_path / "one.txt").read_text() == "ran\n"
    assert (tmp_path / "there.txt").read_text() == "old\nsame\n"


def test_always_is_not_asked_again_and_no_is_no(tmp_path: Path) -> None:
    message = "!bash touch one\n---\n!bash touch one\n---\n!bash touch two"
    with terminal("run", "--provider", "scripted", message, cwd=tmp_path) as command:
        command.says(ASKS)
        command.type("a")
        command.says("$ touch two")
        command.says(ASKS)
        command.type("n")
        assert command.ended() == 0
        assert command.seen.count("needs your permission") == 2
    assert sorted(file.name for file in tmp_path.glob("*")) == ["one"]


def test_a_key_that_means_nothing_asks_again(tmp_path: Path) -> None:
    with terminal("run", "--provider", "scripted", "!bash touch one", cwd=tmp_path) as command:
        for keys in ("x", "\x1b[A", "yup", "\n"):
            command.says(ASKS)
            command.type(keys)
        command.says(ASKS)
        assert not (tmp_path / "one").exists()
        command.type("yes\n")
        assert command.ended() == 0
    assert (tmp_path / "one").exists()


def test_a_command_is_edited_in_a_line_where_there_is_no_editor(tmp_path: Path) -> None:
    with terminal("run", "--provider", "scripted", "!bash touch one", cwd=tmp_path) as command:
        command.says(ASKS)
        command.type("e")
        command.says("The command to run instead")
        command.type("touch two\n")
        assert command.ended() == 0
    assert [file.name for file in tmp_path.glob("*")] == ["two"]


def test_an_input_is_edited_in_the_editor_until_it_is_valid(tmp_path: Path) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import json, pathlib, sys\n"
        "count = pathlib.Path('count')\n"
        "text = ['no JSON', json.dumps({'command': 7}), json.dumps({'command': 'touch two'})]\n"
        "done = len(count.read_text()) if count.exists() else 0\n"
        "pathlib.Path(sys.argv[1]).write_text(text[done])\n"
        "count.write_text('.' * (done + 1))\n"
    )
    visual = shlex.join((sys.executable, str(editor)))
    arguments = ("run", "--provider", "scripted", "!bash touch one")
    with terminal(*arguments, cwd=tmp_path, VISUAL=visual) as command:
        for said in ("malformed", "command", None):
            command.says(ASKS)
            command.type("e")
            if said is not None:
                command.says(said)
        assert command.ended() == 0
    assert (tmp_path / "two").exists()
    assert not (tmp_path / "one").exists()


def test_ctrl_c_at_the_prompt_cancels_the_run_and_leaves_the_terminal_as_it_was(
    tmp_path: Path,
) -> None:
    with terminal("run", "--provider", "scripted", "!bash touch one", cwd=tmp_path) as command:
        before = termios.tcgetattr(command.fd)
        command.says(ASKS)
        assert termios.tcgetattr(command.fd) != before
        command.type("\x03")
        command.says("Cancelled, stopped in")
        after = termios.tcgetattr(command.fd)
        assert command.ended() == 130
    assert after == before
    assert not (tmp_path / "one").exists()


def test_what_is_shown_cannot_take_over_the_terminal(tmp_path: Path) -> None:
    evil = json.dumps({"command": "echo \x1b[2J\x1b]0;owned\x07 \u202e \x9b31m"})
    with terminal("run", "--provider", "scripted", f"!bash {evil}", cwd=tmp_path) as command:
        command.says(ASKS)
        for character in ("\x1b[2J", "\x1b]", "\x07", "\u202e", "\x9b"):
            assert character not in command.seen
        command.type("n")
        assert command.ended() == 0


@pytest.mark.parametrize("option", [("--yes",), ("--permissions", "allow")])
def test_with_yes_nothing_is_asked(tmp_path: Path, option: tuple[str, ...]) -> None:
    arguments = ("run", "--provider", "scripted", *option, "!bash touch one")
    with terminal(*arguments, cwd=tmp_path) as command:
        assert command.ended() == 0
        assert "permission" not in command.seen
    assert (tmp_path / "one").exists()


def run(*arguments: str, **settings: Any) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False, **settings)


def test_without_a_terminal_all_is_allowed_unless_rules_are_given(tmp_path: Path) -> None:
    base = ("run", "--provider", "scripted", "--work-dir", str(tmp_path))
    assert run(*base, "!bash touch one").exit_code == 0
    asked = run(*base, "--permissions", "ask", "!bash touch two")
    assert asked.exit_code == 0
    assert "There is no terminal to ask in" in asked.stderr
    assert "nobody can be asked" in asked.stdout
    assert [file.name for file in tmp_path.glob("*")] == ["one"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"bash": {"*": "maybe"}}', "at 'bash': '*': Invalid enum value 'maybe'"),
        ('{"bash": "ask",}', "line 1 column 16"),
        ('[{"action": "bash", "effect": "no"}]', "`$[0].effect`"),
        ("7", "got `int`"),
        ("null", "it has no rules"),
        ('{"bash": "\xff', "rules.json: "),
        ("[" * 100_000, "rules.json: "),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("run", "hello")])
def test_a_mistake_in_a_file_of_rules_is_told_with_its_place(
    tmp_path: Path, text: str, said: str, command: tuple[str, ...]
) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(text.encode("latin-1"))
    wrong = run(*command, "--permissions", str(path))
    assert wrong.exit_code == 2
    [line] = [line for line in wrong.stderr.splitlines() if line.startswith("Error: ")]
    assert str(path) in line
    assert said in line
    assert run(*command, "--permissions", str(tmp_path / "nothing")).exit_code == 2


def test_rules_are_told_in_a_line() -> None:
    assert told(Rules()) == told(Rules.of("allow")) == "all tools allowed"
    rules = Rules.of({"bash": {"*": "ask", "ls *": "allow"}, "webfetch": "deny"})
    assert told(rules) == "ask bash, allow bash 'ls *', deny webfetch"
    assert told(Rules.of({f"t{n}": "ask" for n in range(9)})).endswith("and 4 more rules")


# --- a server's ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture
def session(url: str, tmp_path: Path) -> Iterator[SyncSession]:
    with SyncClient(url) as client:
        fields = NewAgent(
            name="Asked",
            tools=("bash",),
            provider=ProviderConfig("scripted"),
            permissions={"bash": "ask"},
        )
        agent = client.agents.create(fields)
        yield client.create_session(agent.id, work_dir=tmp_path)
        client.agents.delete(agent.id)


def waiting(session: SyncSession, number: int) -> list[str]:
    """The requests of a session, once so many wait, in the order of its calls."""
    end = time.monotonic() + PATIENCE
    while len(found := session.permissions()) < number:
        assert time.monotonic() < end
        time.sleep(0.02)
    return [request.id for request in sorted(found, key=lambda request: request.id)]


def test_what_waits_is_listed_and_answered(url: str, session: SyncSession, tmp_path: Path) -> None:
    sent = session.submit("!bash touch one\n!bash touch two\n!bash touch three")
    ids = waiting(session, 3)
    at = ("--server", url)
    listed = run("permissions", "--session", session.id, *at)
    requests = {row["id"]: row for row in map(json.loads, listed.stdout.splitlines())}
    assert set(requests) == set(ids)
    by_command = {row["resources"][0]: id for id, row in requests.items()}
    assert run("answer", by_command["touch one"], "once", *at).exit_code == 0
    rejected = run("answer", by_command["touch two"], "reject", "--message", "not that", *at)
    assert json.loads(rejected.stdout)["status"] == "rejected"
    edited = run("answer", by_command["touch three"], "once", *at, "--input", '{"command": 7}')
    assert edited.exit_code == 1
    assert edited.stderr.startswith("Error: ")
    assert [json.loads(line)["status"] for line in run("ps", *at).stdout.splitlines()] == [
        "waiting"
    ]
    ends = run(
        "answer", by_command["touch three"], "once", *at, "--input", '{"command": "touch 4"}'
    )
    assert ends.exit_code == 0
    result = sent.result()
    assert "not that" in result.tool_calls[1].output
    assert sorted(file.name for file in tmp_path.glob("*")) == ["4", "one"]
    late = run("answer", by_command["touch one"], "reject", *at)
    assert late.exit_code == 1
    assert "waits for no answer any more" in late.stderr
    assert run("permissions", "--session", session.id, *at).stdout == ""
    assert len(run("permissions", "--session", session.id, "--all", *at).stdout.splitlines()) == 3
    assert run("answer", "nobody", "once", *at).exit_code == 6
    assert run("answer", ids[0], "once", *at, "--input", "7").exit_code == 2


def test_a_person_sees_a_table_and_how_to_answer(
    url: str, session: SyncSession, tmp_path: Path
) -> None:
    sent = session.submit("!bash touch one")
    [id] = waiting(session, 1)
    with terminal("permissions", "--server", url, cwd=tmp_path) as command:
        command.says("touch one")
        assert command.ended() == 0
        assert id in command.seen
    with terminal("ps", "--server", url, cwd=tmp_path) as command:
        command.says("waiting")
        command.says("`wingman permissions`")
        assert command.ended() == 0
    with terminal("show", session.id, "--server", url, cwd=tmp_path) as command:
        command.says(f"`wingman permissions --session {session.id}`")
        assert command.ended() == 0
    logs = run("logs", session.id, "--after", "0", "--server", url)
    assert "permission_requested" in logs.stdout
    sent.cancel()


def test_a_message_to_a_server_asks_in_the_terminal_and_an_answer_from_elsewhere_withdraws_it(
    url: str, session: SyncSession, tmp_path: Path
) -> None:
    message = "!bash touch one\n!bash touch two"
    with terminal("send", session.id, message, "--server", url, cwd=tmp_path) as command:
        command.says("$ touch one")
        command.says(ASKS)
        [first, _] = waiting(session, 2)
        session.answer(first, "once")
        command.says("It waits for no answer any more.")
        command.says("$ touch two")
        command.says(ASKS)
        command.type("y")
        assert command.ended() == 0
    assert sorted(file.name for file in tmp_path.glob("*")) == ["one", "two"]


def test_a_run_on_a_server_asks_as_one_here_does(url: str, tmp_path: Path) -> None:
    arguments = ("run", "--provider", "scripted", "--server", url, "!bash touch one")
    with terminal(*arguments, cwd=tmp_path) as command:
        command.says("$ touch one")
        command.says(ASKS)
        command.type("y")
        assert command.ended() == 0
    assert (tmp_path / "one").exists()


ASKING_TOOL = '''
from wingman import ToolContext, tool

SCHEMA = {
    "type": "object",
    "properties": {
        "branch": {"type": "string", "description": "where to"},
        "force": {"type": "boolean"},
        "times": {"type": "integer"},
    },
    "required": ["branch"],
}

@tool
async def push(text: str, context: ToolContext) -> str:
    """Push."""
    answer = await context.elicit("Push \\x1b[31mwhere?", SCHEMA)
    return f"the answer was {answer}"
'''

ASKING_CONFIG = """
[tools]
path = ["tools"]
import = ["pusher:push"]

[agents.helper]
provider = { id = "scripted" }
tools = ["push"]
permissions = { push = "allow" }
"""


def test_a_question_of_a_tool_is_answered_field_by_field(tmp_path: Path) -> None:
    home = tmp_path / ".config" / "wingman"
    (home / "tools").mkdir(parents=True)
    (home / "tools" / "pusher.py").write_text(ASKING_TOOL)
    (home / "wingman.toml").write_text(ASKING_CONFIG)
    with terminal("run", "--agent", "helper", "!push now", cwd=tmp_path) as command:
        command.says("? push asks you:\n  Push ")
        command.says("[n] no ")
        assert "\x1b[31m" not in command.seen
        command.type("y")
        command.says("branch (where to, string): ")
        command.type("\n")
        command.says("force (boolean): ")
        command.type("no\n")
        command.says("times (integer): ")
        command.type("two\n")
        command.says("does not fit the question's")
        command.says("[n] no ")
        command.type("y")
        command.says("branch (where to, string): ")
        command.type("main\n")
        command.says("force (boolean): ")
        command.type("no\n")
        command.says("times (integer): ")
        command.type("2\n")
        command.says("the answer was {'branch': 'main', 'force': False, 'times': 2}")
        assert command.ended() == 0
