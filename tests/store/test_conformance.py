"""What every store does."""

from contextlib import suppress

import msgspec
import pytest
import trio

from store.samples import (
    ANSWER,
    ASKS,
    USAGE,
    admit,
    agent,
    call_ended,
    ended,
    moment,
    recorded,
    run,
    session,
    started,
    step_ended,
    turn,
)
from wingman.api import Credential, McpServer, RunFailure
from wingman.conversation import ImageBlock, Message
from wingman.errors import StoreError
from wingman.events import Result, ToolCallResult
from wingman.store import (
    MOST_PASSES,
    AgentDeleted,
    AgentSaved,
    CeilingRaised,
    Chain,
    Commit,
    CredentialDeleted,
    CredentialSaved,
    McpServerDeleted,
    McpServerSaved,
    Pass,
    PassIssued,
    PassTaken,
    PendingStep,
    RunQueued,
    RunStarted,
    RunSteered,
    SessionDeleting,
    SessionErased,
    SessionSaved,
    StepEnded,
    StepRecorded,
    Store,
)


async def test_agents_come_back_whole_oldest_first(store: Store) -> None:
    await store.write(AgentSaved(agent("a2")), AgentSaved(agent("a1"))).wait()
    assert tuple(await store.agents()) == (agent("a2"), agent("a1"))
    assert await store.agent("a1") == agent("a1")
    assert await store.agent("a3") is None


async def test_an_agent_that_changes_keeps_its_place_and_one_that_comes_back_does_not(
    store: Store,
) -> None:
    store.write(AgentSaved(agent("a1")), AgentSaved(agent("a2")))
    await store.write(AgentSaved(agent("a1", "Grace", at=5))).wait()
    assert tuple(await store.agents()) == (agent("a1", "Grace", at=5), agent("a2"))
    store.write(AgentDeleted("a1"))
    await store.write(AgentSaved(agent("a1"))).wait()
    assert tuple(await store.agents()) == (agent("a2"), agent("a1"))


async def test_credentials_are_kept_by_provider_the_last_one_counts(store: Store) -> None:
    last = Credential(key="sk-2", base_url="http://localhost")
    store.write(CredentialSaved("openai", Credential(key="sk-1")))
    store.write(CredentialSaved("ollama", Credential(base_url="http://localhost:11434")))
    store.write(CredentialSaved("openai", last))
    await store.write(CredentialDeleted("ollama")).wait()
    assert await store.credentials() == {"openai": last}


async def test_a_pass_is_taken_once_and_goes_with_its_time(store: Store) -> None:
    assert await store.find_pass("h1") is None
    store.write(PassIssued("h1", moment(), moment(60)))
    store.write(PassTaken("h1", "one"))
    store.write(PassTaken("h1", "two"))
    await store.write(PassTaken("h0", "nobody's"), PassIssued("h2", moment(1), moment(10))).wait()
    assert await store.find_pass("h0") is None
    assert await store.find_pass("h1") == Pass(moment(60), "one")
    assert await store.find_pass("h2") == Pass(moment(10))
    await store.write(PassIssued("h3", moment(10), moment(60))).wait()
    assert await store.find_pass("h2") is None
    assert await store.find_pass("h1") == Pass(moment(60), "one")


async def test_the_newest_passes_are_kept(store: Store) -> None:
    issued = [PassIssued(f"h{n}", moment(), moment(60)) for n in range(MOST_PASSES + 1)]
    await store.write(*issued[:-1]).wait()
    assert await store.find_pass("h0") == Pass(moment(60))
    await store.write(issued[-1]).wait()
    assert await store.find_pass("h0") is None
    assert await store.find_pass("h1") == Pass(moment(60))


async def test_mcp_servers_are_kept_by_name_the_last_one_counts(store: Store) -> None:
    local = McpServer(command=("uvx", "mcp-server-git"), env={"KEY": "é"}, tools=("status",))
    store.write(McpServerSaved("git", McpServer(url="http://localhost/mcp")))
    store.write(McpServerSaved("web", McpServer(url="http://localhost/mcp", enabled=False)))
    store.write(McpServerSaved("git", local))
    await store.write(McpServerDeleted("web")).wait()
    assert await store.mcp_servers() == {"git": local}


