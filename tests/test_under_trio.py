"""Called elsewhere than under Trio, each door of Wingman says so, and what to do."""

import asyncio
import importlib
import inspect
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest
import trio

from wingman import Agent, Message, Runtime, Session, ToolContext, tool
from wingman.actor import ActorSystem
from wingman.providers import Keyless, Request, Transport
from wingman.server import create_app, serve
from wingman.store import open_store
from wingman.testing import check_provider
from wingman.tools import bash
from wingman.under_trio import require_trio

AGENT = Agent("assistant", provider=Keyless(), tools=[bash])
ADVICE = r"(?s)Wingman runs on Trio.*trio\.run\(main\).*docs/asyncio\.md"

Entry = Callable[[Path], Coroutine[Any, Any, object]]


async def a_session(_: Path) -> None:
    async with Session(AGENT) as session:
        await session.run("Hello.")


async def a_session_that_is_not_entered(_: Path) -> None:
    await Session(AGENT).run("Hello.")


async def a_stream(_: Path) -> None:
    async with Session(AGENT).run_stream("Hello."):
        pass


async def a_runtime(_: Path) -> None:
    async with Runtime(agents=[AGENT]):
        pass


async def a_runtime_that_is_not_entered(_: Path) -> None:
    await Runtime(agents=[AGENT]).create_session(AGENT)


async def the_models_of_a_runtime(_: Path) -> None:
    await Runtime().models("anthropic")


async def a_store_in_memory(_: Path) -> None:
    async with open_store("memory"):
        pass


async def a_store_in_a_file(path: Path) -> None:
    async with open_store(path / "wingman.db"):
        pass


async def an_actor_system(_: Path) -> None:
    async with ActorSystem():
        pass


async def a_server(_: Path) -> None:
    await serve(Runtime())


async def an_app_in_another_server(_: Path) -> None:
    async def never(*_: object) -> Any:
        raise AssertionError("the app went on")

    app: Any = create_app(Runtime())
    await app({"type": "lifespan"}, never, never)


async def a_transport(_: Path) -> None:
    async with Transport():
        pass


async def a_provider(_: Path) -> None:
    async for _part in Keyless().stream(Request([Message.user("!bash ls")]), Transport()):
        pass


async def a_check_of_a_provider(_: Path) -> None:
    await check_provider(Keyless)


async def a_tool(path: Path) -> None:
    await bash.call({"command": "true"}, ToolContext(path))


async def a_tool_as_a_function(path: Path) -> None:
    await bash("true", ToolContext(path))


async def a_sync_tool(path: Path) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    await add.call({"a": 1, "b": 2}, ToolContext(path))


