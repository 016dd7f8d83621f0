"""One face: what is asked of a session is answered alike, wherever the session lives."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TypeAlias

import anyio
import pytest

from client.worlds import WORLDS, runs_of, served, session_in
from wingman.api import PermissionAnswer, PermissionRequest
from wingman.conversation import ToolResultBlock
from wingman.errors import (
    AlreadyResolved,
    InvalidRequest,
    MessageRead,
    NotFound,
    NotInFlight,
    ProviderError,
    RequestIdConflict,
    RunFailed,
    SessionBusy,
    WingmanError,
)
from wingman.events import (
    Done,
    PermissionRequested,
    PermissionResolved,
    Step,
    Text,
    ToolProgress,
    ToolResult,
    ToolUse,
)
from wingman.face import AnySession, Followed

Play: TypeAlias = Callable[[Callable[[AnySession], Awaitable[None]]], None]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture(params=WORLDS)
def play(request: pytest.FixtureRequest, url: str) -> Play:
    """Runs a scene with a session of this world."""

    async def on_stage(scene: Callable[[AnySession], Awaitable[None]]) -> None:
        with anyio.fail_after(20):
            async with session_in(request.param, url) as session:
                await scene(session)

    return lambda scene: anyio.run(partial(on_stage, scene), backend=WORLDS[request.param])


def test_a_run_comes_to_a_result(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        result = await session.run("!say one\n---\n!say two")
        assert result.stop_reason == "end_turn"
        assert result.steps == 3
        assert [(call.tool_name, call.output) for call in result.tool_calls] == [
            ("say", "one"),
            ("say", "two"),
        ]
        assert "two" in result.response

    play(scene)


def test_a_stream_has_every_event_in_order_and_done_is_the_last(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        async with session.run_stream("!say one") as stream:
            events = [event async for event in stream]
        assert [type(event) for event in events if not isinstance(event, Text)] == [
            Step,
            ToolUse,
            ToolResult,
            Step,
            Done,
        ]
        assert "".join(event.text for event in events if isinstance(event, Text)) == (
            stream.result.response
        )
        assert events[-1] == Done(stream.result)
        assert stream.run.ended
        assert stream.run.status == "completed"
        assert stream.run.session_id == session.id

    play(scene)


def test_a_run_that_fails_raises_its_error_with_its_code(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        with pytest.raises(ProviderError, match="it was told to") as failure:
            await session.run("fail")
        assert failure.value.code == "provider_error"
        assert failure.value.provider == "obedient"
        async with session.run_stream("fail") as stream:
            with pytest.raises(ProviderError, match="it was told to"):
                async for _ in stream:
                    pass
        assert stream.run.status == "failed"
        with pytest.raises(ProviderError):
            stream.result
        run = await session.submit("fail")
        with pytest.raises(WingmanError, match="it was told to") as failure_:
            await run.result()
        assert failure_.value.code == "provider_error"

    play(scene)


def test_leaving_a_stream_early_cancels_its_run(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        async with session.run_stream("!hang on") as stream:
            async for event in stream:
                if isinstance(event, ToolProgress):
                    break
        assert stream.run.status == "cancelled"
        assert stream.result.stop_reason == "cancelled"
        assert (await session.describe()).status == "idle"

    play(scene)


def test_an_error_in_the_block_cancels_the_run_and_goes_on(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        with pytest.raises(ZeroDivisionError):
            async with session.run_stream("!hang on"):
                raise ZeroDivisionError
        assert (await session.describe()).status == "idle"

    play(scene)


def test_cancelling_what_waits_for_a_run_cancels_the_run(
    play: Play, request: pytest.FixtureRequest
) -> None:
    if "blocking" in request.node.name:
        pytest.skip("a call that blocks is interrupted by Ctrl-C, which has a test of its own")

    async def scene(session: AnySession) -> None:
        async with session.follow() as events:
            async with anyio.create_task_group() as group:
                group.start_soon(session.run, "!hang on")
                async for news in events:
                    if isinstance(news, Followed) and isinstance(news.event, ToolProgress):
                        break
                group.cancel_scope.cancel()
            assert (await session.describe()).status == "idle"
            async for news in events:
                if isinstance(news, Followed) and isinstance(news.event, Done):
                    assert news.event.result.stop_reason == "cancelled"
                    break

    play(scene)


def test_a_submitted_run_goes_on_without_its_caller(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        run = await session.submit("!say one")
        assert (await run.result()).stop_reason == "end_turn"
        await run.wait()
        assert run.ended
        assert run.outcome().tool_calls[0].output == "one"

    play(scene)


def test_a_request_id_gives_the_same_run_again(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        first = await session.submit("!say one", request_id="r-1")
        await first.wait()
        again = await session.submit("!say one", request_id="r-1")
        assert again == first
        assert again.outcome() == first.outcome()
        with pytest.raises(RequestIdConflict) as conflict:
            await session.submit("!say two", request_id="r-1")
        assert conflict.value.code == "request_id_conflict"

    play(scene)


def test_a_busy_session_says_so_and_a_cancel_gives_a_receipt(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        running = await session.submit("!hang on")
        with pytest.raises(SessionBusy) as busy:
            await session.submit("!say one", on_busy="reject")
        assert busy.value.code == "session_busy"
        with pytest.raises(RunFailed) as early:
            running.outcome()
        assert early.value.code == "run_pending"
        waiting = await session.submit("!say two")
        third = await session.submit("!say three")
        receipt = await third.cancel()
        assert [(one.run_id, one.was) for one in receipt.cancelled] == [(third.id, "queued")]
        receipt = await session.cancel(queued=True)
        assert {one.run_id for one in receipt.cancelled} == {running.id, waiting.id}
        await waiting.wait()
        assert waiting.status == "cancelled"
        assert (await running.result()).stop_reason == "cancelled"
        assert await session.cancel() == type(receipt)(())

    play(scene)


def test_a_run_is_found_by_its_id_alone(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        ended = await session.submit("!say one")
        await ended.wait()
        found = await runs_of(session).find_run(ended.id)
        assert found == ended
        assert (found.session_id, found.status, found.ended) == (session.id, "completed", True)
        assert found.outcome() == ended.outcome()
        failed = await session.submit("fail")
        await failed.wait()
        with pytest.raises(WingmanError, match="it was told to") as failure:
            await (await runs_of(session).find_run(failed.id)).result()
        assert failure.value.code == "provider_error"
        running, waiting = await session.submit("!hang on"), await session.submit("!say two")
        found = await runs_of(session).find_run(waiting.id)
        receipt = await found.cancel()
        assert [(one.run_id, one.was) for one in receipt.cancelled] == [(waiting.id, "queued")]
        found = await runs_of(session).find_run(running.id)
        assert not found.ended
        await found.cancel()
        assert (await found.result()).stop_reason == "cancelled"
        for id in ("01KB5ZJ2Q3W4E5R6T7Y8U9I0PB", "x"):
            with pytest.raises(NotFound) as unknown:
                await runs_of(session).find_run(id)
            assert (unknown.value.code, unknown.value.kind) == ("run_not_found", "run")
            assert unknown.value.id == id

    play(scene)


def test_a_tool_call_is_cancelled_alone(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        async with session.run_stream("!hang on\n!say one") as stream:
            async for event in stream:
                if isinstance(event, ToolProgress):
                    receipt = await stream.run.cancel_tool(event.tool_use_id)
                    assert [tool.outcome for tool in receipt.cancelled[0].tools] == ["stopped"]
        assert stream.result.stop_reason == "end_turn"
        assert [call.is_error for call in stream.result.tool_calls] == [True, False]

    play(scene)


def test_the_history_has_whole_steps(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        await session.run("!say one")
        history = await session.history()
        assert [message.role for message in history] == ["user", "assistant", "user", "assistant"]
        view = await session.describe()
        assert view.id == session.id
        assert tuple(view.history or ()) == tuple(history)

    play(scene)


def test_a_structured_result_comes_in_the_event_the_result_and_the_history(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        structured = {"what": "it", "kg": [1, 2.5, None]}
        async with session.run_stream("!weigh it") as stream:
            events = [event async for event in stream]
        [told] = [event for event in events if isinstance(event, ToolResult)]
        [call] = stream.result.tool_calls
        [block] = (await session.history())[2].content
        assert isinstance(block, ToolResultBlock)
        for content, is_error, found in (
            (told.content, told.is_error, told.structured),
            (call.output, call.is_error, call.structured),
            (block.content, block.is_error, block.structured),
        ):
            assert (content, is_error, found) == ("Too heavy.", True, structured)

    play(scene)


def test_a_history_is_read_from_its_end_a_part_at_a_time(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        assert (await session.messages(), (await session.messages()).next) == ((), None)
        await session.run("!say one")
        await session.run("!say two")
        whole = tuple(await session.history())
        last = await session.messages(5)
        first = await session.messages(5, last.next)
        assert (first, last) == (whole[:3], whole[3:])
        assert first.next is None
        assert await session.messages() == whole

    play(scene)


def test_a_session_is_followed_from_run_to_run(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        ended: list[str] = []
        ids: list[int] = []
        async with session.follow() as events:
            runs = [await session.submit(f"!say {number}") for number in range(2)]
            async for news in events:
                assert isinstance(news, Followed)
                ids.append(news.id)
                if isinstance(news.event, Done):
                    ended.append(news.run_id)
                    assert news.event.result.run_id == news.run_id
                if len(ended) == len(runs):
                    break
        assert ended == [run.id for run in runs]
        assert ids == sorted(set(ids))
        async with session.follow(ids[2]) as events:
            async for news in events:
                assert isinstance(news, Followed)
                assert news.id == ids[3]
                break

    play(scene)


def test_a_message_that_cannot_be_is_refused(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        with pytest.raises(InvalidRequest):
            await session.run("")
        with pytest.raises(InvalidRequest):
            await session.submit("x", max_steps=0)

    play(scene)


async def one_request(session: AnySession) -> PermissionRequest:
    """What the session asks, once it does, and nothing else of its run is under way."""
    while True:
        found = await session.permissions()
        if found and (await session.describe()).status == "waiting":
            return found[0]
        await anyio.sleep(0.01)


def test_a_call_waits_for_an_answer_and_the_first_counts(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        rules = {"say": {"*": "ask", "one": "allow", "never": "deny"}}
        run = await session.submit("!say one\n!say two\n!say never", permissions=rules)
        request = await one_request(session)
        assert (request.run_id, request.session_id) == (run.id, session.id)
        assert (request.tool, request.action, request.status) == ("say", "say", "pending")
        assert (request.resources, request.input) == (("two",), {"text": "two"})
        with pytest.raises(InvalidRequest, match=r"\$\.input"):
            await session.answer(request.id, PermissionAnswer("once", input={"words": 1}))
        with pytest.raises(InvalidRequest, match=r"\$\.input"):
            await session.answer(request.id, PermissionAnswer("once", input={"text": "never"}))
        edited = PermissionAnswer("once", "Say more.", {"text": "three"})
        resolved = await session.answer(request.id, edited)
        assert (resolved.status, resolved.decision) == ("allowed", "once")
        assert (resolved.message, resolved.input) == ("Say more.", {"text": "three"})
        with pytest.raises(AlreadyResolved) as late:
            await session.answer(request.id, "reject")
        assert late.value.code == "already_resolved"
        with pytest.raises(NotFound) as unknown:
            await session.answer("nobody", "once")
        assert unknown.value.code == "permission_not_found"
        first, second, third = (await run.result()).tool_calls
        assert (first.output, second.output.split("\n")[-1]) == ("one", "three")
        assert "Not allowed" in third.output
        assert not await session.permissions()

    play(scene)


def test_rules_of_a_message_are_those_of_its_run_however_it_is_sent(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        denied = await session.run("!say one", permissions="deny")
        assert "Not allowed" in denied.tool_calls[0].output
        rejected = await session.run("!say one", permissions="ask", on_ask="reject")
        assert "nobody can be asked" in rejected.tool_calls[0].output
        late = await session.run("!say one", permissions="ask", ask_timeout=0.05)
        assert "nobody answered in time" in late.tool_calls[0].output
        assert (await session.run("!say one")).tool_calls[0].output == "one"
        for bad in ({"permissions": "maybe"}, {"on_ask": "maybe"}, {"ask_timeout": 0}):
            with pytest.raises(InvalidRequest, match=next(iter(bad))):
                await session.run("x", **bad)  # type: ignore[arg-type]
            with pytest.raises(InvalidRequest, match=next(iter(bad))):
                await session.submit("x", **bad)  # type: ignore[arg-type]

    play(scene)


def test_a_stream_tells_of_a_request_and_its_answer(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        async with session.run_stream("!say one\n!say two", permissions="ask") as stream:
            told = []
            async for event in stream:
                match event:
                    case PermissionRequested(resources=("one",)):
                        told.append(event)
                        await session.answer(event.id, "always")
                    case PermissionRequested():
                        told.append(event)
                        await session.answer(event.id, PermissionAnswer("reject", "No."))
                    case PermissionResolved():
                        told.append(event)
                    case _:
                        pass
        asked = {one.id for one in told if isinstance(one, PermissionRequested)}
        resolved = {one.id: one for one in told if isinstance(one, PermissionResolved)}
        assert set(resolved) == asked
        assert {(one.status, one.decision, one.message) for one in resolved.values()} == {
            ("allowed", "always", None),
            ("rejected", "reject", "No."),
        }
        assert stream.run.status == "completed"
        again = await session.run("!say one", permissions="ask", on_ask="reject")
        assert again.tool_calls[0].output == "one"

    play(scene)


def test_a_run_that_waits_for_an_answer_has_not_ended_and_can_be_cancelled(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        run = await session.submit("!say one", permissions="ask")
        request = await one_request(session)
        found = await runs_of(session).find_run(run.id)
        assert (found.status, found.ended) == ("waiting", False)
        await run.cancel()
        assert (await run.result()).stop_reason == "cancelled"
        with pytest.raises(AlreadyResolved):
            await session.answer(request.id, "once")

    play(scene)


def test_words_are_read_by_the_run_in_flight_and_have_its_result(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        run = await session.submit("!hang on")
        words = [await run.steer(f"word {n}") for n in range(3)]
        again = await session.submit(
            "word 3", on_busy="steer", expect_run=run.id, request_id="the fourth"
        )
        (call,) = await calls_of(session)
        await run.cancel_tool(call)
        result = await run.result()
        for each in (*words, again):
            assert (await each.result()).run_id == run.id
            assert each.ended
            assert each.status == "steered"
        assert result.stop_reason == "end_turn"
        said = [m.text for m in await session.history() if m.role == "user" and m.text]
        assert said == ["!hang on", "word 0", "word 1", "word 2", "word 3"]
        with pytest.raises(NotInFlight) as late:
            await run.steer("too late")
        assert late.value.code == "run_ended"
        assert len(await session.history()) == len(said) + 3

    play(scene)


def test_words_can_be_taken_back_until_they_are_read(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        run = await session.submit("!hang on")
        words = await run.steer("never mind")
        receipt = await session.take_back(words.id)
        assert [each.run_id for each in receipt.cancelled] == [words.id]
        assert (await words.result()).stop_reason == "cancelled"
        with pytest.raises(MessageRead):
            await session.take_back(run.id)
        others = await run.steer("nor that")
        receipt = await session.cancel()
        assert [(each.run_id, each.unread) for each in receipt.cancelled] == [
            (run.id, None),
            (others.id, "nor that"),
        ]
        assert [m.text for m in await session.history() if m.role == "user" and m.text] == [
            "!hang on"
        ]

    play(scene)


def test_a_history_is_compacted_when_that_is_asked_for(play: Play) -> None:
    async def scene(session: AnySession) -> None:
        assert "nothing to compact" in ((await session.compact()).detail or "")
        for n in range(3):
            await session.run(f"!say {n} " + "please " * 200)
        before = await session.history()
        result = await session.compact("the numbers")
        assert result.stop_reason == "end_turn"
        assert "compacted" in (result.detail or "")
        assert await session.history() == before
        assert (await session.run("!say three")).stop_reason == "end_turn"

    play(scene)


async def calls_of(session: AnySession) -> list[str]:
    """The ids of the calls that run, once some do."""
    with anyio.fail_after(10):
        while True:
            progress = (await session.describe()).in_progress
            found = (
                [] if progress is None else [c.id for c in progress.calls if c.state == "running"]
            )
            if found:
                return found
            await anyio.sleep(0.01)
