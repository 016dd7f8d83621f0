"""The pages do what they say: every code block is run as it stands, and every link leads on."""

import configparser
import importlib.util
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.pages import (
    BLOCKS,
    MYPY,
    PAGES,
    PYTHON,
    REPOSITORY,
    TIMEOUT,
    Block,
    Warm,
    commands,
    environment,
    warm_python,
)

# What a block with this mark imports is not among Wingman's own dependencies.
NEEDS = {"needs-fastapi": "fastapi"}
MISSING = {mark for mark, module in NEEDS.items() if importlib.util.find_spec(module) is None}
RUN = [block for block in PYTHON if not block.mark or block.mark in NEEDS]
WITH_CURL = [
    page
    for page in dict.fromkeys(block.page for block in BLOCKS)
    if any(command.startswith("curl ") for command in commands(page))
]


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with warm_python() as warm:
        yield warm


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_a_python_block_runs_as_it_stands(block: Block, warm: Warm, tmp_path: Path) -> None:
    if block.mark in MISSING:
        pytest.skip(f"{NEEDS[block.mark]} is not installed")
    warm.printed_by(block.code, tmp_path)


def test_a_block_that_fails_or_complains_is_told(warm: Warm, tmp_path: Path) -> None:
    assert warm.printed_by("print('well')", tmp_path) == "well\n"
    for code in ("1 / 0", "raise SystemExit(3)", "import sys; print('x', file=sys.stderr)"):
        with pytest.raises(AssertionError):
            warm.printed_by(code, tmp_path)
    with pytest.raises(AssertionError, match="was never awaited"):
        warm.printed_by("async def f(): pass\nf()", tmp_path)


def test_a_marked_python_block_compiles() -> None:
    for block in PYTHON:
        if block.mark:
            compile(block.code, block.name, "exec")


def test_the_python_blocks_are_strictly_typed(tmp_path: Path) -> None:
    for number, block in enumerate(block for block in PYTHON if block.mark not in MISSING):
        (tmp_path / f"block{number}.py").write_text(f"# {block.name}\n{block.code}")
    done = subprocess.run(
        [*MYPY, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_blocks_are_of_kinds_that_are_looked_at() -> None:
    kinds = {block.language for block in BLOCKS}
    assert kinds == {"python", "console", "json", "toml", "ini", "text"}
    assert {block.mark for block in BLOCKS} <= {
        "",
        "needs-a-key",
        "needs-a-server",
        "by-hand",
        *NEEDS,
    }
    assert len(RUN) >= 5
    assert len(commands()) >= 8


def test_data_blocks_are_what_they_say() -> None:
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.code)
        elif block.language == "toml":
            tomllib.loads(block.code)
        elif block.language == "ini":
            configparser.ConfigParser(strict=False).read_string(block.code)


def test_a_console_block_that_is_not_marked_has_only_what_a_test_runs() -> None:
    for command in commands():
        assert command.startswith(("curl ", "wingman ", "python3 -m venv ")), command


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("command", commands(marked=True))
def test_a_marked_command_is_one_for_a_shell(command: str) -> None:
    done = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_set_up_commands_are_those_that_ci_runs() -> None:
    ci = (REPOSITORY / ".ci" / "run").read_text()
    demo, tests = (command for command in commands("README.md") if "venv" in command)
    assert demo.endswith("&& .venv/bin/wingman demo")
    assert '"$bin/wingman" demo' in ci
    assert tests.endswith("pip install -q -e '.[dev]' && .venv/bin/pytest -n 3")
    assert "install --quiet -e '.[dev]'" in ci
    assert '"$bin/pytest" -n 3' in ci


@pytest.mark.parametrize(
    "command", [command for command in commands() if command.startswith("wingman run ")]
)
def test_a_wingman_run_line_does_its_work(command: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


# --- the server -----------------------------------------------------------------------------------


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
@pytest.mark.parametrize("page", WITH_CURL)
def test_the_curl_lines_of_a_page_work_in_order(page: str, server: str, tmp_path: Path) -> None:
    ids: dict[str, str] = {}
    for command in commands(page):
        if not command.startswith("curl "):
            continue
        line = command.replace("http://localhost:2323", server)
        for name, value in ids.items():
            line = line.replace(f"{{{name}}}", value)
        answer = answer_to(line, tmp_path)
        if command.endswith("/permissions"):  # the run before it has not asked for any at once
            deadline = time.monotonic() + TIMEOUT
            while not json.loads(answer):
                assert time.monotonic() < deadline, "nothing waits for an answer"
                time.sleep(0.05)
                answer = answer_to(line, tmp_path)
        check_answer(command, answer, ids)


def answer_to(line: str, home: Path) -> str:
    done = subprocess.run(
        [*shlex.split(line), "--silent", "--show-error"],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    # 28: the time that a followed stream was given is over.
    assert done.returncode in ((0, 28) if "--max-time" in line else (0,)), done.stderr
    return done.stdout


def check_answer(command: str, answer: str, ids: dict[str, str]) -> None:
    if "/metrics" in command:
        assert "wingman_runs_total" in answer
        return
    if "/events" in command or "/message/stream" in command:
        assert "event: tool_result" in answer
        assert "event: done" in answer
        return
    if "/mcp" in command and "text/event-stream" in command:
        assert answer.count("notifications/progress") >= 3
        answer = answer.splitlines()[-2].removeprefix("data: ")
    value = json.loads(answer)
    if "/mcp" in command:
        assert value["result"]["structuredContent"]["tool_calls"] == 1
        return
    if command.endswith("/permissions"):
        assert [request["resources"] for request in value] == [["date"]]
        ids["permission_id"] = value[0]["id"]
        return
    assert "error" not in value or value["error"] is None, answer
    if command.startswith("curl -X POST http://localhost:2323/agents"):
        ids["agent_id"] = value["id"]
    elif command.startswith("curl -X POST http://localhost:2323/sessions "):
        ids["session_id"] = value["id"]
    elif "/cancel" in command:
        assert [run["was"] for run in value["cancelled"]] == ["running"]
    elif "/permissions/" in command:
        assert value["status"] == "allowed"
    elif "respond-async" in command:
        assert value["status"] in ("queued", "running", "waiting")
        ids["run_id"] = value["run_id"]
    elif "/message" in command:
        assert value["stop_reason"] == "end_turn"
        assert value["tool_calls"][0]["tool_name"] == "bash"


# --- links ----------------------------------------------------------------------------------------

_LINK = re.compile(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_what_is_there(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(there), f"{page.name} links to {target}"


def test_the_index_names_every_page() -> None:
    index = (REPOSITORY / "docs" / "README.md").read_text()
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 150
