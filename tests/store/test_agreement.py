"""The stores agree, whatever is written, however it is batched, wherever one is reopened."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from postgres_kit import emptied
from store.samples import (
    agent,
    answered,
    asked,
    call_ended,
    ended,
    moment,
    recorded,
    run,
    session,
    started,
    step_ended,
)
from wingman.api import Credential, Decision, McpServer, PermissionRule, PermissionStatus
from wingman.errors import StoreError
from wingman.store import (
    AgentDeleted,
    AgentSaved,
    CeilingRaised,
    Change,
    Commit,
    CredentialDeleted,
    CredentialSaved,
    McpServerDeleted,
    McpServerSaved,
    MemoryStore,
    RunQueued,
    RunStarted,
    RunSteered,
    SessionClaimed,
    SessionDeleting,
    SessionErased,
    SessionSaved,
    Store,
)
from wingman.store.postgres import PostgresStore
from wingman.store.sqlite import SQLStore

SESSIONS, RUNS, AGENTS = ("s1", "s2"), ("r1", "r2", "r3"), ("a1", "a2")
REQUESTS = ("q1", "q\0")

session_ids, run_ids = st.sampled_from(SESSIONS), st.sampled_from(RUNS)
agent_ids = st.sampled_from(AGENTS)
STATUSES = get_args(PermissionStatus)
NUMBERS = (1, 2, 3)
RULES = (
    "ask",
    {"bash": "ask"},
    {"bash": {"*": "ask", "git *": "allow"}},
    (PermissionRule("a", "deny"),),
)
texts = st.text(st.sampled_from('a\0é\\"🛩'), max_size=5) | st.text(max_size=5)

changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(lambda id, name: AgentSaved(agent(id, name)), agent_ids, texts),
    st.builds(AgentDeleted, agent_ids),
    st.builds(lambda id, key: CredentialSaved(id, Credential(key=key)), agent_ids, texts),
    st.builds(CredentialDeleted, agent_ids),
    st.builds(
        lambda name, text: McpServerSaved(name, McpServer(command=(text or "x",))), agent_ids, texts
    ),
    st.builds(McpServerDeleted, agent_ids),
    st.builds(
        lambda id, title, at, rules: SessionSaved(
            session(id, title=title, updated_at=moment(at), permissions=rules)
        ),
        session_ids,
        st.none() | texts,
        st.integers(0, 99),
        st.none() | st.sampled_from(RULES),
    ),
    st.builds(SessionDeleting, session_ids),
    st.builds(SessionErased, session_ids),
    st.builds(
        lambda id, owner, request, text, rules: RunQueued(
            run(id, owner, request_id=request, message=text, permissions=rules, on_ask="wait")
        ),
        run_ids,
        session_ids,
        st.none() | st.sampled_from(REQUESTS),
        texts,
        st.none() | st.sampled_from(RULES),
    ),
    st.builds(started, run_ids, session_ids, texts),
    st.builds(
        lambda id, owner: RunStarted(owner, id, moment(1.5), None, 1000), run_ids, session_ids
    ),
    st.builds(lambda id, owner: RunSteered(owner, id, moment(2)), run_ids, session_ids),
    st.builds(CeilingRaised, session_ids, st.integers(0, 10_000)),
    st.builds(recorded, run_ids, session_ids, st.integers(1, 5)),
    st.builds(
        lambda number, id, owner, status, long: asked(
            f"{id}-{number}",
            id,
            owner,
            status=status,
            input={"text": "é" * 9000} if long else None,
        ),
        st.sampled_from(NUMBERS),
        run_ids,
        session_ids,
        st.just("pending") | st.sampled_from(STATUSES),
        st.booleans(),
    ),
    st.builds(
        lambda number, id, owner, status, decision, text: answered(
            f"{id}-{number}",
            id,
            owner,
            status=status,
            decision=decision,
            message=text,
            always=(text,),
            input={"text": text},
        ),
        st.sampled_from(NUMBERS),
        run_ids,
        session_ids,
        st.sampled_from(STATUSES),
        st.none() | st.sampled_from(get_args(Decision)),
        texts,
    ),
    st.builds(call_ended, run_ids, session_ids, texts),
    st.builds(step_ended, run_ids, session_ids),
    st.builds(
        lambda id, owner, last: ended(id, owner, last_event_id=last, session_usage=None),
        run_ids,
        session_ids,
        st.none() | st.integers(0, 10_000),
    ),
)
calls = st.lists(changes, min_size=1, max_size=3)
batches = st.lists(calls, min_size=1, max_size=12)


async def everything(store: Store) -> dict[str, Any]:
    """All that the reads of a store show."""
    paged, before = [], None
    while True:
        page = await store.sessions(1, before)
        paged += page.sessions
        before = page.next
        if before is None:
            break
    return {
        "agents": tuple(await store.agents()),
        "credentials": list((await store.credentials()).items()),
        "mcp_servers": list((await store.mcp_servers()).items()),
        "sessions": paged,
        "histories": [await store.session_with_history(id) for id in SESSIONS],
        "deleting": tuple(await store.deleting()),
        "runs": tuple(await store.runs()),
        "unfinished": tuple(await store.runs(statuses=("queued", "running", "waiting"))),
        "newest": [tuple(await store.runs(id, limit=1)) for id in SESSIONS],
        "pages": await pages_of(store),
        "in pages": [await history_of(store, id) for id in SESSIONS],
        "from the end": [
            page and page.messages for page in [await store.message_page(id, 3) for id in SESSIONS]
        ],
        "requests": [await store.run_by_request(s, q) for s in SESSIONS for q in REQUESTS],
        "messages": [tuple(await store.run_messages(id)) for id in RUNS],
        "queues": [await store.session_with_queue(id) for id in SESSIONS],
        "with a queue": list((await store.sessions_with_queue()).items()),
        "all queues": tuple(await store.queues(SESSIONS)),
        "cut off": tuple(await store.cut_off(100)),
        "pending": [await store.pending_step(id) for id in RUNS],
        "asked": [
            await asked_of(store, session_id, statuses)
            for session_id in (None, *SESSIONS)
            for statuses in ((), ("pending",), ("pending", "allowed", "pending"))
        ],
        "asked of runs": [tuple(await store.run_permissions(id)) for id in RUNS],
        "each asked": [
            await store.permission(owner, f"{id}-{number}")
            for owner in SESSIONS
            for id in RUNS
            for number in NUMBERS
        ],
        "granted": [await store.grants(id) for id in SESSIONS],
    }


async def pages_of(store: Any) -> list[Any]:
    """All runs, from page to page: cursors are each store's own."""
    found, before = [], None
    while True:
        page = await store.run_page(None, (), 2, before)
        found.append(page.runs)
        if page.next is None:
            return found
        before = page.next


