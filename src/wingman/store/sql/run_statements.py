"""What changes do to the tables, of runs: see `statements`."""

# ruff: noqa: S608  (what is put into these statements is constant)

import hashlib
from collections.abc import Iterable
from typing import Self

import msgspec

from wingman.conversation import Message, Usage
from wingman.store.changes import RunEnded, RunQueued, RunStarted, StepRecorded
from wingman.store.results import is_long, shortened
from wingman.store.sql.statements import Row, Statement, as_json, as_text

__all__ = [
    "COMPACT",
    "END_CALL",
    "END_RUN",
    "END_STEP",
    "QUEUE_RUN",
    "RECORD_STEP",
    "SAVE_VERSION",
    "START_RUN",
    "STEER_RUN",
    "THE_RUN",
    "RecordedStep",
]

# --- runs -----------------------------------------------------------------------------------------


def _hash(agent: str) -> str:
    return hashlib.sha256(agent.encode()).hexdigest()


def _version_row(change: RunQueued) -> Iterable[Row]:
    agent = as_json(change.run.agent)
    if agent is not None:
        yield change.run.session_id, _hash(agent), agent


SAVE_VERSION = Statement(
    "session_id, hash, agent",
    _version_row,
    """
INSERT INTO agent_versions (hash, agent) SELECT change.hash, change.agent FROM change
WHERE EXISTS (SELECT 1 FROM sessions WHERE sessions.id = change.session_id)
ON CONFLICT (hash) DO NOTHING""",
)


def _run_row(change: RunQueued) -> Iterable[Row]:
    run = change.run
    agent = as_json(run.agent)
    yield (
        run.id,
        run.session_id,
        run.request_id,
        run.body_hash,
        run.message,
        run.agent_id,
        None if agent is None else _hash(agent),
        run.max_steps,
        run.status,
        as_text(run.created_at),
        as_text(run.started_at),
        as_text(run.ended_at),
        run.steps,
        as_json(run.usage),
        as_json(run.result),
        as_json(run.error),
        as_json(run.images),
        run.cost,
        as_json(run.permissions),
        run.on_ask,
        run.ask_timeout,
        run.steers,
        int(run.compacts),
    )


_RUN = """id, session_id, request_id, body_hash, message, agent_id, agent, max_steps, status,
    created_at, started_at, ended_at, steps, usage, result, error, images, cost,
    permissions, on_ask, ask_timeout, steers, compacts"""

QUEUE_RUN = Statement(
    _RUN,
    _run_row,
    f"""
INSERT INTO runs ({_RUN}) SELECT {_RUN} FROM change
WHERE EXISTS (SELECT 1 FROM sessions WHERE sessions.id = change.session_id)""",
)

THE_RUN = "runs.id = change.run_id AND runs.session_id = change.session_id"
"""The run of a change, where it is that session's."""

_THE_SESSION_OF_THE_RUN = f"""sessions.id = change.session_id
    AND EXISTS (SELECT 1 FROM runs WHERE {THE_RUN})"""

_APPEND = f"""
INSERT INTO history (session_id, run_id, message)
SELECT change.session_id, change.run_id, change.message
FROM change CROSS JOIN runs ON {THE_RUN}"""


def _first_message(change: RunStarted) -> Iterable[Row]:
    if change.message is not None:
        yield change.session_id, change.run_id, as_json(change.message)


START_RUN = (
    Statement(
        "session_id, run_id, message",
        _first_message,
        _APPEND,
    ),
    Statement(
        "session_id, run_id, started_at",
        lambda change: ((change.session_id, change.run_id, as_text(change.started_at)),),
        f"""
UPDATE runs SET status = 'running', started_at = change.started_at
FROM change WHERE {THE_RUN}""",
    ),
    Statement(
        "session_id, run_id, event_ceiling",
        lambda change: ((change.session_id, change.run_id, change.event_ceiling),),
        f"""
UPDATE sessions SET event_ceiling = change.event_ceiling
FROM change WHERE {_THE_SESSION_OF_THE_RUN}""",
    ),
)

# --- steps ----------------------------------------------------------------------------------------


class RecordedStep(msgspec.Struct, frozen=True):
    """What is kept of a `StepRecorded`. Older databases have the run's id in it, too."""

    step: int
    message: Message
    usage: Usage
    cost: float | None = None

    @classmethod
    def of(cls, change: StepRecorded) -> Self:
        return cls(change.step, change.message, change.usage, change.cost)


_FORGET_STEP = Statement(
    "session_id, run_id",
    lambda change: ((change.session_id, change.run_id),),
    f"""
DELETE FROM pending WHERE run_id IN (
    SELECT runs.id FROM change CROSS JOIN runs ON {THE_RUN})""",
)

