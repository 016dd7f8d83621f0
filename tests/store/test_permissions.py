"""Permission requests, as every store keeps them; and what SQLite's are made of."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from store.faults import FailingCommits
from store.samples import (
    admit,
    agent,
    answered,
    asked,
    call_ended,
    ended,
    moment,
    recorded,
    request,
    run,
    session,
    started,
    step_ended,
)
from wingman.api import PermissionRule
from wingman.errors import StoreError, StoreUnavailable
from wingman.store import (
    AgentSaved,
    Chain,
    RunQueued,
    SessionDeleting,
    SessionErased,
    SessionSaved,
    Store,
)
from wingman.store.listing import INPUT_BYTES
from wingman.store.sql.batch import write_together
from wingman.store.sql.permissions import run_permissions
from wingman.store.sql.versions import STEPS
from wingman.store.sqlite import SQLStore
from wingman.store.sqlite.connection import Connection


async def status(store: Store, run_id: str = "r1") -> str:
    found = await store.run(None, run_id)
    assert found is not None
    return found.status


async def listed(
    store: Store, session_id: str | None = None, statuses: Any = ("pending",)
) -> list[str]:
    page = await store.permissions(session_id, statuses, 100)
    assert page.next is None
    return [each.id for each in page.requests]


async def statuses_of(store: Store, run_id: str = "r1") -> dict[str, str]:
    return {each.id: each.status for each in await store.run_permissions(run_id)}


# --- asking and answering -------------------------------------------------------------------------


async def test_a_request_comes_back_whole_and_its_run_is_waiting(store: Store) -> None:
    admit(store)
    await store.write(started(), recorded(), asked()).wait()
    assert await status(store) == "waiting"
    assert await store.permission("s1", "p1") == request()
    assert tuple(await store.run_permissions("r1")) == (request(),)
    for session_id in ("s1", None):
        assert (await store.permissions(session_id, (), 10)).requests == (request(),)


@pytest.mark.parametrize(
    "fields",
    [
        {"input": None},
        {"input": {}},
        {"input": {"n": 10**30, "text": "a\0é🛩", "deep": [{"x": [None, 1.5, True]}]}},
        {"resources": (), "always": ()},
        {"expires_at": None},
        {"tool": "a\0b", "action": "é", "tool_use_id": ""},
    ],
    ids=repr,
)
async def test_a_request_comes_back_as_it_was_asked(store: Store, fields: dict[str, Any]) -> None:
    admit(store)
    await store.write(started(), asked(**fields)).wait()
    assert await store.permission("s1", "p1") == request(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"decision": "always", "message": "Go on."},
        {"status": "rejected", "decision": "reject", "message": "No.\0é"},
        {"input": {"command": "ls -l"}},
        {"status": "cancelled", "decision": None},
        {"status": "expired", "decision": None},
    ],
    ids=repr,
)
async def test_a_request_that_is_resolved_is_as_the_change_has_it_and_its_run_goes_on(
    store: Store, fields: dict[str, Any]
) -> None:
    admit(store)
    store.write(started(), recorded(), asked())
    resolved = answered(**fields)
    await store.write(resolved).wait()
    assert await store.permission("s1", "p1") == resolved.request
    assert await status(store) == "running"
    assert await listed(store) == []


async def test_a_run_waits_until_none_of_its_requests_does(store: Store) -> None:
    admit(store)
    store.write(started(), recorded(), asked("p1"), asked("p2"), asked("p3"))
    await store.write(answered("p2")).wait()
    assert await status(store) == "waiting"
    await store.write(answered("p1", status="rejected", decision="reject"), call_ended()).wait()
    assert await status(store) == "waiting"
    await store.write(answered("p3")).wait()
    assert await status(store) == "running"
    assert [each.id for each in await store.run_permissions("r1")] == ["p1", "p2", "p3"]


async def test_a_run_waits_again_where_a_later_step_asks(store: Store) -> None:
    admit(store)
    store.write(started(), recorded(), asked("p1"), answered("p1"), call_ended(), step_ended())
    await store.write(recorded(step=2), asked("p2")).wait()
    assert await status(store) == "waiting"
    assert await statuses_of(store) == {"p1": "allowed", "p2": "pending"}


async def test_only_the_first_answer_counts(store: Store) -> None:
    admit(store)
    first = answered(status="rejected", decision="reject", message="No.")
    await store.write(started(), asked(), first, answered(decision="always")).wait()
    await store.write(answered(input={"other": True})).wait()
    assert await store.permission("s1", "p1") == first.request
    assert await store.grants("s1") == frozenset()


async def test_two_answers_that_share_a_commit_do_not_mix(store: Store) -> None:
    admit(store)
    await store.write(started(), asked("p1"), asked("p2")).wait()
    first, other = answered("p1"), answered("p2", status="expired", decision=None)
    store.write(first)
    store.write(other)
    await store.write(answered("p1", status="rejected"), answered("p2")).wait()
    assert tuple(await store.run_permissions("r1")) == (first.request, other.request)
    assert await status(store) == "running"


async def test_a_request_that_is_asked_again_stays_as_it_is(store: Store) -> None:
    admit(store)
    await store.write(started(), recorded(), asked()).wait()
    await store.write(recorded(), asked(tool="other")).wait()
    assert await store.permission("s1", "p1") == request()
    await store.write(answered(), asked()).wait()
    assert await statuses_of(store) == {"p1": "allowed"}
    assert await status(store) == "running"


@pytest.mark.parametrize(
    ("run_id", "session_id"), [("r1", "s2"), ("r2", "s1"), ("r9", "s1"), ("r1", "s9")]
)
async def test_a_request_of_a_run_that_is_not_there_is_dropped(
    store: Store, run_id: str, session_id: str
) -> None:
    admit(store, "r1", "s1")
    admit(store, "r2", "s2")
    await store.write(started(), asked("p1", run_id, session_id)).wait()
    assert await listed(store, None, ()) == []
    assert (await status(store, "r1"), await status(store, "r2")) == ("running", "queued")


@pytest.mark.parametrize(("run_id", "session_id"), [("r1", "s2"), ("r2", "s2"), ("r9", "s1")])
async def test_an_answer_to_a_request_of_another_run_changes_nothing(
    store: Store, run_id: str, session_id: str
) -> None:
    admit(store, "r1", "s1")
    admit(store, "r2", "s2")
    await store.write(started(), asked("p1"), answered("p1", run_id, session_id)).wait()
    assert await statuses_of(store) == {"p1": "pending"}
    assert await status(store) == "waiting"


async def test_an_answer_to_nothing_changes_nothing(store: Store) -> None:
    admit(store)
    await store.write(started(), answered("p7")).wait()
    assert await listed(store, None, ()) == []
    assert await status(store) == "running"


# --- the run around it ----------------------------------------------------------------------------


async def test_a_run_that_waits_keeps_its_step_and_takes_results(store: Store) -> None:
    admit(store)
    await store.write(started(), recorded(), asked("p1"), asked("p2")).wait()
    await store.write(call_ended(content="while it waits")).wait()
    await store.write(answered("p1"), call_ended(content="after")).wait()
    assert await status(store) == "waiting"
    pending = await store.pending_step("r1")
    assert pending is not None
    assert [each.content for each in pending.results] == ["while it waits", "after"]


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "interrupted"])
async def test_the_end_of_a_run_cancels_what_of_it_waits(store: Store, end: Any) -> None:
    for run_id, session_id in (("r1", "s1"), ("r2", "s2")):
        admit(store, run_id, session_id)
        store.write(started(run_id, session_id))
        store.write(*(asked(f"{run_id}-{n}", run_id, session_id) for n in (1, 2, 3)))
    await store.write(answered("r1-2"), ended(status=end, ended_at=moment(77))).wait()
    found = {each.id: each for each in await store.run_permissions("r1")}
    assert found["r1-1"] == request("r1-1", status="cancelled", resolved_at=moment(77))
    assert found["r1-3"] == request("r1-3", status="cancelled", resolved_at=moment(77))
    assert await statuses_of(store, "r2") == dict.fromkeys(("r2-1", "r2-2", "r2-3"), "pending")
    assert (await status(store, "r1"), await status(store, "r2")) == (end, "waiting")
    await store.write(answered("r1-1")).wait()
    assert await store.permission("s1", "r1-1") == found["r1-1"]
    assert await status(store, "r1") == end


async def test_runs_that_end_together_each_cancel_their_own(store: Store) -> None:
    for number in range(5):
        admit(store, f"r{number}", f"s{number}")
        await store.write(
            started(f"r{number}", f"s{number}"), asked(f"p{number}", f"r{number}", f"s{number}")
        ).wait()
    for number in (0, 1, 3):
        store.write(ended(f"r{number}", f"s{number}", ended_at=moment(number)))
    await store.write(started("r9", "s9")).wait()
    assert await listed(store) == ["p4", "p2"]
    for number in (0, 1, 3):
        found = await store.permission(f"s{number}", f"p{number}")
        assert found is not None
        assert (found.status, found.resolved_at) == ("cancelled", moment(number))


async def test_a_run_that_waits_is_of_the_queue_and_is_not_cut_off(store: Store) -> None:
    admit(store)
    store.write(RunQueued(run("r2")), RunQueued(run("r3")))
    await store.write(started(), recorded(), asked()).wait()
    found = await store.session_with_queue("s1")
    assert found is not None
    assert [(each.id, each.status) for each in found[1]] == [
        ("r1", "waiting"),
        ("r2", "queued"),
        ("r3", "queued"),
    ]
    assert tuple(await store.queues(("s1",))) == (found,)
    assert await store.sessions_with_queue() == {"s1": 3}
    assert tuple(await store.cut_off(10)) == ()
    await store.write(answered()).wait()
    assert await store.sessions_with_queue() == {"s1": 2}
    assert [each.run.id for each in await store.cut_off(10)] == ["r1"]


async def test_sessions_with_a_queue_come_in_the_order_of_their_oldest_run_that_waits(
    store: Store,
) -> None:
    for number in (1, 2, 3):
        admit(store, f"r{number}", f"s{number}")
    store.write(started("r2", "s2"), asked("p2", "r2", "s2"), started("r1", "s1"))
    await store.write(RunQueued(run("r4", "s2")), RunQueued(run("r5", "s1"))).wait()
    assert list((await store.sessions_with_queue()).items()) == [("s2", 2), ("s3", 1), ("s1", 1)]


async def test_a_page_of_runs_has_those_that_wait(store: Store) -> None:
    for number in (1, 2, 3):
        admit(store, f"r{number}", f"s{number}")
        store.write(started(f"r{number}", f"s{number}"))
    await store.write(asked("p1", "r1", "s1"), asked("p3", "r3", "s3")).wait()
    page = await store.run_page(None, ("waiting",), 10)
    assert [each.record.id for each in page.runs] == ["r3", "r1"]
    page = await store.run_page("s1", ("waiting", "queued"), 10)
    assert [each.record.id for each in page.runs] == ["r1"]
    page = await store.run_page(None, ("waiting", "cancelling"), 10, None, {"r3"})
    assert [each.record.id for each in page.runs] == ["r3", "r1"]
    page = await store.run_page(None, ("waiting",), 10, None, {"r3"})
    assert [each.record.id for each in page.runs] == ["r1"]
    assert [each.id for each in await store.runs(statuses=("running",))] == ["r2"]


# --- lists and grants -----------------------------------------------------------------------------


async def test_requests_are_paged_newest_first_and_a_page_does_not_shift(store: Store) -> None:
    for id in ("s1", "s2"):
        admit(store, f"r-{id}", id)
        store.write(started(f"r-{id}", id))
    for number in range(6):
        owner = "s1" if number % 2 else "s2"
        await store.write(asked(f"p{number}", f"r-{owner}", owner)).wait()
    await store.write(answered("p3", "r-s1", "s1")).wait()
    assert await listed(store) == ["p5", "p4", "p2", "p1", "p0"]
    assert await listed(store, "s1") == ["p5", "p1"]
    assert await listed(store, "s1", ()) == ["p5", "p3", "p1"]
    assert await listed(store, None, ("allowed",)) == ["p3"]
    assert await listed(store, "s2", ("allowed", "expired")) == []
    assert await listed(store, None, ("allowed", "pending", "allowed")) == [
        "p5",
        "p4",
        "p3",
        "p2",
        "p1",
        "p0",
    ]
    assert await listed(store, "s3", ()) == []
    first = await store.permissions(None, ("pending",), 2)
    assert [each.id for each in first.requests] == ["p5", "p4"]
    await store.write(asked("p6", "r-s1", "s1"), answered("p5", "r-s1", "s1")).wait()
    second = await store.permissions(None, ("pending",), 3, first.next)
    assert [each.id for each in second.requests] == ["p2", "p1", "p0"]
    assert second.next is None


@pytest.mark.parametrize("letter", ["x", "é", "🛩", '"', "\0"])
async def test_a_list_leaves_out_an_input_that_is_too_long_and_says_so(
    store: Store, letter: str
) -> None:
    admit(store)
    around = len(msgspec.json.encode({"text": ""}))
    size = len(msgspec.json.encode(letter)) - 2
    fits = (INPUT_BYTES - around) // size
    whole, long = {"text": letter * fits}, {"text": letter * (fits + 1)}
    assert len(msgspec.json.encode(whole)) <= INPUT_BYTES < len(msgspec.json.encode(long))
    await store.write(started(), asked("p1", input=whole), asked("p2", input=long)).wait()
    for session_id in (None, "s1"):
        for statuses in (("pending",), ()):
            page = await store.permissions(session_id, statuses, 10)  # type: ignore[arg-type]
            assert page.requests == (
                request("p2", input=None, cut=True),
                request("p1", input=whole),
            )
    assert await store.permission("s1", "p2") == request("p2", input=long)
    assert tuple(await store.run_permissions("r1"))[1] == request("p2", input=long)
    await store.write(answered("p1", input=long), answered("p2", input=whole)).wait()
    page = await store.permissions(None, (), 10)
    assert [(each.id, each.cut) for each in page.requests] == [("p2", False), ("p1", True)]


async def test_grants_are_what_was_answered_with_always(store: Store) -> None:
    admit(store, "r1", "s1")
    admit(store, "r2", "s2")
    store.write(started(), started("r2", "s2"))
    store.write(asked("p1", always=("ls *", "cat *")), asked("p2"), asked("p3"), asked("p4"))
    store.write(asked("q1", "r2", "s2", action="edit", always=("src/*",)))
    store.write(answered("p1", decision="always", always=("ls *", "cat *")))
    store.write(answered("p2", always=("rm *",)))
    store.write(answered("p3", status="rejected", decision="reject", always=("mv *",)))
    await store.write(
        answered("q1", "r2", "s2", action="edit", always=("src/*",), decision="always")
    ).wait()
    assert await store.grants("s1") == {("bash", "ls *"), ("bash", "cat *")}
    assert await store.grants("s2") == {("edit", "src/*")}
    assert await store.grants("s3") == frozenset()
    await store.write(ended(), SessionDeleting("s2")).wait()
    assert await store.grants("s1") == {("bash", "ls *"), ("bash", "cat *")}
    assert await store.grants("s2") == frozenset()


async def test_what_is_granted_twice_is_granted_once(store: Store) -> None:
    admit(store)
    store.write(started(), asked("p1"), asked("p2"))
    await store.write(answered("p1", decision="always"), answered("p2", decision="always")).wait()
    assert await store.grants("s1") == {("bash", "ls *")}


# --- sessions that go -----------------------------------------------------------------------------


async def test_requests_of_a_session_that_is_being_deleted_are_shown_by_no_read(
    store: Store,
) -> None:
    admit(store)
    store.write(started(), asked("p1"), asked("p2"), answered("p2", decision="always"))
    await store.write(SessionDeleting("s1"), asked("p3"), answered("p1")).wait()
    for session_id in (None, "s1"):
        assert await listed(store, session_id) == await listed(store, session_id, ()) == []
    assert await store.permission("s1", "p1") is None
    assert tuple(await store.run_permissions("r1")) == ()
    assert await store.grants("s1") == frozenset()
    assert await store.sessions_with_queue() == {}
    assert tuple(await store.queues(("s1",))) == ()
    await store.write(ended()).wait()
    assert await listed(store, None, ()) == []


async def test_an_erased_session_leaves_no_request(store: Store) -> None:
    for id in ("s1", "s2"):
        admit(store, f"r-{id}", id)
        store.write(started(f"r-{id}", id), asked(f"p-{id}", f"r-{id}", id))
        store.write(asked(f"q-{id}", f"r-{id}", id))
        store.write(answered(f"q-{id}", f"r-{id}", id, decision="always"))
    await store.write(SessionErased("s1")).wait()
    assert await listed(store, None, ()) == ["q-s2", "p-s2"]
    await store.write(SessionSaved(session()), RunQueued(run("r-s1"))).wait()
    assert await listed(store, "s1", ()) == []
    assert tuple(await store.run_permissions("r-s1")) == ()
    assert await store.grants("s1") == frozenset()
    await store.write(started("r-s1"), asked("p-s1", "r-s1")).wait()
    assert await listed(store) == ["p-s1", "p-s2"]


# --- rules ----------------------------------------------------------------------------------------

FORMS: list[Any] = [
    None,
    "ask",
    {},
    (),
    {"bash": "ask", "é": {"*": "deny", "git status*": "allow"}},
    (PermissionRule("bash", "ask"), PermissionRule("*", "deny", "a\0b")),
]


@pytest.mark.parametrize("form", FORMS, ids=repr)
async def test_the_rules_of_agents_sessions_and_runs_come_back_as_they_were(
    store: Store, form: Any
) -> None:
    smith = msgspec.structs.replace(agent(), permissions=form)
    new = run(permissions=form, agent=smith, on_ask="reject", ask_timeout=1.5)
    store.write(AgentSaved(smith), SessionSaved(session(permissions=form)))
    await store.write(RunQueued(new)).wait()
    assert tuple(await store.agents()) == (smith,)
    assert await store.session("s1") == session(permissions=form)
    assert await store.run("s1", "r1") == new
    found = await store.session_with_queue("s1")
    assert found is not None
    assert found[1] == (new,)
    # A list has little of a run, and its rules may be long.
    page = await store.run_page(None, (), 10)
    assert (page.runs[0].record.permissions, page.runs[0].record.on_ask) == (None, "reject")


async def test_the_rules_of_an_agent_and_of_a_session_change(store: Store) -> None:
    store.write(AgentSaved(agent()), SessionSaved(session()))
    changed = msgspec.structs.replace(agent(), permissions="deny")
    await store.write(
        AgentSaved(changed), SessionSaved(session(permissions={"bash": "ask"}))
    ).wait()
    assert await store.agent("a1") == changed
    assert await store.session("s1") == session(permissions={"bash": "ask"})


# --- SQLite ---------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "w.db"


@pytest.fixture
async def sql(path: Path) -> AsyncIterator[SQLStore]:
    async with SQLStore(path, synchronous="normal") as store:
        yield store


async def test_requests_outlast_the_process(path: Path) -> None:
    async with SQLStore(path, synchronous="normal") as store:
        admit(store)
        store.write(started(), recorded(), asked("p1"), asked("p2"))
        await store.write(answered("p2", decision="always", message="Go on.")).wait()
        before = [await store.permissions(None, (), 10), await store.grants("s1")]
    async with SQLStore(path, synchronous="normal") as store:
        assert [await store.permissions(None, (), 10), await store.grants("s1")] == before
        assert await status(store) == "waiting"
        assert await store.pending_step("r1") is not None


def test_the_asks_of_a_step_share_a_statement_in_a_batch() -> None:
    with closing(sqlite3.connect(":memory:", factory=Connection)) as connection:
        for step in STEPS:
            step(connection)
        write_together(connection, [SessionSaved(session()), RunQueued(run()), started()])
        said: list[str] = []
        connection.set_trace_callback(said.append)
        write_together(connection, [recorded(), *(asked(f"p{number}") for number in range(8))])
        connection.set_trace_callback(None)
        assert sum("INSERT INTO permissions" in text for text in said) == 1
        assert sum("UPDATE runs" in text for text in said) == 1
        found = run_permissions(connection, "r1")
        assert [each.id for each in found] == [f"p{number}" for number in range(8)]


def test_the_end_of_a_run_updates_no_request_while_none_waits() -> None:
    with closing(sqlite3.connect(":memory:", factory=Connection)) as connection:
        for step in STEPS:
            step(connection)
        runs = [RunQueued(run()), RunQueued(run("r2")), RunQueued(run("r3"))]
        write_together(connection, [SessionSaved(session()), *runs, started(), asked(), answered()])
        said: list[str] = []
        connection.set_trace_callback(said.append)
        write_together(connection, [ended("r2")])
        assert not any("UPDATE permissions" in text for text in said)
        write_together(connection, [ended("r2")])
        looks = sum("SELECT 1 FROM permissions" in text for text in said)
        assert looks == 1
        write_together(connection, [asked("p2"), ended("r3"), ended("r1", ended_at=moment(9))])
        connection.set_trace_callback(None)
        found = {each.id: each.resolved_at for each in run_permissions(connection, "r1")}
        assert found == {"p1": moment(2.5), "p2": moment(9)}


async def test_a_step_and_its_asks_are_committed_together_or_not_at_all(path: Path) -> None:
    store = SQLStore(path, synchronous="normal", probe_every=0.05)
    faults = FailingCommits(store)
    async with store:
        admit(store)
        await store.write(started()).wait()
        faults.fail_all()
        chain = Chain()
        step = store.write(recorded(), asked("p1"), asked("p2"), chain=chain)
        with pytest.raises(StoreUnavailable):
            await step.wait()
        assert await status(store) == "running"
        assert (await store.permissions(None, (), 10)).requests == ()
        with pytest.raises(StoreUnavailable):
            await store.write(answered("p1"), chain=chain).wait()
        faults.mend()
        await store.wait_until_well()
        # Whoever was told that it failed may write the same again, and it may be safe already.
        for _ in range(2):
            await store.write(recorded(), asked("p1"), asked("p2")).wait()
        assert await statuses_of(store) == {"p1": "pending", "p2": "pending"}
        assert await status(store) == "waiting"


async def test_an_answer_that_could_not_be_committed_leaves_the_request_as_it_was(
    path: Path,
) -> None:
    store = SQLStore(path, synchronous="normal", probe_every=0.05)
    faults = FailingCommits(store)
    async with store:
        admit(store)
        await store.write(started(), asked()).wait()
        for change in (answered(decision="always"), ended()):
            faults.fail_all()
            with pytest.raises(StoreUnavailable):
                await store.write(change).wait()
            faults.mend()
            await store.wait_until_well()
            assert await store.permission("s1", "p1") == request()
            assert await status(store) == "waiting"
        assert await store.grants("s1") == frozenset()


async def test_what_was_found_out_in_a_commit_that_failed_is_forgotten(path: Path) -> None:
    """The commit ended the last request and looked for another one: but the request still waits."""
    store = SQLStore(path, synchronous="normal", probe_every=0.05)
    faults = FailingCommits(store)
    async with store:
        admit(store)
        await store.write(started(), asked()).wait()
        faults.fail_all()
        with pytest.raises(StoreUnavailable):
            await store.write(answered(), ended()).wait()
        faults.mend()
        await store.wait_until_well()
        await store.write(ended()).wait()
        assert await statuses_of(store) == {"p1": "cancelled"}


async def test_a_request_that_cannot_be_encoded_fails_alone(sql: SQLStore) -> None:
    admit(sql)
    await sql.write(started()).wait()
    bad = sql.write(asked("p1"), asked("p2", input={"x": object()}))
    good = sql.write(asked("p3"))
    with pytest.raises(StoreError):
        await bad.wait()
    await good.wait()
    assert await statuses_of(sql) == {"p3": "pending"}


async def test_a_person_can_read_requests(sql: SQLStore, path: Path) -> None:
    admit(sql)
    await sql.write(started(), asked(), answered(message="Go on.")).wait()
    with closing(sqlite3.connect(path, factory=Connection)) as connection:
        rows = connection.execute(
            "SELECT id, input ->> '$.command', resources ->> 0, status, decision, message,"
            " resolved_at FROM permissions"
        ).fetchall()
    at = "2025-05-17T12:00:02.500000+00:00"
    assert rows == [("p1", "ls", "ls", "allowed", "once", "Go on.", at)]
