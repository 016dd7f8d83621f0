"""How a run looks in a terminal."""

import pytest

from wingman.cli.console import Console
from wingman.conversation import NO_USAGE
from wingman.events import Result, Text, Thinking, ToolResult, ToolUse


def test_a_tool_call_begins_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.show(Text("Let me "))
    console.show(Text("look."))
    console.show(ToolUse("1", "bash", {"command": "ls"}))
    out, err = capsys.readouterr()
    assert out == "Let me look.\n"
    assert err == '→ bash {"command": "ls"}\n'


def test_a_long_result_is_shown_by_its_first_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show(ToolResult("1", "\n".join("abcdefgh"), is_error=False))
    assert capsys.readouterr().err == "← a\n  b\n  c\n  d\n  e\n  … 3 more lines\n"


def test_verbose_shows_whole_results_and_thinking(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(verbose=True)
    console.show(Thinking("Hm"))
    console.show(ToolResult("1", "\n".join("abcdefgh"), is_error=False))
    err = capsys.readouterr().err
    assert err.startswith("Hm\n← a\n")
    assert err.endswith("  h\n")


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.show(ToolUse("1", "bash", {"command": "printf '\x1b[2J'"}))
    console.show(ToolResult("1", "\x1b[2Jclear\x07\r\n\x9b1m", is_error=False))
    assert not {"\x1b", "\x07", "\r", "\x9b"} & set(capsys.readouterr().err)


def test_piped_text_is_what_the_model_said(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show(Text("\x1b[1mbold\n"))
    assert capsys.readouterr().out == "\x1b[1mbold\n"


def test_a_run_that_ends_early_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    Console().summary(Result("r", "", "step_limit", 50, (), NO_USAGE))
    assert "The run ended early: step limit." in capsys.readouterr().err
