"""What the log is told of runs, steps, tool calls and cancels: ids, times, outcomes, counts."""

import logging
from typing import Any

import pytest
import trio

from session_kit import agent, say
from wingman import Agent, Runtime, Session, Usage
from wingman.errors import ProviderRejected, ToolError
from wingman.providers import Finished, TextDelta, UsageUpdate
from wingman.providers.scripted import Scripted, ToolCalls
from wingman.telemetry.events import LogEvent
from wingman.tools import tool

Entry = tuple[str, dict[str, Any]]


def told(caplog: pytest.LogCaptureFixture) -> list[Entry]:
    """The events at info, with their fields, times taken out."""
    found = []
    for record in caplog.records:
        if isinstance(record.msg, LogEvent) and record.levelno == logging.INFO:
            fields = dict(record.msg.fields)
            for name in ("ms", "waited_ms"):
                assert fields.pop(name, 0.0) >= 0
            found.append((record.msg.event, fields))
    return found


def named(entries: list[Entry], event: str) -> list[dict[str, Any]]:
    return [fields for name, fields in entries if name == event]


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wingman")


async def test_a_run_is_a_line_at_its_start_each_step_each_call_and_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tool
    async def fail(text: str) -> str:
        """Fail."""
        raise ToolError(text)

    calls = ToolCalls(("say", {"text": "hi"}), ("fail", {"text": "no"}))
    helper = agent([calls, "Done."], tools=[say, fail])
    async with Session(helper) as session:
        result = await session.run("go")
        ids = {"session_id": session.id, "run_id": result.run_id}
    entries = told(caplog)
    assert [name for name, _ in entries] == [
        "run started",
        "tool call ended",
        "tool call ended",
        "step ended",
        "step ended",
        "run ended",
    ]
    assert all(fields.items() >= ids.items() for _, fields in entries)
    (started,) = named(entries, "run started")
    assert started == {
        **ids,
        "agent_id": helper.name,
        "provider": helper.provider.id,
        "model": helper.provider.model,
    }
    outcomes = {call["tool"]: call["outcome"] for call in named(entries, "tool call ended")}
    assert outcomes == {"say": "ok", "fail": "error"}
    assert {call["tool_use_id"] for call in named(entries, "tool call ended")} == {
        call.id for call in result.tool_calls
    }
    first, second = named(entries, "step ended")
    assert (first["step"], first["outcome"], first["tool_calls"]) == (1, "tool_use", 2)
    assert (second["step"], second["outcome"], second["tool_calls"]) == (2, "end_turn", 0)
    (ended,) = named(entries, "run ended")
    assert ended == {
        **ids,
        "outcome": "completed",
        "stop_reason": "end_turn",
        "steps": 2,
        "input_tokens": result.usage.input_tokens,
        "output_tokens": result.usage.output_tokens,
    }
    assert first["input_tokens"] + second["input_tokens"] == result.usage.input_tokens
    assert first["output_tokens"] + second["output_tokens"] == result.usage.output_tokens


