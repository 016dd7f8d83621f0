"""The tables, as they are today; `versions` has the way to them.

All are append-only rowid tables: `seq` is the order in which rows came. Columns carry the names of
the fields they hold, moments are RFC 3339 text, and what is a value inside a value is JSON text,
so that a person with `sqlite3` can read it all.
"""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)

from wingman.agent import AgentRecord, ProviderConfig
from wingman.conversation import ImageBlock, Message, Usage
from wingman.events import Result
from wingman.store.records import Credential, RunFailure

__all__ = [
    "APPLICATION_ID",
    "UNFINISHED",
    "agents",
    "credentials",
    "history",
    "pending",
    "runs",
    "sessions",
]

APPLICATION_ID = 0x57494E47
"""`PRAGMA application_id` of a Wingman database: "WING"."""

UNFINISHED = text("status IN ('queued', 'running')")
"""The runs that recovery looks for. SQLite uses their index where a query has this very term."""


class Encoded(TypeDecorator[Any]):
    """A value that is stored as its JSON text, and read as itself."""

    impl = Text
    cache_ok = True

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value
        self._decode = msgspec.json.Decoder(value).decode

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else self._decode(value)


class Moment(TypeDecorator[datetime]):
    """A moment, stored as RFC 3339 text."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else msgspec.convert(value, datetime)


def _seq() -> Column[int]:
    return Column("seq", Integer, primary_key=True)


tables = MetaData()

agents = Table(
    "agents",
    tables,
    _seq(),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("instructions", Text, nullable=False),
    Column("tools", Encoded(tuple[str, ...]), nullable=False),
    Column("provider", Encoded(ProviderConfig), nullable=False),
    Column("output_schema", Encoded(dict[str, Any])),
    Column("max_steps", Integer),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

credentials = Table(
    "credentials",
    tables,
    _seq(),
    Column("provider", Text, nullable=False, unique=True),
    Column("credential", Encoded(Credential), nullable=False),
)

sessions = Table(
    "sessions",
    tables,
    _seq(),
    Column("id", Text, nullable=False, unique=True),
    Column("work_dir", Text, nullable=False),
    Column("title", Text),
    Column("agent_id", Text),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("last_event_id", Integer, nullable=False),
    Column("event_ceiling", Integer, nullable=False),
    Column("usage", Encoded(Usage), nullable=False),
    Column("deleting", Integer, nullable=False, server_default="0"),
    Index("sessions_deleting", "seq", sqlite_where=text("deleting")),
)

runs = Table(
    "runs",
    tables,
    _seq(),
    Column("id", Text, nullable=False, unique=True),
    Column("session_id", Text, nullable=False),
    Column("request_id", Text),
    Column("body_hash", Text),
    Column("message", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("agent", Encoded(AgentRecord)),
    Column("max_steps", Integer),
    Column("status", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("steps", Integer, nullable=False),
    Column("usage", Encoded(Usage), nullable=False),
    Column("result", Encoded(Result)),
    Column("error", Encoded(RunFailure)),
    Column("images", Encoded(tuple[ImageBlock, ...])),
    Column("cost", Float),
    Index("runs_session", "session_id"),
    Index(
        "runs_request",
        "session_id",
        "request_id",
        unique=True,
        sqlite_where=text("request_id IS NOT NULL"),
    ),
    Index("runs_unfinished", "session_id", sqlite_where=UNFINISHED),
)

history = Table(
    "history",
    tables,
    _seq(),
    Column("session_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("message", Encoded(Message), nullable=False),
    Index("history_session", "session_id"),
    Index("history_run", "run_id"),
)

pending = Table(
    "pending",
    tables,
    _seq(),
    Column("run_id", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="'step', then one 'result' for each ended call"),
    Column("value", Text, nullable=False),
    Index("pending_run", "run_id"),
)
