"""A command line is parsed in a process that may crash, or be killed: then it is asked about."""

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
    assert await parse_apart(line) == parse(line)


async def test_a_line_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = await parse_apart("ls -la")
    monkeypatch.delattr(apart, "run_worker")
    assert await parse_apart("ls -la") is first


async def test_of_a_line_that_crashes_its_parser_nothing_is_told_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def crash(*_: object, **__: object) -> bytes:
        raise WorkerFailed("it crashed")

    with monkeypatch.context() as patch:
        patch.setattr(apart, "run_worker", crash)
        assert await parse_apart("git log") == UNKNOWN
    assert (await parse_apart("git log")).complete


async def test_of_what_is_no_text_or_too_long_nothing_is_told() -> None:
    assert await parse_apart("ls \ud800") == UNKNOWN
    assert await parse_apart("ls " + "x" * 100_000) == UNKNOWN
