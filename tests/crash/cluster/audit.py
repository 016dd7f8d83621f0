"""What the database itself records of each write, by triggers of the harness: which backend made
it, in which transaction, and whose the session was. None of it is Wingman's code.

A backend is known as a node by the advisory lock that it has when it writes its row in `nodes`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs
import psycopg
from psycopg.rows import class_row

__all__ = ["Write", "first_move", "install", "living", "owner", "take_writes"]


@attrs.frozen
class Write:
    """One row that was written, `committed` with its transaction.

    `node` is the number of the node whose backend has written; None: of none. `before` and `after`
    are whose the session was, where that has changed, and `held` whether that one's lock was held.
    """

    xid: str
    committed: datetime
    node: int | None
    what: str
    session_id: str
    run_id: str | None
    before: int | None
    after: int | None
    held: bool


_TABLES: Final = """
CREATE SCHEMA harness;
CREATE TABLE harness.nodes (seq bigint NOT NULL, pid int NOT NULL);
CREATE TABLE harness.writes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    node bigint,
    what text NOT NULL,
    session_id text NOT NULL,
    run_id text,
    before bigint,
    after bigint,
    held boolean NOT NULL DEFAULT false
);
CREATE INDEX ON harness.writes (session_id);

CREATE VIEW harness.locks AS
    SELECT objid::bigint AS seq, pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND mode = 'ExclusiveLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
INSERT INTO harness.nodes SELECT nodes.seq, locks.pid FROM nodes JOIN harness.locks USING (seq);

CREATE FUNCTION harness.node_begins() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO harness.nodes
        SELECT seq, pid FROM harness.locks WHERE seq = NEW.seq AND pid = pg_backend_pid();
    RETURN NULL;
END $$;
CREATE TRIGGER harness AFTER INSERT ON nodes FOR EACH ROW EXECUTE FUNCTION harness.node_begins();
"""

_NOW_AND_BEFORE: Final = "FROM new_rows AS now JOIN old_rows AS was ON was.id = now.id"

# Each kind of write: on what, the columns of its record, and the rows of these.
_WRITES: Final = {
    "session created": (
        "INSERT ON sessions",
        "session_id, after",
        "id, node FROM new_rows",
    ),
    "session moved": (
        "UPDATE ON sessions",
        "session_id, before, after, held",
        "now.id, was.node, now.node, EXISTS (SELECT FROM harness.locks WHERE seq = was.node)"
        f" {_NOW_AND_BEFORE} WHERE was.node IS DISTINCT FROM now.node",
    ),
    "session changed": (
        "UPDATE ON sessions",
        "session_id",
        f"now.id {_NOW_AND_BEFORE} WHERE was.node IS NOT DISTINCT FROM now.node",
    ),
    "session deleted": (
        "DELETE ON sessions",
        "session_id, before",
        "id, node FROM old_rows",
    ),
    "run admitted": (
        "INSERT ON runs",
        "session_id, run_id",
        "session_id, id FROM new_rows",
    ),
    "run started": (
        "UPDATE ON runs",
        "session_id, run_id",
        f"now.session_id, now.id {_NOW_AND_BEFORE}"
        " WHERE was.started_at IS NULL AND now.started_at IS NOT NULL",
    ),
    "run ended": (
        "UPDATE ON runs",
        "session_id, run_id",
        f"now.session_id, now.id {_NOW_AND_BEFORE}"
        " WHERE was.ended_at IS NULL AND now.ended_at IS NOT NULL",
    ),
    "message": (
        "INSERT ON history",
        "session_id, run_id",
        "session_id, run_id FROM new_rows",
    ),
    "step": (
        "INSERT ON pending",
        "session_id, run_id",
        "runs.session_id, run_id FROM new_rows JOIN runs ON runs.id = new_rows.run_id",
    ),
}

_TRIGGER: Final = """
CREATE FUNCTION harness.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO harness.writes (node, what, {columns})
    SELECT (SELECT max(seq) FROM harness.nodes WHERE pid = pg_backend_pid()), '{what}', {rows};
    RETURN NULL;
END $$;
CREATE TRIGGER harness_{name} AFTER {event} REFERENCING {tables}
    FOR EACH STATEMENT EXECUTE FUNCTION harness.{name}();
"""

_REFERENCING: Final = {
    "INSERT": "NEW TABLE AS new_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
}

# In the order in which the transactions became visible.
_TAKE: Final = """
WITH taken AS (DELETE FROM harness.writes RETURNING *)
SELECT xid::text, pg_xact_commit_timestamp(xid::xid) AS committed, node, what, session_id, run_id,
    before, after, held
FROM taken ORDER BY committed, xid, id"""

_FIRST_MOVE: Final = """
SELECT extract(epoch FROM min(at)) FROM harness.writes
WHERE session_id = %s AND what = 'session moved' AND before = %s AND after IS NOT NULL"""


def install(url: str) -> None:
    """Make the triggers, in a database that has Wingman's tables and no sessions yet."""
    with psycopg.connect(url) as connection:
        connection.execute(_TABLES)
        for what, (event, columns, rows) in _WRITES.items():
            trigger = _TRIGGER.format(
                name=what.replace(" ", "_"),
                what=what,
                event=event,
                columns=columns,
                rows=rows,
                tables=_REFERENCING[event.partition(" ")[0]],
            )
            connection.execute(trigger.encode())


def take_writes(url: str) -> Sequence[Write]:
    """All writes since the last time, in the order of their commits; nothing is under way."""
    with psycopg.connect(url) as connection:
        return connection.cursor(row_factory=class_row(Write)).execute(_TAKE).fetchall()


def owner(url: str, session_id: str) -> int | None:
    """The number of the node that owns this session."""
    with psycopg.connect(url) as connection:
        query = "SELECT node FROM sessions WHERE id = %s"
        row = connection.execute(query, (session_id,)).fetchone()
        return None if row is None else row[0]


def living(url: str) -> set[int]:
    """The numbers of the nodes whose locks are held."""
    with psycopg.connect(url) as connection:
        return {seq for (seq,) in connection.execute("SELECT seq FROM harness.locks").fetchall()}


def first_move(url: str, session_id: str, node: int | None) -> float | None:
    """When another node took this session from this one, as a time of day in seconds."""
    with psycopg.connect(url) as connection:
        row = connection.execute(_FIRST_MOVE, (session_id, node)).fetchone()
        return None if row is None or row[0] is None else float(row[0])
