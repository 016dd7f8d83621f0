"""What has ended is gone from memory at once: nothing of it waits for the garbage collector.

Full collections are rare in a server. So each case here is played with the collector switched off,
and then it is counted what is left of it. The store keeps rows; no run, history or task.
"""

import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
import trio.lowlevel

from provider_wires import anthropic_text, chunks, receive_request, response_head
from server_kit import until
from session_kit import TOOLS, FaultyStore, agent, echo, idle, live_of, opened
from wingman import Agent, Limits, Runtime, Session
from wingman.actor import Restart
from wingman.actor.cell import Cell
from wingman.actor.delivery import Delivery
from wingman.actor.queue import Queue
from wingman.actor.restarts import Restarts
from wingman.actor.worker import Worker
from wingman.errors import ProviderRejected, WingmanError
from wingman.providers import Anthropic, Fallback, ToolCalls
from wingman.run import EventChannel, Journal, Published, Reader, RunJournal, RunLoop, RunState
from wingman.run.calls import ToolCall
from wingman.run.calls import ToolCalls as CallsOfStep
from wingman.run.draft import StepDraft
from wingman.run.inference import Inference
from wingman.session import LiveRun, LiveSession, Run, active
from wingman.session.actor import SessionActor
from wingman.store import Chain, MemoryStore, RunEnded

OURS = (
    *(LiveSession, LiveRun, SessionActor, Run, Session),
    *(EventChannel, Published, Reader, Journal, RunJournal, RunState),
    *(RunLoop, Inference, StepDraft, CallsOfStep, ToolCall),
    *(Chain, Cell, Worker, Queue, Restarts, Delivery),
)
ROUNDS = 2

Scene = Callable[[Runtime], Awaitable[None]]


def living() -> Counter[str]:
    """How many there are of the things that a session and a run are made of, and their frames."""
    found: Counter[str] = Counter()
    kinds = {id(kind) for kind in OURS}
    for thing in gc.get_objects():
        if id(type(thing)) in kinds:  # other tests have classes that raise when they are compared
            found[type(thing).__qualname__] += 1
        elif type(thing) is FrameType and thing.f_globals.get("__name__", "").startswith(
            ("wingman.run", "wingman.session", "wingman.actor", "wingman.providers")
        ):
            found[thing.f_code.co_qualname] += 1
    return found


