"""What the tests of sessions share: a runtime that is checked when it closes, tools, validity."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from wingman import Agent, Message, Runtime, Tool, tool
from wingman.agent import ChosenAgent
from wingman.api import OnBusy
from wingman.conversation import TextBlock, ToolResultBlock
from wingman.errors import StoreUnavailable
from wingman.events import Done, Error
from wingman.providers import Scripted
from wingman.providers.scripted import Script
from wingman.run import Published
from wingman.session import LiveSession, Run, RunRequest
from wingman.store import Chain, Change, Commit, MemoryStore, RunEnded
from wingman.store.call import Call


@tool
async def wait(seconds: float, name: str = "") -> str:
    """Wait for some seconds, then say so."""
    await trio.sleep(seconds)
    return f"waited {name or seconds}"


@tool
async def say(text: str) -> str:
    """Say a text."""
    await trio.lowlevel.checkpoint()
    return text


@tool
async def fail(text: str) -> str:
    """Fail with a text."""
    await trio.lowlevel.checkpoint()
    raise ValueError(text)


@tool
async def stubborn(seconds: float) -> str:
    """Wait for some seconds, whatever happens."""
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)
    return "done at last"


TOOLS = (wait, say, fail, stubborn)


def agent(script: Script, *, name: str = "tester", tools: Sequence[Tool] = TOOLS) -> Agent:
    """An agent whose model says what the script says."""
    return Agent(name, provider=Scripted(script), tools=tools)


def echo(name: str = "echo", **options: Any) -> Agent:
    """An agent that repeats what it is told."""
    return Agent(name, provider=Scripted(lambda request: last_text(request.messages), **options))


def last_text(messages: Sequence[Message]) -> str:
    """The last text of the user in these messages."""
    texts = [b.text for b in messages[-1].content if isinstance(b, TextBlock)]
    return texts[-1] if texts else ""


def request(message: str, on_busy: OnBusy = "queue") -> RunRequest:
    """A message, to be admitted in one moment with other things."""
    return RunRequest(message=message, on_busy=on_busy)


def admit(live: LiveSession, request: RunRequest) -> Run:
    """Admit a message to the echo, without a checkpoint."""
    run = live.admit(request, ChosenAgent(echo(), "echo", None))
    return Run(run.record, run)


def requests_of(agent: Agent) -> list[Sequence[Message]]:
    """The messages of each inference that the agent's model was asked for."""
    provider = agent.provider
    assert isinstance(provider, Scripted)
    return [request.messages for request in provider.requests]


@asynccontextmanager
async def opened(*agents: Agent, store: Any = "memory", **options: Any) -> AsyncIterator[Runtime]:
    """A runtime; when it closes, nothing may be left that is counted or held.

    Virtual time jumps while a session is created (a thread looks at its directory): create first.
    """
    options.setdefault("idle_after", None)
    async with Runtime(store, agents=agents, **options) as runtime:
        yield runtime
    assert idle(runtime)


def idle(runtime: Runtime) -> bool:
    """Whether nothing runs or waits, and every place is free."""
    room = runtime._root.services.room
    return room.waiting == 0 and room.slots.value == runtime.limits.runs


def live_of(runtime: Runtime, session_id: str) -> LiveSession:
    """The session as the process knows it."""
    live = runtime._host.active.find(session_id)
    assert live is not None
    return live


def assert_valid(messages: Sequence[Message]) -> None:
    """Each call has one result, in the message after it; no other result; no empty message."""
    open_calls: list[str] = []
    for message in messages:
        assert message.content, "an empty message"
        results = [b.tool_use_id for b in message.content if isinstance(b, ToolResultBlock)]
        assert results == open_calls, f"calls {open_calls} are answered by {results}"
        if results:
            assert message.role == "user"
            assert all(isinstance(b, ToolResultBlock) for b in message.content[: len(results)])
        open_calls = [use.id for use in message.tool_uses]
        assert not open_calls or message.role == "assistant"
    assert not open_calls, f"calls {open_calls} are not answered"


