"""Permissions, by the client: answered once, also over connections that break; an approver."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import anyio
import pytest

from client.faults import Fault, FaultProxy, answer, between
from client.troupe import NAME
from client.worlds import served
from wingman.api import PermissionAnswer, PermissionRequest
from wingman.client import Client, Patience, Session, SyncClient, answering, patience
from wingman.errors import (
    AlreadyResolved,
    InvalidRequest,
    NotFound,
    ProviderError,
    Unreachable,
)
from wingman.events import PermissionRequested, PermissionResolved
from wingman.face import Followed

LOOPS = ("trio", "asyncio")
ASKS = {"say": "ask"}
PATIENT = Patience(seconds=30, tries=100, first_seconds=30)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture(scope="module")
def proxy(url: str) -> Iterator[FaultProxy]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, "_LONGEST_PAUSE", 0.05)
        patch.setattr(patience, "_SHORTEST_PAUSE", 0.01)
        with between(url) as proxy:
            yield proxy


@pytest.fixture(params=LOOPS)
def play(
    request: pytest.FixtureRequest, url: str
) -> Callable[[Callable[[Client], Awaitable[None]]], None]:
    """Runs a scene with a client on this event loop."""

    async def on_stage(scene: Callable[[Client], Awaitable[None]]) -> None:
        with anyio.fail_after(20):
            async with Client(url) as client:
                await scene(client)

    return lambda scene: anyio.run(partial(on_stage, scene), backend=request.param)


async def asked(session: Session, count: int = 1) -> list[PermissionRequest]:
    """What the session asks, oldest first, once it asks so much."""
    while True:
        found = await session.permissions()
        if len(found) == count:
            return sorted(found, key=lambda request: request.id)
        await anyio.sleep(0.01)


Play = Callable[[Callable[[Client], Awaitable[None]]], None]


# --- a client's own -------------------------------------------------------------------------------


def test_requests_are_listed_over_all_sessions_and_read(play: Play) -> None:
    async def scene(client: Client) -> None:
        session = await client.create_session(NAME, permissions=ASKS)
        run = await session.submit("!say one\n!say two\n!say three")
        first, second, third = await asked(session, 3)
        everywhere = [
            request
            async for request in client.permissions(page=1)
            if request.session_id == session.id
        ]
        assert everywhere == [third, second, first]
        assert [one async for one in client.permissions(session.id, ("allowed",))] == []
        assert await client.permission(session.id, first.id) == first
        answered = await client.answer(session.id, first.id, "once")
        await client.answer(session.id, second.id, PermissionAnswer("reject", "Not now."))
        edited = PermissionAnswer("once", input={"text": "3"})
        assert (await session.answer(third.id, edited)).input == {"text": "3"}
        result = await run.result()
        assert [call.is_error for call in result.tool_calls] == [False, True, False]
        assert "Not now." in result.tool_calls[1].output
        assert result.tool_calls[2].output.endswith("\n3")
        listed = [one.id async for one in client.permissions(session.id, ())]
        assert listed == [third.id, second.id, first.id]
        assert [one async for one in client.permissions(session.id, ("allowed",))][-1] == answered
        with pytest.raises(NotFound) as unknown:
            await client.permission(session.id, "nobody")
        assert (unknown.value.kind, unknown.value.id) == ("permission", "nobody")

    play(scene)


def test_the_rules_of_a_session_are_changed(play: Play) -> None:
    async def scene(client: Client) -> None:
        session = await client.create_session(NAME, permissions=ASKS)
        await client.update_session(session.id, permissions="deny")
        assert (await session.describe()).permissions == "deny"
        result = await session.run("!say one")
        assert "Not allowed" in result.tool_calls[0].output
        await client.update_session(session.id, permissions=None)
        assert (await session.run("!say one")).tool_calls[0].output == "one"

    play(scene)


def test_a_script_answers_too(url: str) -> None:
    with SyncClient(url) as client:
        session = client.create_session(NAME, permissions=ASKS)
        run = session.submit("!say one", permissions={"say": "ask"}, ask_timeout=20)
        with session.follow(0) as events:
            for news in events:
                if isinstance(news, Followed) and isinstance(news.event, PermissionRequested):
                    break
        [request] = session.permissions()
        assert list(client.permissions(session.id)) == [request]
        assert session.permission(request.id) == client.permission(session.id, request.id)
        assert client.answer(session.id, request.id, "once").status == "allowed"
        assert run.result().tool_calls[0].output == "one"
        client.update_session(session.id, permissions="deny")
        assert session.describe().permissions == "deny"


# --- connections that break -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault("permissions", cut=0, end="rst"),
        Fault("permissions", cut=30),
        Fault("permissions", unheard=True, answer=b""),
        Fault("permissions", unheard=True, answer=answer("502 Bad", Content_Type="text/html")),
        Fault("permissions", unheard=True, answer=answer("504 Late", Content_Type="text/html")),
    ],
    ids=("cut before the head", "cut within it", "unheard", "bad gateway", "gateway timeout"),
)
@pytest.mark.parametrize("by_another", [False, True])
def test_an_answer_whose_answer_was_lost_is_not_refused_as_a_second_one(
    url: str, proxy: FaultProxy, fault: Fault, by_another: bool
) -> None:
    given = PermissionAnswer("once", "Go on.", {"text": "edited"})

    async def scene() -> None:
        async with Client(url) as direct, Client(proxy.url, patience=PATIENT) as client:
            session = await direct.create_session(NAME, permissions=ASKS)
            run = await session.submit("!say one")
            [request] = await asked(session)
            if by_another:
                await session.answer(request.id, PermissionAnswer("once", "Go.", {"text": "x"}))
            proxy.faults.append(fault)
            before = len(proxy.requests)
            if by_another:
                with pytest.raises(AlreadyResolved):
                    await client.answer(session.id, request.id, given)
            else:
                resolved = await client.answer(session.id, request.id, given)
                assert resolved == await session.permission(request.id)
                assert (resolved.decision, resolved.message) == ("once", "Go on.")
                assert (await run.result()).tool_calls[0].output.endswith("\nedited")
            posted = [line for line in proxy.requests[before:] if line.startswith("POST")]
            assert len(posted) == 2
            assert not proxy.faults
            with pytest.raises(AlreadyResolved) as again:
                await client.answer(session.id, request.id, given)
            assert again.value.code == "already_resolved"

    with_time(scene)


def test_the_same_answer_by_another_is_still_the_second(play: Play) -> None:
    async def scene(client: Client) -> None:
        session = await client.create_session(NAME, permissions=ASKS)
        await session.submit("!say one")
        [request] = await asked(session)
        await session.answer(request.id, "once")
        with pytest.raises(AlreadyResolved):
            await session.answer(request.id, "once")

    play(scene)


def with_time(scene: Callable[[], Awaitable[None]], backend: str = "trio") -> None:
    async def main() -> None:
        with anyio.fail_after(20):
            await scene()

    anyio.run(main, backend=backend)


# --- an approver ----------------------------------------------------------------------------------


def test_an_approver_answers_what_waits_and_what_comes(play: Play) -> None:
    async def scene(client: Client) -> None:
        shown: list[PermissionRequest] = []

        async def approver(request: PermissionRequest) -> PermissionAnswer | str:
            shown.append(request)
            text = (request.input or {})["text"]
            if text == "no":
                return PermissionAnswer("reject", "Rather not.")
            return "always" if text == "often" else "once"

        session = await client.create_session(NAME, permissions=ASKS)
        before = await session.submit("!say before")
        await asked(session)
        async with answering(session, approver):  # type: ignore[arg-type]
            assert (await before.result()).tool_calls[0].output == "before"
            result = await session.run("!say one\n!say no\n---\n!say often\n---\n!say often")
        assert [call.is_error for call in result.tool_calls] == [False, True, False, False]
        assert "Rather not." in result.tool_calls[1].output
        texts = [(request.input or {})["text"] for request in shown]
        assert sorted(texts) == ["before", "no", "often", "one"]

    play(scene)


def test_an_approver_is_cancelled_where_another_has_answered(play: Play) -> None:
    async def scene(client: Client) -> None:
        begun, cancelled = anyio.Event(), anyio.Event()

        async def approver(_: PermissionRequest) -> str:
            begun.set()
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.set()
            return "reject"

        session = await client.create_session(NAME, permissions=ASKS)
        async with answering(session, approver):  # type: ignore[arg-type]
            run = await session.submit("!say one")
            await begun.wait()
            [request] = await session.permissions()
            await client.answer(session.id, request.id, "once")
            await cancelled.wait()
            assert (await run.result()).tool_calls[0].output == "one"

    play(scene)


async def _fails(_: PermissionRequest) -> str:
    raise ZeroDivisionError


async def _says_what_is_no_answer(_: PermissionRequest) -> str:
    return "perhaps"


async def _gives_what_is_no_input(_: PermissionRequest) -> PermissionAnswer:
    return PermissionAnswer("once", input={"words": 3})


@pytest.mark.parametrize("approver", [_fails, _says_what_is_no_answer, _gives_what_is_no_input])
def test_an_approver_that_fails_gives_no_permission(
    play: Play,
    caplog: pytest.LogCaptureFixture,
    approver: Callable[[PermissionRequest], Awaitable[PermissionAnswer]],
) -> None:
    async def scene(client: Client) -> None:
        session = await client.create_session(NAME, permissions=ASKS)
        async with answering(session, approver):
            result = await session.run("!say one")
        assert "could not be asked" in result.tool_calls[0].output

    with caplog.at_level(logging.ERROR, "wingman.client"):
        play(scene)
    assert caplog.records


def test_what_the_block_raises_goes_on_its_way_alone(play: Play) -> None:
    async def approver(_: PermissionRequest) -> PermissionAnswer:
        return PermissionAnswer("once")

    async def scene(client: Client) -> None:
        session = await client.create_session(NAME, permissions=ASKS)
        with pytest.raises(ProviderError, match="it was told to"):
            async with answering(session, approver):
                await session.run("fail")
        with anyio.move_on_after(0.05) as scope:
            async with answering(session, approver):
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        async with answering(session, approver):  # of a session that ends before the block does
            await client.delete(session.id)

    play(scene)


def test_what_is_left_unanswered_goes_on_waiting(play: Play) -> None:
    async def approver(_: PermissionRequest) -> PermissionAnswer:
        await anyio.sleep_forever()
        raise AssertionError

    async def scene(client: Client) -> None:
        session = await client.create_session(NAME, permissions=ASKS)
        async with answering(session, approver):
            run = await session.submit("!say one")
            [request] = await asked(session)
        assert await session.permissions() == (await asked(session))
        assert (await session.answer(request.id, "once")).status == "allowed"
        await run.wait()

    play(scene)


@pytest.mark.parametrize("backend", LOOPS)
def test_a_block_whose_server_is_lost_is_cancelled_and_says_why(url: str, backend: str) -> None:
    async def approver(_: PermissionRequest) -> PermissionAnswer:
        return PermissionAnswer("once")

    async def scene() -> None:
        with between(url) as lost:
            impatient = Patience(seconds=0.1, tries=2, first_seconds=0.1)
            async with Client(lost.url, patience=impatient) as client:
                session = await client.create_session(NAME, permissions=ASKS)
                lost.faults.append(Fault("events", cut=0, end="rst"))

                async def until_it_is_lost() -> None:
                    async with answering(session, approver):
                        lost.refuses = True
                        await anyio.sleep_forever()

                with pytest.raises(Unreachable):
                    await until_it_is_lost()

    with_time(scene, backend)


def test_a_stream_over_a_broken_connection_tells_of_a_request_once(
    url: str, proxy: FaultProxy
) -> None:
    async def scene() -> None:
        async with Client(url) as direct, Client(proxy.url, patience=PATIENT) as client:
            session = await direct.create_session(NAME)
            told = []
            proxy.faults.append(Fault("stream", cut=700, end="rst"))
            streamed = await client.session(session.id)
            async with streamed.run_stream("!say one\n!say two", permissions=ASKS) as stream:
                async for event in stream:
                    told.append(event)
                    if isinstance(event, PermissionRequested):
                        await session.answer(event.id, "once")
            requested = [one.id for one in told if isinstance(one, PermissionRequested)]
            resolved = [one.id for one in told if isinstance(one, PermissionResolved)]
            assert len(requested) == 2
            assert sorted(resolved) == sorted(requested)
            assert stream.run.status == "completed"

    with_time(scene)


def test_what_is_no_answer_is_refused_before_it_is_sent(play: Play) -> None:
    async def scene(client: Client) -> None:
        session = await client.create_session(NAME)
        for given in ("maybe", {"decision": "maybe"}, None, 3, PermissionAnswer("perhaps")):  # type: ignore[arg-type]
            with pytest.raises(InvalidRequest):
                await session.answer("x", given)  # type: ignore[arg-type]

    play(scene)
