"""The tables, as they are today, and how the values in them are read; `versions` has the way to
them.

All are append-only rowid tables: `seq` is the order in which rows came. Columns carry the names of
the fields they hold, moments are RFC 3339 text, and what is a value inside a value is JSON text,
so that a person with `sqlite3` or `psql` can read it all.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from wingman.api import (
    AgentRecord,
    CompactionConfig,
    Credential,
    McpServer,
    PermissionForm,
    PermissionRequest,
    ProviderConfig,
    RunFailure,
)
from wingman.conversation import ImageBlock, Message, ToolResultBlock, Usage
from wingman.events import Result
from wingman.store.records import Compacted, Pass, RunRecord, SessionRecord
from wingman.store.sql.run_statements import RecordedStep

__all__ = [
    "AGENT",
    "PASS",
    "PERMISSION",
    "RUN",
    "SESSION",
    "TABLES",
    "Shape",
    "decode_credential",
    "decode_mcp_server",
    "decode_message",
    "decode_result",
    "decode_step",
    "decode_texts",
]

Decode: TypeAlias = Callable[[Any], Any]


def _as_it_is(value: Any) -> Any:
    return value


def _moment(value: str) -> datetime:
    return msgspec.convert(value, datetime)


def _json(type: Any) -> Decode:
    return msgspec.json.Decoder(type).decode


decode_compacted: Final = msgspec.json.Decoder(Compacted).decode
decode_message: Final = msgspec.json.Decoder(Message).decode
decode_credential: Final = msgspec.json.Decoder(Credential).decode
decode_mcp_server: Final = msgspec.json.Decoder(McpServer).decode
decode_step: Final = msgspec.json.Decoder(RecordedStep).decode
decode_result: Final = msgspec.json.Decoder(ToolResultBlock).decode
decode_texts: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
_decode_rules: Final = _json(PermissionForm)

# Most runs that are read together have one agent: it is in memory once then.
_decode_agent: Final = lru_cache(64)(msgspec.json.Decoder(AgentRecord).decode)

TABLES: Final[Mapping[str, Mapping[str, Decode]]] = {
    "agents": {
        "seq": _as_it_is,
        "id": _as_it_is,
        "name": _as_it_is,
        "instructions": _as_it_is,
        "tools": decode_texts,
        "provider": _json(ProviderConfig),
        "output_schema": _decode_object,
        "max_steps": _as_it_is,
        "created_at": _moment,
        "updated_at": _moment,
        "permissions": _decode_rules,
        "instruction_files": bool,
        "compaction": _json(CompactionConfig | bool),
        "toolsets": decode_texts,
    },
    "credentials": {
        "seq": _as_it_is,
        "provider": _as_it_is,
        "credential": decode_credential,
    },
    "mcp_servers": {
        "seq": _as_it_is,
        "name": _as_it_is,
        "server": decode_mcp_server,
    },
    "passes": {
        "seq": _as_it_is,
        "hash": _as_it_is,
        "ends_at": _moment,
        "taken_by": _as_it_is,
    },
    "sessions": {
        "seq": _as_it_is,
        "id": _as_it_is,
        "work_dir": _as_it_is,
        "title": _as_it_is,
        "agent_id": _as_it_is,
        "created_at": _moment,
        "updated_at": _moment,
        "last_event_id": _as_it_is,
        "event_ceiling": _as_it_is,
        "usage": _json(Usage),
        "deleting": _as_it_is,
        "permissions": _decode_rules,
        # The number of the node that owns it, and the label that a node needs to own it.
        "node": _as_it_is,
        "label": _as_it_is,
    },
    "runs": {
        "seq": _as_it_is,
        "id": _as_it_is,
        "session_id": _as_it_is,
        "request_id": _as_it_is,
        "body_hash": _as_it_is,
        "message": _as_it_is,
        "agent_id": _as_it_is,
        "agent": _decode_agent,
        "max_steps": _as_it_is,
        "status": _as_it_is,
        "created_at": _moment,
        "started_at": _moment,
        "ended_at": _moment,
        "steps": _as_it_is,
        "usage": _json(Usage),
        "result": _json(Result),
        # Whether that is only what is short in it: the rest is read off the run's messages.
        "result_cut": _as_it_is,
        "error": _json(RunFailure),
        "images": _json(tuple[ImageBlock, ...]),
        "cost": _as_it_is,
        "permissions": _decode_rules,
        "on_ask": _as_it_is,
        "ask_timeout": _as_it_is,
        "steers": _as_it_is,
        "compacts": bool,
    },
    # The agents of runs, as they were when these were admitted, each once: `runs.agent` is a hash.
    "agent_versions": {
        "seq": _as_it_is,
        "hash": _as_it_is,
        "agent": _decode_agent,
    },
    "history": {
        "seq": _as_it_is,
        "session_id": _as_it_is,
        "run_id": _as_it_is,
        "message": decode_message,
    },
    # `kind` is 'step', then 'result' for each call that has ended.
    "pending": {
        "seq": _as_it_is,
        "run_id": _as_it_is,
        "kind": _as_it_is,
        "value": _as_it_is,
    },
    # What models are shown of histories; the last row of a session counts.
    "compactions": {
        "seq": _as_it_is,
        "session_id": _as_it_is,
        "run_id": _as_it_is,
        "compacted": decode_compacted,
        "created_at": _moment,
    },
    "permissions": {
        "seq": _as_it_is,
        "id": _as_it_is,
        "session_id": _as_it_is,
        "run_id": _as_it_is,
        "tool_use_id": _as_it_is,
        "tool": _as_it_is,
        "action": _as_it_is,
        "resources": decode_texts,
        "always": decode_texts,
        "input": _decode_object,
        "status": _as_it_is,
        "decision": _as_it_is,
        "message": _as_it_is,
        "created_at": _moment,
        "expires_at": _moment,
        "resolved_at": _moment,
        "schema": _decode_object,
    },
}
"""The columns of each table, and how a value of each is read where it is not NULL."""

# Fields of records that are in no column of their table, and are read from another one.
_ELSEWHERE: Final[Mapping[str, Decode]] = {"compacted": decode_compacted}

R = TypeVar("R")


class Shape(Generic[R]):
    """How a record lies in its table: the columns to select, and the record in a row of them.

    `without` are fields that are not in the table, and have their defaults.
    """

    def __init__(
        self, record: type[R], table: str, without: Collection[str] = (), **instead: str
    ) -> None:
        names: tuple[str, ...] = record.__struct_fields__  # type: ignore[attr-defined]
        fields = [name for name in names if name not in without]
        self._record = record
        self._table = table
        known = {**_ELSEWHERE, **TABLES[table]}
        self._decode = tuple((field, known[field]) for field in fields)
        self._instead = instead
        self.columns = self.select()

    def select(self, **instead: str) -> str:
        """The columns to select, where some of them are to be read as something else."""
        chosen = self._instead | instead
        return ", ".join(chosen.get(field, f"{self._table}.{field}") for field, _ in self._decode)

    def read(self, row: Sequence[Any]) -> R:
        """The record in this row."""
        return self._record(
            **{
                field: None if value is None else decode(value)
                for (field, decode), value in zip(self._decode, row, strict=True)
            }
        )


AGENT: Final = Shape(AgentRecord, "agents")
PASS: Final = Shape(Pass, "passes")
SESSION: Final = Shape(
    SessionRecord,
    "sessions",
    compacted="(SELECT last.compacted FROM compactions AS last"
    " WHERE last.session_id = sessions.id ORDER BY last.seq DESC LIMIT 1)",
)
RUN: Final = Shape(
    RunRecord,
    "runs",
    agent="(SELECT version.agent FROM agent_versions AS version WHERE version.hash = runs.agent)",
)
PERMISSION: Final = Shape(PermissionRequest, "permissions", without=("cut",))
