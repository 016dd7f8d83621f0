"""What is committed: a SQLite file as it lies after a kill, read from a copy, or a database in
PostgreSQL.

The copy is opened, and so recovered, by itself: the next server meets what this one left.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import psycopg
from psycopg.rows import dict_row

__all__ = ["Row", "Rows", "Snapshot", "invalid", "texts", "tool_results", "tool_uses"]


@attrs.frozen
class Row:
    """A run's row. `added` are the messages that it added to the history."""

    id: str
    seq: int
    session_id: str
    request_id: str | None
    text: str
    status: str
    started_at: str | None
    usage: Mapping[str, int]
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    added: tuple[dict[str, Any], ...]
    pending: tuple[dict[str, Any], ...]

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status not in ("queued", "running")


@attrs.frozen
class Rows:
    """A session's rows: its runs in the order of their admission, its history with their ids."""

    id: str
    title: str | None
    deleting: bool
    last_event_id: int
    event_ceiling: int
    usage: Mapping[str, int]
    runs: tuple[Row, ...]
    history: tuple[tuple[str, dict[str, Any]], ...]


@attrs.frozen
class Snapshot:
    """All sessions. `strays` are rows that belong to none."""

    sessions: dict[str, Rows]
    strays: tuple[str, ...]
    integrity: str

    @classmethod
    def take(cls, database: Path, copy: Path) -> "Snapshot":
        """Copy a database that no process has open, with its log, and read it."""
        for suffix in ("", "-wal"):
            target = copy.with_name(copy.name + suffix)
            target.unlink(missing_ok=True)
            source = database.with_name(database.name + suffix)
            if source.exists():
                shutil.copyfile(source, target)
        copy.with_name(copy.name + "-shm").unlink(missing_ok=True)
        with closing(sqlite3.connect(copy)) as connection:
            connection.row_factory = sqlite3.Row
            (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
            tables = "SELECT 1 FROM sqlite_master WHERE name = 'runs'"
            if not connection.execute(tables).fetchone():
                return cls({}, (), integrity)  # it was killed before it had made its tables
            return _read(lambda table: connection.execute(_ALL.format(table)), integrity)

    @classmethod
    def take_postgres(cls, url: str) -> "Snapshot":
        """Read all that is committed at one moment, while nodes work."""
        with psycopg.connect(url, row_factory=dict_row) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return _read(lambda table: connection.execute(_ALL.format(table).encode()), "ok")


_ALL: Final = "SELECT * FROM {} ORDER BY seq"

_Fetched: TypeAlias = Mapping[str, Any] | sqlite3.Row
_Fetch: TypeAlias = Callable[[str], Iterable[_Fetched]]


def _read(fetch: _Fetch, integrity: str) -> Snapshot:
    added: dict[str, list[dict[str, Any]]] = {}
    histories: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for each in fetch("history"):
        message = json.loads(each["message"])
        added.setdefault(each["run_id"], []).append(message)
        histories.setdefault(each["session_id"], []).append((each["run_id"], message))
    pending: dict[str, list[dict[str, Any]]] = {}
    for each in fetch("pending"):
        pending.setdefault(each["run_id"], []).append(json.loads(each["value"]))
    runs: dict[str, list[Row]] = {}
    for each in fetch("runs"):
        row = _row(each, added.get(each["id"], []), pending.get(each["id"], []))
        runs.setdefault(row.session_id, []).append(row)
    sessions = {}
    for each in fetch("sessions"):
        id = each["id"]
        sessions[id] = _rows(each, runs.get(id, []), histories.get(id, []))
    known = {row.id for rows in sessions.values() for row in rows.runs}
    strays = {"run": set(runs) - set(sessions), "history": set(histories) - set(sessions)}
    strays |= {"pending": set(pending) - known, "history of run": set(added) - known}
    named = tuple(f"{kind} {id}" for kind, ids in strays.items() for id in sorted(ids))
    return Snapshot(sessions, named, integrity)


def _row(each: _Fetched, added: list[dict[str, Any]], pending: list[dict[str, Any]]) -> Row:
    return Row(
        id=each["id"],
        seq=each["seq"],
        session_id=each["session_id"],
        request_id=each["request_id"],
        text=each["message"],
        status=each["status"],
        started_at=each["started_at"],
        usage=json.loads(each["usage"]),
        result=_result(each, added),
        error=json.loads(each["error"] or "null"),
        added=tuple(added),
        pending=tuple(pending),
    )


def _result(each: _Fetched, added: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The run's result; of a long one the row has only what is short, and `added` the rest."""
    result: dict[str, Any] | None = json.loads(each["result"] or "null")
    if result is None or not each["result_cut"]:
        return result
    blocks = [(message["role"], block) for message in added for block in message["content"]]
    given = {b["tool_use_id"]: b for _, b in blocks if b["type"] == "tool_result"}
    places = [place for place, (role, _) in enumerate(blocks) if role == "user"]
    said = blocks[places[-1] + 1 if places else 0 :]
    result["response"] = "".join(block["text"] for _, block in said if block["type"] == "text")
    result["tool_calls"] = [
        {
            "id": block["id"],
            "tool_name": block["name"],
            "input": block["input"],
            "output": given[block["id"]]["content"],
            "is_error": given[block["id"]]["is_error"],
        }
        for _, block in blocks
        if block["type"] == "tool_use"
    ]
    return result


def _rows(each: _Fetched, runs: list[Row], history: list[tuple[str, dict[str, Any]]]) -> Rows:
    return Rows(
        id=each["id"],
        title=each["title"],
        deleting=bool(each["deleting"]),
        last_event_id=each["last_event_id"],
        event_ceiling=each["event_ceiling"],
        usage=json.loads(each["usage"]),
        runs=tuple(runs),
        history=tuple(history),
    )


# --- a history's JSON -----------------------------------------------------------------------------


def texts(message: Mapping[str, Any]) -> list[str]:
    """The texts of a message."""
    return [block["text"] for block in message["content"] if block["type"] == "text"]


def tool_uses(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tool calls of a message."""
    return [block for block in message["content"] if block["type"] == "tool_use"]


def tool_results(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tool results of a message."""
    return [block for block in message["content"] if block["type"] == "tool_result"]


def invalid(history: Iterable[Mapping[str, Any]]) -> str | None:
    """Why a model's API would not take this history; None if it would.

    Each call has exactly one result, in call order, in the message after it; there is no other
    result; no message is empty; no call repeats an id.
    """
    waiting: list[str] = []
    seen: set[str] = set()
    for index, message in enumerate(history):
        results = [block["tool_use_id"] for block in tool_results(message)]
        if results != waiting:
            return f"message {index}: calls {waiting} are answered by {results}"
        if not message["content"]:
            return f"message {index} is empty"
        waiting = [block["id"] for block in tool_uses(message)]
        if repeated := seen.intersection(waiting) or len(set(waiting)) < len(waiting):
            return f"message {index}: calls repeat ids: {repeated}"
        seen.update(waiting)
        if (results and message["role"] != "user") or (waiting and message["role"] != "assistant"):
            return f"message {index} has the wrong role"
    return f"calls {waiting} at the end have no answer" if waiting else None