RECORD_STEP = (
    _FORGET_STEP,
    Statement(
        "session_id, run_id, value",
        lambda change: ((change.session_id, change.run_id, as_json(RecordedStep.of(change))),),
        f"""
INSERT INTO pending (run_id, kind, value)
SELECT change.run_id, 'step', change.value
FROM change CROSS JOIN runs ON {THE_RUN}""",
    ),
)

END_CALL = Statement(
    "session_id, run_id, value",
    lambda change: ((change.session_id, change.run_id, as_json(change.result)),),
    f"""
INSERT INTO pending (run_id, kind, value)
SELECT change.run_id, 'result', change.value
FROM change CROSS JOIN runs ON {THE_RUN}
CROSS JOIN pending AS step ON step.run_id = change.run_id AND step.kind = 'step'""",
)

_APPEND_MESSAGES = Statement(
    "session_id, run_id, message",
    lambda change: (
        (change.session_id, change.run_id, as_json(message)) for message in change.messages
    ),
    _APPEND,
)

END_STEP = (
    _APPEND_MESSAGES,
    _FORGET_STEP,
    Statement(
        "session_id, run_id, steps, usage, cost",
        lambda change: (
            (
                change.session_id,
                change.run_id,
                change.steps,
                as_json(change.usage),
                change.cost,
            ),
        ),
        f"""
UPDATE runs SET steps = change.steps, usage = change.usage, cost = change.cost
FROM change WHERE {THE_RUN}""",
    ),
    Statement(
        "session_id, run_id, last_event_id",
        lambda change: ((change.session_id, change.run_id, change.last_event_id),),
        f"""
UPDATE sessions SET last_event_id = change.last_event_id
FROM change WHERE {_THE_SESSION_OF_THE_RUN}""",
    ),
)

COMPACT = (
    Statement(
        "session_id, run_id, compacted, created_at",
        lambda change: (
            (
                change.session_id,
                change.run_id,
                as_json(change.compacted),
                as_text(change.created_at),
            ),
        ),
        f"""
INSERT INTO compactions (session_id, run_id, compacted, created_at)
SELECT change.session_id, change.run_id, change.compacted, change.created_at
FROM change CROSS JOIN runs ON {THE_RUN}""",
    ),
    Statement(
        "session_id, run_id, usage, cost",
        lambda change: ((change.session_id, change.run_id, as_json(change.usage), change.cost),),
        f"""
UPDATE runs SET usage = change.usage, cost = change.cost
FROM change WHERE {THE_RUN}""",
    ),
)

STEER_RUN = Statement(
    "session_id, run_id, ended_at",
    lambda change: ((change.session_id, change.run_id, as_text(change.ended_at)),),
    f"""
UPDATE runs SET status = 'steered', ended_at = change.ended_at
FROM change WHERE {THE_RUN} AND runs.status = 'queued'""",
)

# --- the end --------------------------------------------------------------------------------------


def _kept_result(change: RunEnded) -> tuple[str | None, int]:
    """The JSON of the result, and whether it is only what is short in it."""
    result = change.result
    if result is None or not change.from_messages or result.output is not None:
        return as_json(result), 0
    return (as_json(shortened(result)), 1) if is_long(result) else (as_json(result), 0)


def _end_row(change: RunEnded) -> Iterable[Row]:
    yield (
        change.session_id,
        change.run_id,
        change.status,
        as_text(change.ended_at),
        *_kept_result(change),
        as_json(change.error),
        change.steps,
        as_json(change.usage),
        change.cost,
    )


END_RUN = (
    _APPEND_MESSAGES,
    _FORGET_STEP,
    Statement(
        "session_id, run_id, status, ended_at, result, result_cut, error, steps, usage, cost",
        _end_row,
        f"""
UPDATE runs SET status = change.status, ended_at = change.ended_at, result = change.result,
    result_cut = change.result_cut, error = change.error, steps = change.steps,
    usage = change.usage, cost = change.cost
FROM change WHERE {THE_RUN}""",
    ),
    Statement(
        "session_id, run_id, ended_at, usage, last_event_id",
        lambda change: (
            (
                change.session_id,
                change.run_id,
                as_text(change.ended_at),
                as_json(change.session_usage),
                change.last_event_id,
            ),
        ),
        f"""
UPDATE sessions SET updated_at = change.ended_at, usage = coalesce(change.usage, sessions.usage),
    last_event_id = coalesce(change.last_event_id, sessions.last_event_id)
FROM change WHERE {_THE_SESSION_OF_THE_RUN}""",
    ),
)
