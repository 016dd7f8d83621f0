"""What each change does to the tables, in SQL, for many changes of a kind at once.

The changes of one kind travel as one parameter, a JSON array of the changes as they are, and SQLite
takes it apart. A statement a *kind* rather than a row: between two statements Python's thread
gives up the interpreter and must win it back from the event loop, which costs far more than
the statement. What names a run, or a session, that is not there finds no row and does nothing.

Text that people write is kept as the JSON it came in (`->`): `->>` would end it at a NUL.
"""

# ruff: noqa: S608  (nothing is put into these statements but other constants)

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from wingman.store import base
from wingman.store.base import Change

__all__ = ["WRITES", "Write"]


@attrs.frozen
class Write:
    """How one kind of change is written. `about` gives the ids of what it depends on."""

    about: Callable[[Any], tuple[str, ...]]
    statements: tuple[str, ...]
    repeats: bool = False
    """Whether one batch may hold several about the same thing: so if all it does is to append."""


_RUN_OF_CHANGE = """
    FROM json_each(?1) AS change
    CROSS JOIN runs ON runs.id = change.value ->> 'run_id'
        AND runs.session_id = change.value ->> 'session_id'"""

_FORGET_PENDING = """
DELETE FROM pending WHERE run_id IN (
    SELECT change.value ->> 'run_id' FROM json_each(?1) AS change)"""

_FORGET_PENDING_OF_RUN = f"""
DELETE FROM pending WHERE run_id IN (SELECT runs.id {_RUN_OF_CHANGE})"""

_APPEND_MESSAGES = f"""
INSERT INTO history (session_id, run_id, message)
SELECT runs.session_id, runs.id, message.value {_RUN_OF_CHANGE}
    CROSS JOIN json_each(change.value, '$.messages') AS message
ORDER BY change.key, message.key"""