async def asked_of(store: Any, session_id: str | None, statuses: Any) -> list[Any]:
    """Some permission requests, from page to page."""
    found, before = [], None
    while True:
        page = await store.permissions(session_id, statuses, 2, before)
        found.append(page.requests)
        if page.next is None:
            return found
        before = page.next


async def history_of(store: Any, session_id: str) -> Any:
    page = await store.history_page(session_id)
    return None if page is None else (page.session, page.messages, page.next)


async def refused(commits: list[Commit]) -> list[bool]:
    outcome = []
    for commit in commits:
        try:
            await commit.wait()
        except StoreError:
            outcome.append(True)
        else:
            outcome.append(False)
    return outcome


async def check(script: list[list[list[Change]]], durable: Callable[[], Store]) -> None:
    memory = MemoryStore()
    former = None
    for batch in script:
        async with durable() as store:
            if store.nodes is not None:
                await store.write(*(SessionClaimed(id, former) for id in SESSIONS)).wait()
                former = store.nodes.number
            expected = await refused([memory.write(*call) for call in batch])
            assert await refused([store.write(*call) for call in batch]) == expected
            assert await everything(store) == await everything(memory)
    async with durable() as store:
        assert await everything(store) == await everything(memory)


@settings(max_examples=40, deadline=None)
@given(st.lists(batches, min_size=1, max_size=4))
def test_sqlite_shows_what_memory_shows(script: list[list[list[Change]]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "w.db"
        trio.run(check, script, lambda: SQLStore(path, synchronous="normal"))


@settings(max_examples=8, deadline=None)
@given(st.lists(batches, min_size=1, max_size=2))
def test_postgresql_shows_what_memory_shows(
    postgres_database: str, script: list[list[list[Change]]]
) -> None:
    emptied(postgres_database)
    trio.run(check, script, lambda: PostgresStore(postgres_database))