ENTRIES: list[Entry] = [
    a_session,
    a_session_that_is_not_entered,
    a_stream,
    a_runtime,
    a_runtime_that_is_not_entered,
    the_models_of_a_runtime,
    a_store_in_memory,
    a_store_in_a_file,
    an_actor_system,
    a_server,
    an_app_in_another_server,
    a_transport,
    a_provider,
    a_check_of_a_provider,
    a_tool,
    a_tool_as_a_function,
    a_sync_tool,
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_under_asyncio_whatever_is_called_first_says_what_to_do(
    entry: Entry, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match=ADVICE) as caught:
        asyncio.run(entry(tmp_path))
    text = str(caught.value)
    for said in ("under asyncio", 'anyio.run(main, backend="trio")', "start_blocking_portal"):
        assert said in text
    assert "pytest-trio" in text


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_where_no_loop_runs_whatever_is_called_first_says_what_to_do(
    entry: Entry, tmp_path: Path
) -> None:
    coroutine = entry(tmp_path)
    with pytest.raises(RuntimeError, match=ADVICE) as caught:
        coroutine.send(None)
    assert "under asyncio" not in str(caught.value)


def test_in_a_thread_of_trios_it_says_how_to_come_back() -> None:
    async def main() -> None:
        def work() -> None:
            Session(AGENT).run("Hello.").send(None)

        with pytest.raises(RuntimeError, match=r"trio\.from_thread\.run"):
            await trio.to_thread.run_sync(work)

    trio.run(main)


def test_asyncio_that_calls_what_runs_in_another_threads_trio_is_told_as_well() -> None:
    with anyio.from_thread.start_blocking_portal("trio") as portal:
        session = Session(AGENT)
        with portal.wrap_async_context_manager(session):
            with pytest.raises(RuntimeError, match=ADVICE):
                asyncio.run(session.run("Hello."))
            run = portal.call(session.submit, "Hello.")
            for awaitable in (run.result, run.wait, run.cancel, run.admitted, session.history):
                with pytest.raises(RuntimeError, match=ADVICE):
                    asyncio.run(awaitable())
            assert portal.call(run.result).stop_reason == "end_turn"


def test_an_actor_that_asyncio_talks_to_from_another_thread_gets_nothing() -> None:
    class Account:
        def __init__(self) -> None:
            self.heard: list[object] = []

        async def receive(self, message: object) -> list[object]:
            self.heard.append(message)
            return self.heard

    with (
        anyio.from_thread.start_blocking_portal("trio") as portal,
        portal.wrap_async_context_manager(ActorSystem()) as system,
    ):
        account = portal.call(system.spawn, Account)
        for send in (account.ask, account.tell):
            with pytest.raises(RuntimeError, match=ADVICE):
                asyncio.run(send("from asyncio"))
        for end in (account.stop, account.kill, account.wait_stopped):
            with pytest.raises(RuntimeError, match=ADVICE):
                asyncio.run(end())
        delivery = portal.call(account.submit, "from Trio")
        portal.call(delivery.wait)
        with pytest.raises(RuntimeError, match=ADVICE):
            asyncio.run(delivery.wait())
        assert delivery.reply() == ["from Trio"]


def test_what_is_made_needs_no_loop_yet() -> None:
    runtime = Runtime(agents=[AGENT])

    async def main() -> str:
        async with runtime:
            session = await runtime.create_session(AGENT)
            return (await (await session.submit("!bash echo hello")).result()).response

    assert "hello" in anyio.run(main, backend="trio")
    assert ActorSystem().snapshot() == []


@pytest.mark.parametrize("run", [trio.run, partial(anyio.run, backend="trio")])
def test_under_trio_nothing_is_in_the_way(run: Callable[..., object]) -> None:
    async def main() -> None:
        require_trio()
        async with Session(AGENT) as session:
            assert (await session.run("Hello.")).stop_reason == "end_turn"

    run(main)


# --- every door, also those to come ---------------------------------------------------------------

# These have nothing of their own to ask for.
NOT_ASKED = {"Actor", "Tool"}
DOORS = ("wingman", "wingman.actor", "wingman.runtime", "wingman.server", "wingman.testing")


def methods() -> Iterator[Any]:
    seen: set[type] = set()
    for door in DOORS:
        module = importlib.import_module(door)
        for name in module.__all__:
            offered = getattr(module, name)
            if name in NOT_ASKED or not inspect.isclass(offered) or offered in seen:
                continue
            seen.add(offered)
            for method, function in vars(offered).items():
                shown = method == "__aenter__" or not method.startswith("_")
                if shown and inspect.iscoroutinefunction(function):
                    yield pytest.param(offered, function, id=f"{name}.{method}")


FOUND = list(methods())


def test_there_are_methods_to_look_at() -> None:
    assert len(FOUND) > 40


@pytest.mark.parametrize(("kind", "function"), FOUND)
def test_every_async_method_of_a_door_asks_for_trio_before_anything_else(
    kind: type, function: Callable[..., Coroutine[Any, Any, object]]
) -> None:
    bare = object.__new__(kind)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    needed = [
        None
        for each in parameters
        if each.default is inspect.Parameter.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    with pytest.raises(RuntimeError, match=ADVICE):
        asyncio.run(function(bare, *needed))