async def test_saving_a_session_again_changes_what_is_its_own_and_no_counter(store: Store) -> None:
    store.write(SessionSaved(session()), *turn("r1", "s1"))
    later = session(
        title="A title",
        work_dir="/elsewhere",
        agent_id=None,
        created_at=moment(50),
        updated_at=moment(60),
        last_event_id=77,
    )
    await store.write(SessionSaved(later)).wait()
    assert await store.session("s1") == session(
        title="A title",
        work_dir="/elsewhere",
        agent_id=None,
        updated_at=moment(60),
        last_event_id=12,
        event_ceiling=1000,
        usage=USAGE + USAGE,
    )


async def test_sessions_are_paged_newest_first(store: Store) -> None:
    for number in range(5):
        store.write(SessionSaved(session(f"s{number}")))
    await store.write(SessionDeleting("s3")).wait()
    first = await store.sessions(2)
    assert [each.id for each in first.sessions] == ["s4", "s2"]
    second = await store.sessions(2, before=first.next)
    assert [each.id for each in second.sessions] == ["s1", "s0"]
    assert second.next is None


async def test_a_page_does_not_shift_when_a_session_comes(store: Store) -> None:
    for number in range(3):
        await store.write(SessionSaved(session(f"s{number}"))).wait()
    first = await store.sessions(1)
    await store.write(SessionSaved(session("s9"))).wait()
    assert [each.id for each in (await store.sessions(5, first.next)).sessions] == ["s1", "s0"]


async def test_a_run_is_read_back_as_it_was_admitted(store: Store) -> None:
    admitted = run(
        images=(ImageBlock("image/png", "AAAA"),),
        request_id="q1",
        body_hash="abc",
        max_steps=3,
        agent=agent(),
        message="Nul \x00, é, 🛩, \\",
    )
    await store.write(SessionSaved(session()), RunQueued(admitted)).wait()
    assert await store.run("s1", "r1") == admitted
    assert await store.run_by_request("s1", "q1") == admitted
    assert await store.run("s2", "r1") is None
    assert await store.run_by_request("s1", "q2") is None


async def test_a_run_that_starts_puts_its_message_into_the_history(store: Store) -> None:
    admit(store)
    await store.write(started()).wait()
    assert await store.run("s1", "r1") == run(status="running", started_at=moment(1.5))
    assert await store.session_with_history("s1") == (
        session(event_ceiling=1000),
        (Message.user("Hello"),),
    )


async def test_a_step_under_way_is_kept_with_the_results_that_came(store: Store) -> None:
    admit(store)
    await store.write(recorded()).wait()
    assert await store.pending_step("r1") == PendingStep(1, ASKS, USAGE, ())
    await store.write(call_ended()).wait()
    assert await store.pending_step("r1") == PendingStep(1, ASKS, USAGE, (ANSWER,))


async def test_a_step_recorded_replaces_the_one_before_with_its_results(store: Store) -> None:
    admit(store)
    store.write(recorded(), call_ended())
    await store.write(recorded(step=2)).wait()
    assert await store.pending_step("r1") == PendingStep(2, ASKS, USAGE, ())


async def test_a_result_without_a_step_under_way_is_dropped(store: Store) -> None:
    admit(store)
    await store.write(call_ended(), recorded()).wait()
    assert await store.pending_step("r1") == PendingStep(1, ASKS, USAGE, ())


async def test_a_step_that_ends_enters_the_history_and_is_pending_no_more(store: Store) -> None:
    admit(store)
    await store.write(started(), recorded(), call_ended(), step_ended()).wait()
    assert await store.pending_step("r1") is None
    whole = (Message.user("Hello"), ASKS, Message("user", (ANSWER,)))
    assert await store.session_with_history("s1") == (
        session(event_ceiling=1000, last_event_id=9),
        whole,
    )
    assert await store.run("s1", "r1") == run(
        status="running", started_at=moment(1.5), steps=1, usage=USAGE
    )
    assert await store.run_messages("r1") == whole


