"""Cancelling: by name, run by run or call by call, with a receipt for what has stopped.

A cancel asks, then waits until the work has really ended and that is recorded, though not for ever.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import attrs
import trio

from wingman.api import CancelledRun, CancelledTool, Receipt, Status
from wingman.errors import ShuttingDown, StoreUnavailable
from wingman.run import ToolCall
from wingman.session.handed_over import note_of
from wingman.session.live_run import LiveRun
from wingman.telemetry import log_event

__all__ = ["cancel_runs", "cancel_tool", "log_receipt", "milliseconds", "not_recorded"]

logger = logging.getLogger("wingman.session")

# How long a cancel waits before it answers with what has not stopped.
_PATIENCE = 5.0
# How long the store may take to say whether the cancel of a queued run is recorded: longer than
# somebody else's lock makes it wait.
_RECORD_PATIENCE = 30.0


@attrs.frozen
class _Asked:
    """A run that was asked to end, and what it was about. `unread` is its message, where that was
    to steer a run that is cancelled with it."""

    run: LiveRun
    was: Status
    calls: tuple[ToolCall, ...]
    unread: str | None = None

    def receipt(self, since: float) -> CancelledRun:
        tools = tuple(map(_cancelled_tool, self.calls))
        ms, outcome = milliseconds(since), self._outcome()
        return CancelledRun(self.run.id, self.was, ms, tools, outcome, self.unread)

    def _outcome(self) -> Literal["still_running", "completed", "failed"] | None:
        if not self.run.ended:
            return "still_running"
        status = self.run.status
        return status if status in ("completed", "failed") else None

    def failure(self) -> str | None:
        """How the run stands, where its end could not be recorded."""
        run = self.run
        if run.ended:
            # Released as the runtime drains: it has no end, and the next start goes on with it.
            stays = isinstance(run.outcome, ShuttingDown)
            return f"run {run.id} is still {run.record.status}" if stays else None
        if run.not_cancelled is not None:
            return f"run {run.id} is still {run.status} ({run.not_cancelled.message})"
        if not run.state.begun:
            return f"whether run {run.id} is cancelled is not recorded yet, and it has not started"
        if run.state.phase == "unrecorded":
            return (
                f"run {run.id} has stopped, and its end is not recorded yet: "
                "that is done as soon as the store can be written"
            )
        return None


async def cancel_runs(runs: Iterable[LiveRun]) -> Receipt:
    """Cancel these runs; return when they have stopped, or after 5 s with what has not. What was to
    steer one of them, and was not read, goes with it.

    Raises `StoreUnavailable` where the end of one could not be recorded, and says how it stands.
    """
    start = trio.current_time()
    asked: dict[str, _Asked] = {}
    for run in runs:
        _ask(run, asked)
    receipts, failures = [], []
    for each in asked.values():
        begun = each.run.state.begun
        with trio.move_on_at(start + (_PATIENCE if begun else _RECORD_PATIENCE)):
            await each.run.wait_read()
            if each.run.record.status == "steered":
                continue  # it is no run any more: another one has read its message
            await each.run.wait_stopped()
            if each.run.state.phase == "unrecorded":
                await each.run.wait()  # the store may be well again in a moment
        failure = each.failure()
        if failure is None:
            receipts.append(each.receipt(start))
            log_receipt(each.run.record.session_id, receipts[-1])
        else:
            failures.append(failure)
            ids = {"session_id": each.run.record.session_id, "run_id": each.run.id}
            log_event(logger, logging.WARNING, "a cancel is not recorded", **ids, was=each.was)
    if failures:
        raise not_recorded(failures, receipts)
    return Receipt(tuple(receipts))


def _ask(run: LiveRun, asked: dict[str, _Asked]) -> None:
    """Ask for the end of a run, and of what was to steer it and is not read."""
    if run.ended or run.id in asked or run.state.phase == "read":
        return
    unread = run.unread()
    asked[run.id] = _Asked(run, run.status, _in_flight(run))
    run.request_cancel()
    for words in unread:
        asked[words.id] = _Asked(words, words.status, (), words.record.message)
        words.request_cancel()


async def cancel_tool(run: LiveRun, tool_use_id: str) -> Receipt:
    """Cancel one tool call of a run; its siblings and the run go on."""
    call = run.state.announced.get(tool_use_id)
    if run.ended or call is None or call.ended.is_set():
        return Receipt(())
    start, was = trio.current_time(), run.status
    call.cancel()
    if call.due:  # else it never starts, and the model may go on speaking for long
        with trio.move_on_after(_PATIENCE):
            await call.ended.wait()
    tools = (_cancelled_tool(call),)
    receipt = CancelledRun(run.id, was, milliseconds(start), tools)
    log_receipt(run.record.session_id, receipt, tool_use_id)
    return Receipt((receipt,))


def log_receipt(session_id: str, receipt: CancelledRun, tool_use_id: str | None = None) -> None:
    """Log what a cancel did to one run, or to one tool call of it."""
    tools = Counter(tool.outcome for tool in receipt.tools)
    outcome: str = receipt.outcome or "cancelled"
    if tool_use_id is not None:
        outcome = receipt.tools[0].outcome
    log_event(
        logger,
        logging.INFO,
        "run cancelled" if tool_use_id is None else "tool call cancelled",
        session_id=session_id,
        run_id=receipt.run_id,
        tool_use_id=tool_use_id,
        was=receipt.was,
        outcome=outcome,
        ms=receipt.stopped_in_ms,
        tools_stopped=tools["stopped"],
        tools_still_running=tools["still_running"],
    )


def not_recorded(failures: Sequence[str], receipts: Sequence[CancelledRun]) -> StoreUnavailable:
    """What is answered where a cancel could not be recorded for all runs."""
    text = f"The cancel could not be recorded: {'; '.join(failures)}. Send it again later."
    if receipts:
        text += f" Cancelled: {', '.join(receipt.run_id for receipt in receipts)}."
    return StoreUnavailable(text)


def _cancelled_tool(call: ToolCall) -> CancelledTool:
    return CancelledTool(call.block.id, call.outcome, note_of(call.block.input))


def _in_flight(run: LiveRun) -> tuple[ToolCall, ...]:
    calls = () if run.state.calls is None else run.state.calls.calls.values()
    return tuple(call for call in calls if not call.ended.is_set())


def milliseconds(since: float) -> float:
    """How long ago that was, on Trio's clock, in milliseconds with one decimal."""
    return round((trio.current_time() - since) * 1000, 1)