WRITES: Mapping[type[Change], Write] = {
    base.AgentSaved: Write(
        lambda change: (change.agent.id,),
        (
            """
INSERT INTO agents (id, name, instructions, tools, provider, output_schema, max_steps,
    created_at, updated_at)
SELECT value ->> '$.agent.id', value -> '$.agent.name', value -> '$.agent.instructions',
    value ->> '$.agent.tools', value ->> '$.agent.provider', value ->> '$.agent.output_schema',
    value ->> '$.agent.max_steps', value ->> '$.agent.created_at', value ->> '$.agent.updated_at'
FROM json_each(?1) WHERE true
ON CONFLICT (id) DO UPDATE SET name = excluded.name, instructions = excluded.instructions,
    tools = excluded.tools, provider = excluded.provider, output_schema = excluded.output_schema,
    max_steps = excluded.max_steps, created_at = excluded.created_at,
    updated_at = excluded.updated_at""",
        ),
    ),
    base.AgentDeleted: Write(
        lambda change: (change.agent_id,),
        ("DELETE FROM agents WHERE id IN (SELECT value ->> 'agent_id' FROM json_each(?1))",),
    ),
    base.CredentialSaved: Write(
        lambda change: (change.provider,),
        (
            """
INSERT INTO credentials (provider, credential)
SELECT value ->> 'provider', value ->> 'credential' FROM json_each(?1) WHERE true
ON CONFLICT (provider) DO UPDATE SET credential = excluded.credential""",
        ),
    ),
    base.CredentialDeleted: Write(
        lambda change: (change.provider,),
        (
            """
DELETE FROM credentials WHERE provider IN (SELECT value ->> 'provider' FROM json_each(?1))""",
        ),
    ),
    base.SessionSaved: Write(
        lambda change: (change.session.id,),
        (
            """
INSERT INTO sessions (id, work_dir, title, agent_id, created_at, updated_at,
    last_event_id, event_ceiling, usage)
SELECT value ->> '$.session.id', value ->> '$.session.work_dir', value -> '$.session.title',
    value ->> '$.session.agent_id', value ->> '$.session.created_at',
    value ->> '$.session.updated_at', value ->> '$.session.last_event_id',
    value ->> '$.session.event_ceiling', value ->> '$.session.usage'
FROM json_each(?1) WHERE true ORDER BY key
ON CONFLICT (id) DO UPDATE SET work_dir = excluded.work_dir, title = excluded.title,
    agent_id = excluded.agent_id, updated_at = excluded.updated_at""",
        ),
    ),
    base.RunQueued: Write(
        lambda change: (change.run.session_id, change.run.id),
        (
            """
INSERT INTO runs (id, session_id, request_id, body_hash, message, agent_id, agent, max_steps,
    status, created_at, started_at, ended_at, steps, usage, result, error)
SELECT value ->> '$.run.id', value ->> '$.run.session_id',
    nullif(value -> '$.run.request_id', 'null'),
    value ->> '$.run.body_hash', value -> '$.run.message', value ->> '$.run.agent_id',
    value ->> '$.run.agent', value ->> '$.run.max_steps', value ->> '$.run.status',
    value ->> '$.run.created_at', value ->> '$.run.started_at', value ->> '$.run.ended_at',
    value ->> '$.run.steps', value ->> '$.run.usage', value ->> '$.run.result',
    value ->> '$.run.error'
FROM json_each(?1)
WHERE EXISTS (SELECT 1 FROM sessions WHERE sessions.id = value ->> '$.run.session_id')
ORDER BY key""",
        ),
        repeats=True,
    ),
    base.RunStarted: Write(
        lambda change: (change.session_id, change.run_id),
        (
            f"""
INSERT INTO history (session_id, run_id, message)
SELECT runs.session_id, runs.id, change.value ->> 'message' {_RUN_OF_CHANGE}
ORDER BY change.key""",
            """
UPDATE runs SET status = 'running', started_at = change.value ->> 'started_at'
FROM json_each(?1) AS change
WHERE runs.id = change.value ->> 'run_id'
    AND runs.session_id = change.value ->> 'session_id'""",
            f"""
UPDATE sessions SET event_ceiling = started.event_ceiling
FROM (SELECT runs.session_id, change.value ->> 'event_ceiling' AS event_ceiling {_RUN_OF_CHANGE})
    AS started
WHERE sessions.id = started.session_id""",
        ),
    ),
    base.CeilingRaised: Write(
        lambda change: (change.session_id,),
        (
            """
UPDATE sessions SET event_ceiling = change.value ->> 'event_ceiling'
FROM json_each(?1) AS change
WHERE sessions.id = change.value ->> 'session_id'""",
        ),
    ),
    base.StepRecorded: Write(
        lambda change: (change.run_id,),
        (
            _FORGET_PENDING,
            """
INSERT INTO pending (run_id, kind, value)
SELECT runs.id, 'step', change.value FROM json_each(?1) AS change
    CROSS JOIN runs ON runs.id = change.value ->> 'run_id'""",
        ),
    ),
    base.CallEnded: Write(
        lambda change: (change.run_id,),
        (
            """
INSERT INTO pending (run_id, kind, value)
SELECT step.run_id, 'result', change.value ->> 'result' FROM json_each(?1) AS change
    CROSS JOIN pending AS step ON step.run_id = change.value ->> 'run_id' AND step.kind = 'step'
ORDER BY change.key""",
        ),
        repeats=True,
    ),
    base.StepEnded: Write(
        lambda change: (change.session_id, change.run_id),
        (
            _APPEND_MESSAGES,
            _FORGET_PENDING_OF_RUN,
            """
UPDATE runs SET steps = change.value ->> 'steps', usage = change.value ->> 'usage'
FROM json_each(?1) AS change
WHERE runs.id = change.value ->> 'run_id'
    AND runs.session_id = change.value ->> 'session_id'""",
            f"""
UPDATE sessions SET last_event_id = ended.last_event_id
FROM (SELECT runs.session_id, change.value ->> 'last_event_id' AS last_event_id {_RUN_OF_CHANGE})
    AS ended
WHERE sessions.id = ended.session_id""",
        ),
    ),
    base.RunEnded: Write(
        lambda change: (change.session_id, change.run_id),
        (
            _APPEND_MESSAGES,
            _FORGET_PENDING_OF_RUN,
            """
UPDATE runs SET status = change.value ->> 'status', ended_at = change.value ->> 'ended_at',
    result = change.value ->> 'result', error = change.value ->> 'error',
    steps = change.value ->> 'steps', usage = change.value ->> 'usage'
FROM json_each(?1) AS change
WHERE runs.id = change.value ->> 'run_id'
    AND runs.session_id = change.value ->> 'session_id'""",
            f"""
UPDATE sessions SET updated_at = ended.value ->> 'ended_at',
    usage = coalesce(ended.value ->> 'session_usage', sessions.usage),
    last_event_id = coalesce(ended.value ->> 'last_event_id', sessions.last_event_id),
    event_ceiling = coalesce(ended.value ->> 'last_event_id', sessions.event_ceiling)
FROM (SELECT runs.session_id, change.value {_RUN_OF_CHANGE}) AS ended
WHERE sessions.id = ended.session_id""",
        ),
    ),
    base.SessionDeleting: Write(
        lambda change: (change.session_id,),
        (
            """
UPDATE sessions SET deleting = 1
WHERE id IN (SELECT value ->> 'session_id' FROM json_each(?1))""",
        ),
    ),
    base.SessionErased: Write(
        lambda change: (change.session_id,),
        (
            """
DELETE FROM pending WHERE run_id IN (SELECT runs.id FROM json_each(?1) AS change
    CROSS JOIN runs ON runs.session_id = change.value ->> 'session_id')""",
            *(
                f"""
DELETE FROM {table} WHERE {column} IN (SELECT value ->> 'session_id' FROM json_each(?1))"""
                for table, column in (
                    ("history", "session_id"),
                    ("runs", "session_id"),
                    ("sessions", "id"),
                )
            ),
        ),
    ),
}
"""How each kind of change is written, in the order of a session's life."""