async def test_a_run_that_ends_leaves_its_result_and_its_last_messages(store: Store) -> None:
    admit(store)
    await store.write(started(), recorded(), ended()).wait()
    after = await store.run("s1", "r1")
    assert after == run(
        status="completed",
        started_at=moment(1.5),
        ended_at=moment(3),
        result=ended().result,
        usage=USAGE,
        steps=2,
    )
    assert isinstance(after.result, Result)
    assert await store.pending_step("r1") is None
    assert await store.session_with_history("s1") == (
        session(updated_at=moment(3), usage=USAGE + USAGE, last_event_id=12, event_ceiling=1000),
        (Message.user("Hello"), *ended().messages),
    )


async def test_a_run_that_had_not_started_leaves_the_sessions_counters_alone(store: Store) -> None:
    store.write(SessionSaved(session(last_event_id=5, event_ceiling=6, usage=USAGE)))
    cancelled = ended(
        status="cancelled",
        messages=(),
        result=None,
        session_usage=None,
        last_event_id=None,
        error=RunFailure("cancelled", "Somebody cancelled it."),
    )
    await store.write(RunQueued(run()), cancelled).wait()
    assert await store.session("s1") == session(
        last_event_id=5, event_ceiling=6, usage=USAGE, updated_at=moment(3)
    )
    after = await store.run("s1", "r1")
    assert after is not None
    assert (after.result, after.error) == (None, cancelled.error)


async def test_a_ceiling_that_is_raised_is_the_sessions(store: Store) -> None:
    admit(store)
    store.write(CeilingRaised("s1", 2000))
    await store.write(CeilingRaised("s1", 3000)).wait()
    assert await store.session("s1") == session(event_ceiling=3000)


async def test_what_a_run_has_cost_is_kept_with_its_usage(store: Store) -> None:
    store.write(SessionSaved(session()), RunQueued(run(cost=0.5)), started())
    await store.write(StepRecorded("s1", "r1", 1, ASKS, USAGE, cost=1.25)).wait()
    assert await store.pending_step("r1") == PendingStep(1, ASKS, USAGE, (), cost=1.25)

    async def cost() -> float | None:
        record = await store.run("s1", "r1")
        assert record is not None
        return record.cost

    assert await cost() == 0.5
    await store.write(msgspec.structs.replace(step_ended(), cost=1.5)).wait()
    assert await cost() == 1.5
    await store.write(ended(cost=2.75)).wait()
    assert await cost() == 2.75
    assert await store.run("s1", "r1") == (await store.runs())[0]


async def test_a_step_of_a_run_of_another_session_is_dropped(store: Store) -> None:
    admit(store)
    store.write(SessionSaved(session("s2")))
    store.write(recorded("r1", "s2"))
    await store.write(CeilingRaised("s1", 5)).wait()
    assert await store.pending_step("r1") is None
    await store.write(recorded("r1", "s1"), call_ended("r1", "s2")).wait()
    assert await store.pending_step("r1") == PendingStep(1, ASKS, USAGE, ())


async def test_a_session_is_read_with_its_queue_in_the_order_of_admission(store: Store) -> None:
    store.write(SessionSaved(session("s1")), SessionSaved(session("s2")))
    for id, owner in (("r3", "s1"), ("r9", "s2"), ("r2", "s1"), ("r1", "s1"), ("r4", "s1")):
        store.write(RunQueued(run(id, owner)))
    store.write(started("r3", "s1"))
    await store.write(ended("r4", "s1", session_usage=None, last_event_id=None)).wait()
    assert await store.session_with_queue("s1") == (
        session(event_ceiling=1000, updated_at=moment(3)),
        (run("r2"), run("r1")),
    )
    assert await store.session_with_queue("s2") == (session("s2"), (run("r9", "s2"),))
    assert await store.session_with_queue("s3") is None
    await store.write(SessionDeleting("s2")).wait()
    assert await store.session_with_queue("s2") is None


async def test_sessions_with_a_queue_come_in_the_order_of_their_oldest_queued_run(
    store: Store,
) -> None:
    for id in ("s1", "s2", "s3", "s4"):
        store.write(SessionSaved(session(id)))
    for id, owner in (("a", "s1"), ("b", "s4"), ("c", "s3"), ("d", "s2"), ("e", "s1"), ("f", "s3")):
        store.write(RunQueued(run(id, owner)))
    await store.write(SessionDeleting("s4")).wait()
    assert await _counted(store) == [("s1", 2), ("s3", 2), ("s2", 1)]
    await store.write(started("a", "s1")).wait()
    assert await _counted(store) == [("s3", 2), ("s2", 1), ("s1", 1)]
    await store.write(started("e", "s1"), ended("d", "s2")).wait()
    assert await _counted(store) == [("s3", 2)]


