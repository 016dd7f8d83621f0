"""The way from an older database to the tables of today: one step a version.

Whoever changes the tables of `schema` appends a step that alters them here. What stands here is
never changed again, so that an old database and a new one take the same way.
"""

from collections.abc import Callable

from wingman.store.sql.connection import Reading

__all__ = ["STEPS"]

_VERSION_1 = (
    """
CREATE TABLE agents (
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    instructions TEXT NOT NULL,
    tools TEXT NOT NULL,
    provider TEXT NOT NULL,
    output_schema TEXT,
    max_steps INTEGER,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (id)
)
""",
    """
CREATE TABLE credentials (
    seq INTEGER NOT NULL,
    provider TEXT NOT NULL,
    credential TEXT NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (provider)
)
""",
    """
CREATE TABLE sessions (
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    work_dir TEXT NOT NULL,
    title TEXT,
    agent_id TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    last_event_id INTEGER NOT NULL,
    event_ceiling INTEGER NOT NULL,
    usage TEXT NOT NULL,
    deleting INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (id)
)
""",
    """
CREATE INDEX sessions_deleting ON sessions (seq) WHERE deleting
""",
    """
CREATE TABLE runs (
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    request_id TEXT,
    body_hash TEXT,
    message TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    agent TEXT,
    max_steps INTEGER,
    status TEXT NOT NULL,
    created_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    steps INTEGER NOT NULL,
    usage TEXT NOT NULL,
    result TEXT,
    error TEXT,
    PRIMARY KEY (seq),
    UNIQUE (id)
)
""",
    """
CREATE UNIQUE INDEX runs_request ON runs (session_id, request_id) WHERE request_id IS NOT NULL
""",
    """
CREATE INDEX runs_unfinished ON runs (seq) WHERE status IN ('queued', 'running')
""",
    """
CREATE INDEX runs_session ON runs (session_id)
""",
    """
CREATE TABLE history (
    seq INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (seq)
)
""",
    """
CREATE INDEX history_run ON history (run_id)
""",
    """
CREATE INDEX history_session ON history (session_id)
""",
    """
CREATE TABLE pending (
    seq INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (seq)
)
""",
    """
CREATE INDEX pending_run ON pending (run_id)
""",
)


def _create(connection: Reading) -> None:
    for statement in _VERSION_1:
        connection.execute(statement.strip())


def _let_messages_have_images(connection: Reading) -> None:
    connection.execute("ALTER TABLE runs ADD COLUMN images TEXT")


def _count_the_cost(connection: Reading) -> None:
    """Runs know what they cost, and a session finds its queue without reading all others' runs."""
    connection.execute("ALTER TABLE runs ADD COLUMN cost REAL")
    connection.execute("DROP INDEX runs_unfinished")
    connection.execute(
        "CREATE INDEX runs_unfinished ON runs (session_id) WHERE status IN ('queued', 'running')"
    )


def _find_runs_by_status(connection: Reading) -> None:
    """A page of runs is found without reading the others, whatever their statuses are.

    Each index has the rows of one status, or of one status in one session, in the order of `seq`.
    """
    connection.execute("DROP INDEX runs_unfinished")
    connection.execute("DROP INDEX runs_session")
    connection.execute("CREATE INDEX runs_status ON runs (status)")
    connection.execute("CREATE INDEX runs_session_status ON runs (session_id, status)")


def _keep_each_agent_once(connection: Reading) -> None:
    """What `runs.agent` held is kept once, in a table of its own, and `runs.agent` is its hash."""
    connection.execute(
        """
CREATE TABLE agent_versions (
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    agent TEXT NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (hash)
)
""".strip()
    )
    connection.execute(
        "INSERT INTO agent_versions (hash, agent)"
        " SELECT sha256(agent), agent FROM runs WHERE agent IS NOT NULL ORDER BY seq"
        " ON CONFLICT (hash) DO NOTHING"
    )
    connection.execute("UPDATE runs SET agent = sha256(agent) WHERE agent IS NOT NULL")
    connection.execute("CREATE INDEX runs_agent ON runs (agent) WHERE agent IS NOT NULL")