async def left_after(runtime: Runtime, scene: Scene, rounds: int = ROUNDS) -> Counter[str]:
    """What some rounds of a scene leave, all its sessions passivated, without a collection."""

    async def settled() -> None:
        await until(lambda: not runtime._host.active.all())
        assert idle(runtime)
        await trio.sleep(0.02)

    await scene(runtime)
    await settled()
    gc.collect()
    gc.disable()
    try:
        before = living()
        for _ in range(rounds):
            await scene(runtime)
        await settled()
        return living() - before
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def _nothing_is_logged() -> Iterator[None]:
    """pytest would keep the records, and with them the tracebacks."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def boom(_: object) -> str:
    raise ValueError("the provider's code has a bug")


def rejected(_: object) -> str:
    raise ProviderRejected("no", provider="scripted")


async def rubbish(*_: object) -> AsyncIterator[Any]:
    raise BaseExceptionGroup("two at once", [SystemExit(3), ValueError("and this")])
    yield


async def run(runtime: Runtime, name: str) -> None:
    session = await runtime.create_session(name)
    with suppress(WingmanError):
        await session.run("hello")
    with suppress(WingmanError):
        await session.run("again")


async def stream(runtime: Runtime, name: str, leave: bool = False) -> None:
    session = await runtime.create_session(name)
    with suppress(WingmanError):
        async with session.follow() as news, session.run_stream("hello") as events:
            async for event in events:
                if leave and event.kind == "tool_use":
                    break
            await anext(aiter(news))


async def stop_waiting(runtime: Runtime) -> None:
    session = await runtime.create_session("waits")
    with trio.move_on_after(0.02):
        await session.run("hello")


async def cancel(runtime: Runtime) -> None:
    session = await runtime.create_session("waits")
    runs = [await session.submit("hello") for _ in range(3)]
    await trio.sleep(0.01)
    await session.cancel(queued=True)
    for each in runs:
        with suppress(WingmanError):
            await each.result()


async def cancel_a_tool(runtime: Runtime) -> None:
    session = await runtime.create_session("waits")
    started = await session.submit("hello")
    live = live_of(runtime, session.id)
    await until(lambda: live.current is not None and live.current.state.calls is not None)
    [call] = live.current.state.announced
    await started.cancel_tool(call)
    await started.result()


async def delete(runtime: Runtime) -> None:
    session = await runtime.create_session("waits")
    runs = [await session.submit("hello") for _ in range(2)]
    await trio.sleep(0.01)
    await runtime.delete(session.id)
    for each in runs:
        with suppress(WingmanError):
            await each.result()


async def refuse(runtime: Runtime) -> None:
    """What is refused, at several doors."""
    session = await runtime.create_session("waits")
    for agent_id in ("nobody", "waits"):
        with suppress(WingmanError):
            await runtime.create_session(agent_id)
    first = await session.submit("hello", request_id="one")
    for message in ("hello", "another"):
        with suppress(WingmanError):
            await session.submit(message, request_id="one")
    with suppress(WingmanError):
        await session.submit("hello", on_busy="reject")
    await session.submit("hello", on_busy="interrupt")
    await session.cancel(queued=True)
    await first.wait()


SCENES: dict[str, Scene] = {
    "text": partial(run, name="echo"),
    "tools": partial(run, name="tools"),
    "tools that fail": partial(run, name="fails"),
    "a bug of the provider's": partial(run, name="broken"),
    "an API that refuses": partial(run, name="rejected"),
    "a provider that raises anything": partial(run, name="rubbish"),
    "a fallback": partial(run, name="falls back"),
    "a step limit": partial(run, name="endless"),
    "a time limit": partial(run, name="is late"),
    "a stream": partial(stream, name="tools"),
    "a stream of a run that fails": partial(stream, name="broken"),
    "a stream that is left": partial(stream, name="waits", leave=True),
    "a caller that is cancelled": stop_waiting,
    "a cancel, and one in the queue": cancel,
    "a cancelled tool call": cancel_a_tool,
    "a deleted session": delete,
    "refused messages": refuse,
}


def cast() -> list[Agent]:
    """The agents of the scenes; each says the same for ever."""

    def calling(name: str, **input: Any) -> Callable[[Any], Any]:
        def speak(request: Any) -> Any:
            results = request.messages[-1].content[0].__class__.__name__ == "ToolResultBlock"
            return "done" if results else ToolCalls((name, input))

        return speak

    class Rubbish:
        id, model = "rubbish", "rubbish-1"
        stream = staticmethod(rubbish)

    falls_back = Fallback(agent(rejected).provider, echo().provider)
    return [
        echo(),
        agent(calling("say", text="x"), name="tools"),
        agent(calling("fail", text="x"), name="fails"),
        agent(calling("wait", seconds=0.2), name="waits"),
        agent(calling("wait", seconds=1000), name="is late"),
        agent(lambda _: ToolCalls(("say", {"text": "x"})), name="endless"),
        agent(boom, name="broken"),
        agent(rejected, name="rejected"),
        Agent("rubbish", provider=Rubbish(), tools=TOOLS),
        Agent("falls back", provider=falls_back),
    ]


@pytest.mark.parametrize("store", ["memory", "file"])
async def test_of_what_has_ended_nothing_waits_for_a_collection(store: str, tmp_path: Path) -> None:
    """All scenes at once: to look at all objects takes long. One by one where some are left."""
    where = "memory" if store == "memory" else tmp_path / "w.db"

    async def all_of_them(runtime: Runtime) -> None:
        for scene in SCENES.values():
            await scene(runtime)

    limits = Limits(steps=3, seconds=0.5)
    async with opened(*cast(), store=where, idle_after=0.01, limits=limits) as runtime:
        if await left_after(runtime, all_of_them):
            left = {name: await left_after(runtime, scene) for name, scene in SCENES.items()}
            pytest.fail(f"left: { {name: what for name, what in left.items() if what} }")


async def test_of_a_run_that_could_not_be_recorded_nothing_waits_for_a_collection() -> None:
    store = FaultyStore(0, RunEnded)

    async def fail(runtime: Runtime) -> None:
        store.failures = 1
        await run(runtime, "echo")

    async with opened(*cast(), store=store, idle_after=0.01) as runtime:
        assert await left_after(runtime, fail) == {}


async def test_of_a_session_that_was_set_aside_nothing_waits_for_a_collection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also while it is set aside: what is kept of it are the words of its error."""
    monkeypatch.setattr(SessionActor, "receive", crash)
    monkeypatch.setattr(active, "Restart", partial(Restart, max_restarts=0))
    async with opened(*cast(), store=MemoryStore(), idle_after=0.01) as runtime:
        assert await left_after(runtime, partial(run, name="echo")) == {}
        assert len(runtime.status().quarantined) == ROUNDS + 1


async def crash(self: SessionActor, message: object) -> None:
    held = (self, message)  # as frames do
    await trio.lowlevel.checkpoint()
    raise ZeroDivisionError(len(held))


@pytest.mark.parametrize("wire", ["whole", "refused", "broken"])
async def test_of_a_run_over_the_network_nothing_waits_for_a_collection(wire: str) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await receive_request(stream)
            if wire == "whole":
                await stream.send_all(response_head() + chunks([anthropic_text()]))
            elif wire == "broken":
                half = anthropic_text()[: len(anthropic_text()) // 2]
                await stream.send_all(response_head() + chunks([half], end=False))
            elif wire == "refused":
                await stream.send_all(
                    b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
                )

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, answer, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        provider = Anthropic("m", api_key="k", base_url=url)
        afar = Agent("afar", provider=provider)
        async with opened(afar, store=MemoryStore(), idle_after=0.01) as runtime:
            assert await left_after(runtime, partial(run, name="afar")) == {}
        nursery.cancel_scope.cancel()