async def _counted(store: Store) -> list[tuple[str, int]]:
    return list((await store.sessions_with_queue()).items())


async def test_a_history_is_read_from_its_end_a_page_at_a_time(store: Store) -> None:
    store.write(SessionSaved(session("s1")), SessionSaved(session("s2")))
    said = tuple(Message.user(f"{number}") for number in range(7))
    for id, owner in (("r1", "s1"), ("r2", "s2")):
        store.write(RunQueued(run(id, owner)))
    for message in said:
        store.write(StepEnded("s1", "r1", (message,), 1, USAGE, 9))
        await store.write(StepEnded("s2", "r2", (message,), 1, USAGE, 9)).wait()
    found: list[tuple[Message, ...]] = []
    before = None
    while not found or before is not None:
        page = await store.message_page("s1", 3, before)
        assert page is not None
        found.append(page.messages)
        before = page.next
        # What comes meanwhile does not shift the pages.
        await store.write(StepEnded("s1", "r1", (Message.user("new"),), 1, USAGE, 9)).wait()
    assert found == [said[4:], said[1:4], said[:1]]
    whole = await store.message_page("s2", 7)
    assert whole is not None
    assert (whole.messages, whole.next) == (said, None)
    for nothing in ("s3", "s2"):
        await store.write(SessionDeleting("s2")).wait()
        assert await store.message_page(nothing, 1) is None


async def test_a_page_of_long_messages_is_short_and_never_empty(store: Store) -> None:
    admit(store)
    said = tuple(Message.user(f"{number}" * 600_000) for number in range(5))
    await store.write(StepEnded("s1", "r1", said, 1, USAGE, 9)).wait()
    last = await store.message_page("s1", 100)
    assert last is not None
    assert last.messages == said[3:]
    earlier = await store.message_page("s1", 100, last.next)
    assert earlier is not None
    assert earlier.messages == said[1:3]


async def test_several_sessions_are_read_with_their_queues_in_the_order_that_was_asked_for(
    store: Store,
) -> None:
    for id in ("s1", "s2", "s3", "s4"):
        store.write(SessionSaved(session(id)))
    for id, owner in (("r3", "s1"), ("r9", "s2"), ("r2", "s1"), ("r4", "s1"), ("r5", "s4")):
        store.write(RunQueued(run(id, owner)))
    store.write(started("r3", "s1"))
    await store.write(SessionDeleting("s4")).wait()
    assert tuple(await store.queues(["s2", "s4", "s9", "s1", "s3"])) == (
        (session("s2"), (run("r9", "s2"),)),
        (session("s1", event_ceiling=1000), (run("r2"), run("r4"))),
        (session("s3"), ()),
    )
    assert tuple(await store.queues([])) == ()


async def test_runs_that_are_cut_off_are_read_with_what_they_have_left_oldest_first(
    store: Store,
) -> None:
    for id, owner in (("r1", "s1"), ("r2", "s2"), ("r3", "s3"), ("r4", "s4")):
        admit(store, id, owner)
        store.write(started(id, owner))
    store.write(step_ended("r3", "s3"), recorded("r3", "s3", 2), call_ended("r3", "s3"))
    store.write(ended("r2", "s2"))
    await store.write(SessionDeleting("s4")).wait()
    first, second = await store.cut_off(10)
    assert first.session == session("s1", event_ceiling=1000)
    assert first.run == run("r1", status="running", started_at=moment(1.5))
    assert (first.pending, first.messages) == (None, (Message.user("Hello"),))
    assert (second.session.id, second.run.id, second.run.steps) == ("s3", "r3", 1)
    assert second.pending == await store.pending_step("r3")
    assert second.messages == tuple(await store.run_messages("r3"))
    assert await store.cut_off(1) == (first,)
    await store.write(ended("r1", "s1"), ended("r3", "s3")).wait()
    assert not await store.cut_off(10)


