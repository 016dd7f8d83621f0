"""Cancelling: by name, run by run or call by call, with a receipt for what has stopped.

A cancel asks, then waits until the work has really ended, though not for ever.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs
import msgspec
import trio

from wingman.session.calls import CallOutcome, ToolCall

if TYPE_CHECKING:
    from wingman.session.run import Run

__all__ = ["CancelledRun", "CancelledTool", "Receipt", "Status", "cancel_runs", "cancel_tool"]

# How long a cancel waits before it answers with what has not stopped.
_PATIENCE = 5.0

Status: TypeAlias = Literal[
    "queued", "running", "cancelling", "completed", "failed", "cancelled", "interrupted"
]


class CancelledTool(msgspec.Struct, frozen=True):
    """A tool call that was in flight when its run, or it alone, was cancelled."""

    id: str
    outcome: CallOutcome


class CancelledRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a cancel did to one run. `outcome` is given where that was not to stop it: it still
    runs, or it was about to end by itself, and has."""

    run_id: str
    was: Status
    stopped_in_ms: float
    tools: tuple[CancelledTool, ...] = ()
    outcome: Literal["still_running", "completed", "failed"] | None = None


class Receipt(msgspec.Struct, frozen=True):
    """What a cancel did. Empty if there was nothing to cancel."""

    cancelled: tuple[CancelledRun, ...]


@attrs.frozen
class _Asked:
    """A run that was asked to end, and what it was about."""

    run: "Run"
    was: Status
    calls: tuple[ToolCall, ...]

    def receipt(self, since: float) -> CancelledRun:
        return CancelledRun(
            self.run.id,
            self.was,
            _milliseconds(since),
            tuple(CancelledTool(call.block.id, call.outcome) for call in self.calls),
            self._outcome(),
        )

    def _outcome(self) -> Literal["still_running", "completed", "failed"] | None:
        if not self.run.ended:
            return "still_running"
        status = self.run.status
        return status if status in ("completed", "failed") else None


async def cancel_runs(runs: Iterable["Run"]) -> Receipt:
    """Cancel these runs; return when they have stopped, or after 5 s with what has not."""
    start = trio.current_time()
    asked = []
    for run in runs:
        if not run.ended:
            asked.append(_Asked(run, run.status, _in_flight(run)))
            run.request_cancel()
    cancelled = []
    for each in asked:
        with trio.move_on_at(start + _PATIENCE):
            await each.run.wait()
        cancelled.append(each.receipt(start))
    return Receipt(tuple(cancelled))


async def cancel_tool(run: "Run", tool_use_id: str) -> Receipt:
    """Cancel one tool call of a run; its siblings and the run go on."""
    call = next((call for call in _in_flight(run) if call.block.id == tool_use_id), None)
    if call is None:
        return Receipt(())
    start, was = trio.current_time(), run.status
    call.cancel()
    with trio.move_on_after(_PATIENCE):
        await call.ended.wait()
    tools = (CancelledTool(tool_use_id, call.outcome),)
    return Receipt((CancelledRun(run.id, was, _milliseconds(start), tools),))


def _in_flight(run: "Run") -> tuple[ToolCall, ...]:
    calls = () if run.calls is None else run.calls.calls.values()
    return tuple(call for call in calls if not call.ended.is_set())


def _milliseconds(since: float) -> float:
    return round((trio.current_time() - since) * 1000, 1)
