"""A command line is parsed in a process that may crash, or be killed: then it is asked about."""

from pathlib import Path
from typing import Any

import pytest

from wingman.permissions import apart, parse_apart
from wingman.permissions.shell import CommandLine, parse
from wingman.processes import WorkerFailed

UNKNOWN = CommandLine((), complete=False)


@pytest.mark.parametrize(
    "line",
    [
        "git status && ls *.py > 'a b' 2>&1",
        "echo $(rm x) \"$HOME\" '\u00e9\u4e2d'",
        "cd /tmp; cat < x",
        "",
        "\0",
        "if true; then rm \U0001f600; fi",
    ],
)
async def test_the_process_tells_what_the_parser_does(line: str) -> None:
    assert await parse_apart([line]) == {line: parse(line)}


async def test_many_lines_are_told_together() -> None:
    lines = [f"git log -{number} && echo 'x{number}'" for number in range(150)]
    assert await parse_apart(lines) == {line: parse(line) for line in lines}


async def test_a_line_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = await parse_apart(["ls -la"])
    monkeypatch.delattr(apart, "run_worker")
    assert (await parse_apart(["ls -la"]))["ls -la"] is first["ls -la"]


async def test_of_a_line_that_crashes_its_parser_nothing_is_told_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = apart.run_worker

    async def crash(program: Path, options: Any, data: bytes, **more: Any) -> bytes:
        if b"boom" in data:
            raise WorkerFailed("it crashed")
        return await real(program, options, data, **more)

    with monkeypatch.context() as patch:
        patch.setattr(apart, "run_worker", crash)
        told = await parse_apart(["git log", "boom", "ls"])
        assert {line for line, each in told.items() if each.complete} == {"git log", "ls"}
        assert told["boom"] == UNKNOWN
    assert (await parse_apart(["boom"]))["boom"].complete


async def test_of_what_is_no_text_or_too_long_nothing_is_told() -> None:
    for line in ("ls \ud800", "ls " + "x" * 100_000):
        assert await parse_apart([line]) == {line: UNKNOWN}