async def test_a_read_of_runs_that_are_cut_off_ends_where_they_have_left_megabytes(
    store: Store,
) -> None:
    for id, owner in (("r1", "s1"), ("r2", "s2"), ("r3", "s3")):
        admit(store, id, owner)
        store.write(started(id, owner, text="x" * 5_000_000))
    await store.write(CeilingRaised("s1", 2000)).wait()
    assert [each.run.id for each in await store.cut_off(10)] == ["r1", "r2"]


async def test_runs_are_listed_in_the_order_of_their_admission(store: Store) -> None:
    store.write(SessionSaved(session("s1")), SessionSaved(session("s2")))
    for id, owner in (("r3", "s1"), ("r1", "s2"), ("r2", "s1"), ("r4", "s1")):
        store.write(RunQueued(run(id, owner)))
    store.write(started("r3", "s1"))
    await store.write(ended("r4", "s1")).wait()

    async def ids(*args: object, **kwargs: object) -> list[str]:
        return [each.id for each in await store.runs(*args, **kwargs)]  # type: ignore[arg-type]

    assert await ids() == ["r3", "r1", "r2", "r4"]
    assert await ids("s1") == ["r3", "r2", "r4"]
    assert await ids("s1", limit=2) == ["r2", "r4"]
    assert await ids("s1", limit=0) == []
    assert await ids(statuses=("queued", "running")) == ["r3", "r1", "r2"]
    assert await ids("s1", ("completed", "queued")) == ["r2", "r4"]
    assert await ids("s9") == []


async def test_runs_are_paged_from_the_newest_to_the_oldest(store: Store) -> None:
    store.write(SessionSaved(session("s1")), SessionSaved(session("s2")))
    for number in range(7):
        store.write(RunQueued(run(f"r{number}", "s2" if number == 3 else "s1")))
    await store.write(started("r0"), ended("r0")).wait()

    async def pages(*args: object) -> list[list[str]]:
        found, before = [], None
        while True:
            page = await store.run_page(*args, before)  # type: ignore[arg-type]
            found.append([each.record.id for each in page.runs])
            if page.next is None:
                return found
            before = page.next

    assert await pages(None, (), 3) == [["r6", "r5", "r4"], ["r3", "r2", "r1"], ["r0"]]
    assert await pages("s1", (), 6) == [["r6", "r5", "r4", "r2", "r1", "r0"]]
    assert await pages("s1", ("queued",), 4) == [["r6", "r5", "r4", "r2"], ["r1"]]
    both = ("completed", "queued", "completed")
    assert await pages("s1", both, 5) == [["r6", "r5", "r4", "r2", "r1"], ["r0"]]
    assert await pages(None, both, 4) == [["r6", "r5", "r4", "r3"], ["r2", "r1", "r0"]]
    assert await pages(None, ("failed", "running"), 4) == [[]]
    assert await pages("s9", (), 4) == [[]]
    # What is admitted meanwhile is newer, and shifts nothing.
    first = await store.run_page(None, (), 2)
    await store.write(RunQueued(run("r7")), SessionErased("s2")).wait()
    second = await store.run_page(None, (), 2, first.next)
    assert [each.record.id for each in second.runs] == ["r4", "r2"]


async def test_a_run_that_is_being_cancelled_has_that_status_alone(store: Store) -> None:
    store.write(SessionSaved(session("s1")), SessionSaved(session("s2")))
    for number in range(6):
        store.write(RunQueued(run(f"r{number}", "s2" if number == 3 else "s1")))
    store.write(SessionSaved(session("s3")), RunQueued(run("r6", "s3")), SessionDeleting("s3"))
    await store.write(started("r1")).wait()
    ending = {"r1", "r3", "r4", "r6", "nothing"}

    async def ids(*args: object) -> list[str]:
        page = await store.run_page(*args, cancelling=ending)  # type: ignore[arg-type]
        return [each.record.id for each in page.runs]

    assert await ids(None, ("cancelling",), 9) == ["r4", "r3", "r1"]
    assert await ids("s1", ("cancelling",), 9) == ["r4", "r1"]
    assert await ids(None, ("queued",), 9) == ["r5", "r2", "r0"]
    assert await ids("s1", ("running",), 9) == []
    assert await ids(None, ("running", "cancelling", "queued"), 4) == ["r5", "r4", "r3", "r2"]
    assert await ids("s1", (), 9) == ["r5", "r4", "r2", "r1", "r0"]
    first = await store.run_page(None, ("cancelling",), 2, None, ending)
    assert first.next is not None
    second = await store.run_page(None, ("cancelling",), 2, first.next, ending)
    assert ([each.record.id for each in second.runs], second.next) == (["r1"], None)