async def test_milliseconds_are_those_that_it_took(
    caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    calls = ToolCalls(("wait", {"seconds": 2}), ("wait", {"seconds": 3}))
    async with Session(agent([calls, "Done."])) as session:
        await session.run("go")
    took = {
        (record.msg.event, record.msg.fields.get("tool_use_id")): record.msg.fields["ms"]
        for record in caplog.records
        if isinstance(record.msg, LogEvent) and record.msg.fields.get("step") == 1
    }
    assert sorted(took.values()) == [2000.0, 3000.0, 3000.0]


async def test_a_cancel_is_a_line_with_its_receipts_outcome(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = ToolCalls(("wait", {"seconds": 1000}), ("wait", {"seconds": 1000}))
    async with Session(agent([calls, "Done."])) as session:
        run = await session.submit("go")
        with trio.fail_after(5):
            while not (run._live and run._live.state.calls):  # noqa: ASYNC110
                await trio.sleep(0.001)
        await session.cancel()
        await session.cancel()
    entries = told(caplog)
    (cancelled,) = named(entries, "run cancelled")
    assert cancelled == {
        "session_id": run.session_id,
        "run_id": run.id,
        "was": "running",
        "outcome": "cancelled",
        "tools_stopped": 2,
        "tools_still_running": 0,
    }
    assert [call["outcome"] for call in named(entries, "tool call ended")] == ["stopped"] * 2
    assert [step["outcome"] for step in named(entries, "step ended")] == ["cut"]
    (ended,) = named(entries, "run ended")
    assert (ended["outcome"], ended["stop_reason"]) == ("cancelled", "cancelled")
    assert named(entries, "nothing to cancel") == [{"session_id": run.session_id}]


async def test_a_cancel_of_one_call_and_of_a_queued_run_are_lines_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = ToolCalls(("wait", {"seconds": 1000}))
    async with Session(agent([calls, "Done."])) as session:
        run = await session.submit("go")
        queued = await session.submit("and go")
        await queued.cancel()
        with trio.fail_after(5):
            while not (run._live and run._live.state.calls):  # noqa: ASYNC110
                await trio.sleep(0.001)
        (id,) = run._live.state.calls.calls
        await run.cancel_tool(id)
        await run.wait()
    entries = told(caplog)
    (of_the_run,) = named(entries, "run cancelled")
    assert (of_the_run["run_id"], of_the_run["was"]) == (queued.id, "queued")
    (of_the_call,) = named(entries, "tool call cancelled")
    assert (of_the_call["tool_use_id"], of_the_call["outcome"]) == (id, "stopped")
    ends = {end["run_id"]: end["outcome"] for end in named(entries, "run ended")}
    assert ends == {queued.id: "cancelled", run.id: "completed"}


async def test_a_failure_is_told_by_its_code_and_the_providers_ids(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refusing:
        id, model = "refusing", "m-1"

        async def stream(self, request: Any, transport: Any) -> Any:
            yield TextDelta("Half")
            yield UsageUpdate(Usage(7, 3))
            raise ProviderRejected(
                "what you have sent: go",
                provider="refusing",
                status=400,
                error_type="bad_request",
                request_id="req_1",
            )
            yield Finished("end_turn")

    async with Session(Agent("a", provider=Refusing())) as session:
        with pytest.raises(ProviderRejected):
            await session.run("go")
    entries = told(caplog)
    (step,) = named(entries, "step ended")
    assert step["outcome"] == "cut"
    assert (step["provider"], step["model"]) == ("refusing", "m-1")
    (ended,) = named(entries, "run ended")
    assert (
        ended.items()
        >= {
            "outcome": "failed",
            "error": "provider_error",
            "provider_status": 400,
            "provider_error": "bad_request",
            "provider_request_id": "req_1",
            "input_tokens": 7,
            "output_tokens": 3,
        }.items()
    )
    assert "what you have sent" not in caplog.text


async def test_a_run_that_a_restart_finds_cut_off_is_told_at_its_end(
    caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    helper = Agent("a", provider=Scripted(["one", "two"]))
    async with Runtime(tmp_path / "w.db", agents=[helper]) as runtime:
        session = await runtime.create_session(helper)
        await session.run("go")
    caplog.clear()
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "w.db")) as connection, connection:
        connection.execute("UPDATE runs SET status = 'running', result = NULL, ended_at = NULL")
    async with Runtime(tmp_path / "w.db", agents=[helper]):
        pass
    (ended,) = named(told(caplog), "run ended")
    assert ended["outcome"] == "interrupted"


async def test_the_library_is_silent_and_makes_no_lines_where_nobody_listens(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.WARNING, "wingman")
    async with Session(agent(["Done."])) as session:
        await session.run("go")
    assert caplog.records == []
    assert capfd.readouterr().err == ""


def test_a_program_that_has_not_set_up_logging_sees_no_warnings() -> None:
    import subprocess
    import sys

    program = (
        "import logging, wingman\n"
        "logging.getLogger('wingman.run').error('a bug')\n"
        "assert not logging.getLogger().handlers\n"
        "logging.basicConfig(level='INFO')\n"
        "logging.getLogger('wingman.run').info('now shown')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=True
    )
    assert done.stderr == "INFO:wingman.run:now shown\n"