def _let_results_refer_to_the_history(connection: Reading) -> None:
    """Of a long result only what is short may be kept; all that there are yet are whole."""
    connection.execute("ALTER TABLE runs ADD COLUMN result_cut INTEGER NOT NULL DEFAULT 0")


def _keep_permissions(connection: Reading) -> None:
    """Requests for a person's answer, and the rules of agents, sessions and runs.

    A page of requests is found without reading the others, as a page of runs is. What waits, and
    what was granted, is in an index of its own: most requests are neither.
    """
    for statement in (
        "ALTER TABLE agents ADD COLUMN permissions TEXT",
        "ALTER TABLE agents ADD COLUMN instruction_files INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE agents ADD COLUMN compaction TEXT",
        "ALTER TABLE sessions ADD COLUMN permissions TEXT",
        "ALTER TABLE runs ADD COLUMN permissions TEXT",
        "ALTER TABLE runs ADD COLUMN on_ask TEXT",
        "ALTER TABLE runs ADD COLUMN steers TEXT",
        "ALTER TABLE runs ADD COLUMN compacts INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN ask_timeout REAL",
        """
CREATE TABLE compactions (
    seq INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    compacted TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (seq)
)
""",
        "CREATE INDEX compactions_session ON compactions (session_id)",
        """
CREATE TABLE permissions (
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    tool_use_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    action TEXT NOT NULL,
    resources TEXT NOT NULL,
    always TEXT NOT NULL,
    input TEXT,
    status TEXT NOT NULL,
    decision TEXT,
    message TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    resolved_at TEXT,
    PRIMARY KEY (seq),
    UNIQUE (id)
)
""",
        "CREATE INDEX permissions_status ON permissions (status)",
        "CREATE INDEX permissions_session_status ON permissions (session_id, status)",
        "CREATE INDEX permissions_run ON permissions (run_id)",
        "CREATE INDEX permissions_pending ON permissions (run_id) WHERE status = 'pending'",
        "CREATE INDEX permissions_always ON permissions (session_id) WHERE decision = 'always'",
    ):
        connection.execute(statement.strip())


def _let_agents_have_toolsets(connection: Reading) -> None:
    """Agents name toolsets, MCP servers are kept, and tools ask questions."""
    connection.execute("ALTER TABLE permissions ADD COLUMN schema TEXT")
    connection.execute("ALTER TABLE agents ADD COLUMN toolsets TEXT NOT NULL DEFAULT '[]'")
    connection.execute(
        """
CREATE TABLE mcp_servers (
    seq INTEGER NOT NULL,
    name TEXT NOT NULL,
    server TEXT NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (name)
)
""".strip()
    )


def _let_sessions_have_nodes(connection: Reading) -> None:
    """A session has an owner where many nodes share a database, and may need one with a label."""
    connection.execute("ALTER TABLE sessions ADD COLUMN node INTEGER")
    connection.execute("ALTER TABLE sessions ADD COLUMN label TEXT")
    connection.execute("CREATE INDEX sessions_node ON sessions (node) WHERE node IS NOT NULL")


def _keep_passes(connection: Reading) -> None:
    """Links and logins of the console hold in all processes that share the database."""
    connection.execute(
        """
CREATE TABLE passes (
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    ends_at TEXT NOT NULL,
    taken_by TEXT,
    PRIMARY KEY (seq),
    UNIQUE (hash)
)
""".strip()
    )


STEPS: tuple[Callable[[Reading], None], ...] = (
    _create,
    _let_messages_have_images,
    _count_the_cost,
    _find_runs_by_status,
    _keep_each_agent_once,
    _let_results_refer_to_the_history,
    _keep_permissions,
    _let_agents_have_toolsets,
    _let_sessions_have_nodes,
    _keep_passes,
)
"""What makes version n + 1 of the schema from version n, for each n from 0."""