async def test_a_run_is_found_without_its_session(store: Store) -> None:
    store.write(SessionSaved(session("s1")), SessionSaved(session("s2")))
    await store.write(RunQueued(run("r1", "s1")), RunQueued(run("r2", "s2"))).wait()
    assert await store.run(None, "r2") == run("r2", "s2") == await store.run("s2", "r2")
    assert await store.run("s1", "r2") is None
    assert await store.run(None, "r9") is None
    await store.write(SessionDeleting("s2")).wait()
    assert await store.run(None, "r2") is None


@pytest.mark.parametrize("text", ["short", "é" * 1000, "x" * 1001, "🐍" * 5000, "a\0" * 3000])
async def test_a_list_has_little_of_a_long_message_and_says_so(store: Store, text: str) -> None:
    image = ImageBlock("image/png", "AAAA" * 1000)
    whole = run(message=text, images=(image,), agent=agent())
    await store.write(SessionSaved(session()), RunQueued(whole)).wait()
    [found] = (await store.run_page("s1", (), 10)).runs
    assert found.record.message == text[:1000]
    assert found.cut is (len(text) > 1000)
    assert (found.record.images, found.record.agent) == (None, None)
    assert await store.run("s1", "r1") == whole


async def test_a_list_has_little_of_a_long_result_and_of_a_long_error(store: Store) -> None:
    calls = tuple(
        ToolCallResult(f"t{number}", "bash", {"command": "x" * 1000}, "y" * 30_000, is_error=False)
        for number in range(50)
    )
    result = Result("r1", "z" * 9000, "end_turn", 51, calls, USAGE, "A limit.", {"a": 1}, 0.5)
    store.write(SessionSaved(session()), RunQueued(run()), started(), ended(result=result))
    store.write(RunQueued(run("r2")), started("r2"))
    error = RunFailure("provider_error", "e" * 5000)
    await store.write(ended("r2", status="failed", result=None, error=error)).wait()
    second, first = (await store.run_page("s1", (), 10)).runs
    outline = Result("r1", "z" * 1000, "end_turn", 51, (), USAGE, "A limit.", None, 0.5)
    assert (first.record.result, first.cut) == (outline, True)
    assert second.record.error == RunFailure("provider_error", "e" * 1000)
    assert (second.record.result, second.cut) == (None, True)


async def test_a_short_result_is_whole_in_a_list(store: Store) -> None:
    await store.write(SessionSaved(session()), *turn("r1", "s1")).wait()
    [found] = (await store.run_page("s1", (), 10)).runs
    assert (found.record, found.cut) == ((await store.runs())[0], False)


async def test_a_long_history_is_read_in_pages_as_of_one_moment(store: Store) -> None:
    store.write(SessionSaved(session()), RunQueued(run()))
    store.write(started(text="m" * 700_000))
    for number in range(5):
        message = Message.user(f"{number}" * 700_000)
        store.write(StepEnded("s1", "r1", (message,), number, USAGE, 9))
    await store.write(ended()).wait()
    found = await store.session_with_history("s1")
    assert found is not None
    page = await store.history_page("s1")
    assert page is not None
    assert page.session == found[0]
    messages, pages, last = [*page.messages], 1, page.last
    late = Message.user("too late")
    await store.write(StepEnded("s1", "r1", (late,), 9, USAGE, 9)).wait()
    while page.next is not None:
        page = await store.history_page("s1", page.next, last)
        assert page is not None
        messages += page.messages
        pages += 1
    assert tuple(messages) == found[1]
    assert pages == 4
    await store.write(SessionDeleting("s1")).wait()
    assert await store.history_page("s1") is None
    assert await store.history_page("s1", 1, last) is None
    assert (await store.run_page("s1", (), 10)).runs == ()


async def test_an_empty_history_is_one_page(store: Store) -> None:
    await store.write(SessionSaved(session())).wait()
    page = await store.history_page("s1")
    assert page is not None
    assert (page.session, page.messages, page.next) == (session(), (), None)


