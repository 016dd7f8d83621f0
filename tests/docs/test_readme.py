"""The README does what it says: every code block is run as it stands."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
CONSOLE = [code for language, code in BLOCKS if language == "console"]
TIMEOUT = 60


def environment(home: Path) -> dict[str, str]:
    """No key of whoever runs the tests, and a home of our own."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
    bin_dir = str(Path(sys.executable).parent)
    return {
        **kept,
        "HOME": str(home),
        "PATH": f"{bin_dir}:{kept['PATH']}",
        "PYTHONWARNINGS": "error",
    }


def commands() -> list[str]:
    """The commands of the console blocks, each whole, without what they print."""
    found = []
    for block in CONSOLE:
        lines = iter(block.splitlines())
        for line in lines:
            if line.startswith("$ "):
                command = line[2:]
                while command.endswith("\\"):
                    command = command[:-1] + next(lines)
                found.append(command)
    return found


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_a_python_block_runs_as_it_stands(number: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PYTHON[number]],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_python_blocks_are_strictly_typed(tmp_path: Path) -> None:
    for number, code in enumerate(PYTHON):
        (tmp_path / f"block{number}.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_blocks_are_of_kinds_that_are_run() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "console", "json"}
    assert len(PYTHON) >= 5
    assert len(commands()) >= 8


def test_json_blocks_are_json() -> None:
    for language, code in BLOCKS:
        if language == "json":
            json.loads(code)


def test_the_set_up_commands_are_those_that_ci_runs() -> None:
    ci = (REPOSITORY / ".ci" / "run").read_text()
    demo, tests = (command for command in commands() if "venv" in command)
    assert demo.endswith("&& .venv/bin/wingman demo")
    assert '"$bin/wingman" demo' in ci
    assert tests.endswith("pip install -q -e '.[dev]' && .venv/bin/pytest -n 2")
    assert "install --quiet -e '.[dev]'" in ci
    assert '"$bin/pytest" -n 2' in ci


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """`wingman serve` as the README has it, but for a free port; its base URL."""
    serve = next(command for command in commands() if command.startswith("wingman serve"))
    process = subprocess.Popen(
        [sys.executable, "-m", *shlex.split(serve), "--port", "0", "--grace", "1"],
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"listens on (http://\S+)", line):
                yield found.group(1)
                break
        else:
            pytest.fail("the server did not say where it listens")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines_work_in_order(server: str, tmp_path: Path) -> None:
    ids: dict[str, str] = {}
    for command in commands():
        if not command.startswith("curl "):
            continue
        line = command.replace("http://localhost:2323", server)
        for name, value in ids.items():
            line = line.replace(f"{{{name}}}", value)
        done = subprocess.run(
            [*shlex.split(line), "--silent", "--show-error"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        # 28: the time that a followed stream was given is over.
        assert done.returncode in ((0, 28) if "--max-time" in line else (0,)), done.stderr
        check_answer(command, done.stdout, ids)


def check_answer(command: str, answer: str, ids: dict[str, str]) -> None:
    if "/events" in command or "/message/stream" in command:
        assert "event: tool_result" in answer
        assert "event: done" in answer
        return
    value = json.loads(answer)
    assert "error" not in value, answer
    if command.startswith("curl -X POST http://localhost:2323/agents"):
        ids["agent_id"] = value["id"]
    elif command.startswith("curl -X POST http://localhost:2323/sessions "):
        ids["session_id"] = value["id"]
    elif "/cancel" in command:
        assert [run["was"] for run in value["cancelled"]] == ["running"]
    elif "respond-async" in command:
        assert value["status"] in ("queued", "running")
    elif "/message" in command:
        assert value["stop_reason"] == "end_turn"
        assert value["tool_calls"][0]["tool_name"] == "bash"
