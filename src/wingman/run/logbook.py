"""Logbook: what the log is told of a run: ids, times, outcomes, counts. Never what anybody said.

A line at `info` for a run's start, each of its steps and tool calls, and its end; one at `warning`
where the model is asked once more.
"""

import logging
from typing import Final

import trio

from wingman.agent import Agent
from wingman.api import PermissionRequest
from wingman.conversation import Usage
from wingman.errors import ContextTooLong, ProviderError, WingmanError
from wingman.run.calls import ToolCall
from wingman.run.cost import Meter
from wingman.run.draft import StepDraft
from wingman.store import RunRecord
from wingman.telemetry import log_event

__all__ = [
    "asked_again",
    "call_ended",
    "permission_changed",
    "run_ended",
    "run_resumed",
    "run_started",
    "step_ended",
]

logger: Final = logging.getLogger("wingman.run")


def run_started(record: RunRecord, agent: Agent) -> None:
    """A run has left the queue, and its message is in the history."""
    if not logger.isEnabledFor(logging.INFO):
        return
    waited = None
    if record.started_at is not None:
        waited = _ms((record.started_at - record.created_at).total_seconds())
    log_event(
        logger,
        logging.INFO,
        "run started",
        session_id=record.session_id,
        run_id=record.id,
        agent_id=record.agent_id,
        provider=agent.provider.id,
        model=agent.provider.model,
        waited_ms=waited,
    )


def run_resumed(record: RunRecord, agent: Agent) -> None:
    """A run that waited for a person when an earlier process ended goes on."""
    log_event(
        logger,
        logging.INFO,
        "run resumed",
        session_id=record.session_id,
        run_id=record.id,
        agent_id=record.agent_id,
        provider=agent.provider.id,
        model=agent.provider.model,
    )


def permission_changed(request: PermissionRequest) -> None:
    """A call waits for a person, or waits no more."""
    log_event(
        logger,
        logging.INFO,
        "permission requested" if request.status == "pending" else "permission resolved",
        session_id=request.session_id,
        run_id=request.run_id,
        tool_use_id=request.tool_use_id,
        permission_id=request.id,
        action=request.action,
        outcome=None if request.status == "pending" else request.status,
        decision=request.decision,
    )


def step_ended(
    record: RunRecord, step: int, draft: StepDraft, meter: Meter, began: float, *, whole: bool
) -> None:
    """A step is over, or, if it is not `whole`, was cut. `began` is its start on Trio's clock."""
    if not logger.isEnabledFor(logging.INFO):
        return
    provider, model, usage = meter.inference
    log_event(
        logger,
        logging.INFO,
        "step ended",
        session_id=record.session_id,
        run_id=record.id,
        step=step,
        outcome=draft.finish if whole else "cut",
        provider=provider or None,
        model=model or None,
        tool_calls=draft.tool_calls,
        ms=_ms(trio.current_time() - began),
        **_tokens(usage),
    )


def call_ended(record: RunRecord, step: int, call: ToolCall) -> None:
    """A tool call is over: it gave a result, or it was stopped, alone or with its run."""
    if not logger.isEnabledFor(logging.INFO):
        return
    outcome = "still_running" if call.leftover is not None else "stopped"
    if outcome == "stopped" and call.result is not None:
        outcome = "error" if call.result.is_error else "ok"
    log_event(
        logger,
        logging.INFO,
        "tool call ended",
        session_id=record.session_id,
        run_id=record.id,
        step=step,
        tool_use_id=call.block.id,
        tool=call.block.name,
        outcome=outcome,
        ms=None if call.began is None else _ms(trio.current_time() - call.began),
    )


def run_ended(record: RunRecord, error: WingmanError | None) -> None:
    """A run has its end, and that is recorded. An error is told by its code alone: its text may
    repeat what was sent. The run itself has the text."""
    if not logger.isEnabledFor(logging.INFO):
        return
    began, ended = record.started_at, record.ended_at
    failure = error if isinstance(error, ProviderError) else None
    log_event(
        logger,
        logging.INFO,
        "run ended",
        session_id=record.session_id,
        run_id=record.id,
        outcome=record.status,
        stop_reason=None if record.result is None else record.result.stop_reason,
        error=None if record.error is None else record.error.code,
        provider_status=None if failure is None else failure.status,
        provider_error=None if failure is None else failure.error_type,
        provider_request_id=None if failure is None else failure.request_id,
        steps=record.steps,
        ms=None if began is None or ended is None else _ms((ended - began).total_seconds()),
        cost=record.cost,
        **_tokens(record.usage),
    )


def asked_again(
    record: RunRecord,
    event: str,
    error: ProviderError | ContextTooLong,
    without: str | None = None,
) -> None:
    """The model is asked once more, after this error, and `without` some of the history. The
    error's text may repeat what was sent, and is not told."""
    log_event(
        logger,
        logging.WARNING,
        event,
        session_id=record.session_id,
        run_id=record.id,
        provider=getattr(error, "provider", None),
        error=error.code,
        provider_status=getattr(error, "status", None),
        provider_request_id=getattr(error, "request_id", None),
        without=without,
    )


def _tokens(usage: Usage) -> dict[str, int]:
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