async def test_a_session_being_deleted_is_shown_by_no_read(store: Store) -> None:
    store.write(SessionSaved(session()), RunQueued(run(request_id="q1")), started(), recorded())
    await store.write(SessionDeleting("s1")).wait()
    assert await store.deleting() == ("s1",)
    assert await store.session("s1") is None
    assert await store.session_with_history("s1") is None
    assert (await store.sessions(10)).sessions == ()
    assert tuple(await store.runs()) == tuple(await store.runs("s1")) == ()
    assert await store.run("s1", "r1") is None
    assert await store.run_by_request("s1", "q1") is None
    assert tuple(await store.run_messages("r1")) == ()
    assert await store.pending_step("r1") is None


async def test_what_comes_after_a_session_is_erased_leaves_nothing(store: Store) -> None:
    store.write(SessionSaved(session()), RunQueued(run()), started(), recorded())
    await store.write(SessionErased("s1")).wait()
    for change in (
        RunQueued(run("r2")),
        started(),
        recorded(),
        call_ended(),
        step_ended(),
        ended(),
        CeilingRaised("s1", 5),
        SessionDeleting("s1"),
    ):
        await store.write(change).wait()
    assert await store.deleting() == ()
    await store.write(SessionSaved(session()), RunQueued(run())).wait()
    assert await store.session_with_history("s1") == (session(), ())
    assert tuple(await store.runs()) == (run(),)
    assert await store.pending_step("r1") is None


async def test_a_run_cannot_be_admitted_twice_nor_its_request(store: Store) -> None:
    await store.write(SessionSaved(session()), RunQueued(run(request_id="q1"))).wait()
    for again in (run(), run("r2", request_id="q1")):
        with pytest.raises(StoreError):
            await store.write(RunQueued(again)).wait()
    await store.write(
        SessionSaved(session("s2")), RunQueued(run("r2", "s2", request_id="q1"))
    ).wait()
    assert [each.id for each in await store.runs()] == ["r1", "r2"]


async def test_a_call_that_fails_changes_nothing_and_its_neighbours_are_kept(store: Store) -> None:
    admit(store)
    before = store.write(AgentSaved(agent("a1")))
    failing = store.write(AgentSaved(agent("a2")), RunQueued(run()), SessionSaved(session("s9")))
    after = store.write(AgentSaved(agent("a3")))
    await before.wait()
    with pytest.raises(StoreError):
        await failing.wait()
    await after.wait()
    assert [each.id for each in await store.agents()] == ["a1", "a3"]
    assert await store.session("s9") is None


async def test_every_waiter_of_one_commit_is_told_now_and_later(store: Store) -> None:
    admit(store)
    told: list[str] = []

    async def wait() -> None:
        with pytest.raises(StoreError):
            await refused.wait()
        told.append("refused")

    refused = store.write(RunQueued(run()))
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait)
    await wait()
    assert told == ["refused"] * 4


async def test_waiting_is_a_checkpoint_even_when_all_is_safe(store: Store) -> None:
    commit = store.write(SessionSaved(session()))
    await commit.wait()
    with trio.CancelScope() as scope:
        scope.cancel()
        await commit.wait()
    assert scope.cancelled_caught


# --- chains, and what follows a commit ------------------------------------------------------------


async def test_what_comes_after_a_failure_on_its_chain_fails_for_the_same_reason(
    store: Store,
) -> None:
    admit(store)
    chain, other = Chain(), Chain()
    good = store.write(AgentSaved(agent("a1")), chain=chain)
    bad = store.write(RunQueued(run()), chain=chain)
    later = store.write(AgentSaved(agent("a2")), chain=chain)
    beside = store.write(AgentSaved(agent("a3")), chain=other)
    alone = store.write(AgentSaved(agent("a4")))
    await chain.settled()
    latest = store.write(AgentSaved(agent("a5")), chain=chain)
    for commit in (good, beside, alone):
        await commit.wait()
    reasons = []
    for commit in (bad, later, latest):
        with pytest.raises(StoreError) as caught:
            await commit.wait()
        reasons.append(str(caught.value))
    assert len(set(reasons)) == 1
    assert [each.id for each in await store.agents()] == ["a1", "a3", "a4"]
    assert str(chain.failure) == reasons[0]
    assert other.failure is None