def assert_sendable(messages: Sequence[Message]) -> None:
    """A model's API takes these: valid, roles alternate, a user's message first and last."""
    assert_valid(messages)
    roles = [message.role for message in messages]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


def assert_ends(events: Sequence[Published], run_ids: Sequence[str]) -> None:
    """Ids grow by one, and the last event of each run is its one end."""
    ids = [published.id for published in events]
    assert ids == sorted(set(ids))
    ends = [p.run_id for p in events if isinstance(p.event, Done | Error)]
    assert sorted(ends) == sorted(run_ids)
    for run_id in run_ids:
        assert isinstance([p for p in events if p.run_id == run_id][-1].event, Done | Error)


async def _settle_later(call: Call, seconds: float) -> None:
    await trio.sleep(seconds)
    call.settle()


def late(seconds: float, chain: Chain | None = None) -> Commit:
    """A commit that takes its time, whoever waits for it."""
    call = Call((), chain)
    trio.lowlevel.spawn_system_task(_settle_later, call, seconds)
    return call


def refused(chain: Chain | None = None) -> Commit:
    """A commit that fails."""
    call = Call((), chain)
    call.settle(StoreUnavailable("The disk is full."))
    return call


class LateStore(MemoryStore):
    """A store whose commits of one kind take a second; `written` is every change, in order."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.kind = kind
        self.written: list[Change] = []

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        self.written += changes
        commit = super().write(*changes, chain=chain)
        if any(isinstance(change, self.kind) for change in changes):
            return late(1.0, chain)
        return commit


class FaultyStore(MemoryStore):
    """A store that refuses changes of some kinds, so many times, of one session or of any.

    With `all_the_same` it keeps what it says that it refused.
    """

    def __init__(
        self,
        failures: int,
        kind: type | tuple[type, ...] = RunEnded,
        *,
        all_the_same: bool = False,
    ) -> None:
        super().__init__()
        self.all_the_same = all_the_same
        self.failures = failures
        self.kind = kind
        self.only: str | None = None

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        if self.failures and any(self._hits(change) for change in changes):
            self.failures -= 1
            if self.all_the_same:
                super().write(*changes)
            return refused(chain)
        return super().write(*changes, chain=chain)

    def _hits(self, change: Change) -> bool:
        if not isinstance(change, self.kind):
            return False
        return self.only is None or getattr(change, "session_id", None) == self.only


class BreakableStore(MemoryStore):
    """A store that fails while a test says so: every write, or those of some kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: tuple[type, ...] = ()
        self._mended = trio.Event()

    def break_down(self, *kinds: type) -> None:
        """Refuse all changes of these kinds; of any kind, if none is named."""
        self.broken = kinds or (object,)
        self._mended = trio.Event()

    def mend(self) -> None:
        """Be well again."""
        self.broken = ()
        self._mended.set()

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        if any(isinstance(change, self.broken) for change in changes):
            return refused(chain)
        return super().write(*changes, chain=chain)

    @property
    def failure(self) -> StoreUnavailable | None:
        return StoreUnavailable("The disk is full.") if self.broken else None

    async def wait_until_well(self) -> None:
        if self.broken:
            await self._mended.wait()
        await trio.lowlevel.checkpoint()


class SlowStore(MemoryStore):
    """A store that refuses changes of some kinds after some seconds, while a test says so."""

    slow_until_refused = 0.0
    kinds: tuple[type, ...] = (RunEnded,)

    def write(self, *changes: Change, chain: Chain | None = None) -> Commit:
        if not self.slow_until_refused or not any(isinstance(c, self.kinds) for c in changes):
            return super().write(*changes, chain=chain)
        call = Call((), chain)
        trio.lowlevel.spawn_system_task(self._refuse, call, self.slow_until_refused)
        return call

    async def _refuse(self, call: Call, seconds: float) -> None:
        await trio.sleep(seconds)
        call.settle(StoreUnavailable("The database is locked."))