async def test_a_chain_is_settled_when_all_that_was_written_on_it_is(store: Store) -> None:
    chain = Chain()
    await chain.settled()
    admit(store)
    settled: list[str] = []
    for number in range(3):
        commit = store.write(CeilingRaised("s1", number), chain=chain)
        commit.then(lambda _, number=number: settled.append(str(number)))  # type: ignore[misc]
    await chain.settled()
    assert settled == ["0", "1", "2"]
    assert chain.failure is None
    store.write(RunQueued(run()), chain=chain).then(lambda _: settled.append("failed"))
    await chain.settled()
    assert settled[3:] == ["failed"]
    await chain.settled()


async def test_settling_a_chain_is_a_checkpoint(store: Store) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await Chain().settled()
    assert scope.cancelled_caught


async def test_what_follows_a_commit_is_called_before_those_who_wait_for_it(store: Store) -> None:
    admit(store)
    told: list[object] = []

    async def wait(commit: Commit) -> None:
        with suppress(StoreError):
            await commit.wait()
        told.append("waiter")

    good = store.write(AgentSaved(agent()))
    bad = store.write(RunQueued(run()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, good)
        nursery.start_soon(wait, bad)
        good.then(told.append)
        bad.then(told.append)
    assert told[0] is None
    assert isinstance(told[1], StoreError)
    assert told[2:] == ["waiter", "waiter"]
    good.then(told.append)
    assert told[-1] is None
    bad.then(told.append)
    assert told[-1] is told[1]


async def test_what_follows_a_commit_and_raises_disturbs_nobody(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: StoreError | None) -> None:
        raise ValueError("ours")

    told: list[object] = []
    commit = store.write(AgentSaved(agent()))
    commit.then(fail)
    commit.then(told.append)
    await commit.wait()
    commit.then(fail)
    assert told == [None]
    assert caplog.text.count("ValueError: ours") == 2
    await store.write(AgentSaved(agent("a2"))).wait()


async def test_what_follows_a_commit_may_write(store: Store) -> None:
    chain = Chain()

    def go_on(failure: StoreError | None) -> None:
        assert failure is None
        store.write(AgentSaved(agent("a2")), chain=chain)

    first = store.write(AgentSaved(agent("a1")), chain=chain)
    first.then(go_on)
    await first.wait()
    await chain.settled()
    assert [each.id for each in await store.agents()] == ["a1", "a2"]


async def test_a_store_that_is_well_says_so(store: Store) -> None:
    await store.write(AgentSaved(agent())).wait()
    assert store.failure is None
    with trio.fail_after(1):
        await store.wait_until_well()
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.wait_until_well()
    assert scope.cancelled_caught


async def test_a_run_whose_message_is_read_by_another_is_no_run_of_its_own(store: Store) -> None:
    admit(store)
    words = run("r2", message="Faster", steers="r1")
    await store.write(started(), RunQueued(words)).wait()
    read = Message.user("Faster")
    await store.write(
        msgspec.structs.replace(step_ended(), messages=(*step_ended().messages, read)),
        RunSteered("s1", "r2", moment(3)),
    ).wait()
    record = await store.run("s1", "r2")
    assert record == msgspec.structs.replace(words, status="steered", ended_at=moment(3))
    assert record.ended
    found = await store.session_with_queue("s1")
    assert found is not None
    assert list(found[1]) == []
    assert list(await store.run_messages("r2")) == []
    assert (await store.run_messages("r1"))[-1] == read


async def test_only_a_run_that_is_queued_is_read_by_another(store: Store) -> None:
    admit(store)
    await store.write(started()).wait()
    before = await store.run("s1", "r1")
    await store.write(RunSteered("s1", "r1", moment(3))).wait()
    assert await store.run("s1", "r1") == before


async def test_a_run_that_begins_without_a_message_adds_none_to_the_history(store: Store) -> None:
    admit(store)
    await store.write(RunStarted("s1", "r1", moment(1.5), None, 1000)).wait()
    record = await store.run("s1", "r1")
    assert record is not None
    assert (record.status, record.started_at) == ("running", moment(1.5))
    found = await store.session_with_history("s1")
    assert found is not None
    assert list(found[1]) == []
