"""A program's hands on a runtime: each asks for one thing, and notes in `Told` what it was told.

A message's text says what its run does: `7: 0.5 0 | 0.2` is message 7, whose first step has two
calls side by side, of half a second and of none, and whose second has one.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from weakref import WeakKeyDictionary

import attrs
import trio
from trio.testing import MockClock

from crash.told import Told
from wingman import Agent, Runtime, tool
from wingman.api import OnBusy, Receipt
from wingman.conversation import TextBlock
from wingman.errors import (
    MailboxFull,
    NotFound,
    SessionBusy,
    SessionDeleted,
    ShuttingDown,
    StoreError,
    StoreUnavailable,
    WingmanError,
)
from wingman.providers import Delay, Request, Scripted, ToolCalls
from wingman.providers.scripted import Item
from wingman.run import Reader
from wingman.session import Run, RunRequest

__all__ = ["Hands", "NoAnswer", "make_agent"]

T = TypeVar("T")

_THINKS = 0.05

# How many threads work, by the clock that they hold up.
_threads: WeakKeyDictionary[MockClock, int] = WeakKeyDictionary()


def make_agent(told: Told, pace: float) -> Agent:
    """An agent that does what the message says; all times are multiplied by `pace`."""

    def speak(request: Request) -> Item:
        texts = [
            (index, block.text)
            for index, message in enumerate(request.messages)
            for block in message.content
            if message.role == "user" and isinstance(block, TextBlock)
        ]
        index, text = texts[-1]
        told.inferred(text)
        number, _, plan = text.partition(":")
        steps = [step.split() for step in plan.split("|") if step.strip()]
        step = sum(1 for message in request.messages[index:] if message.tool_uses)
        if step == len(steps):
            return Delay(f"{number} is done.", _THINKS * pace)
        marks = [
            ("mark", {"mark": f"{number}.{step}.{call}", "seconds": float(seconds) * pace})
            for call, seconds in enumerate(steps[step])
        ]
        return Delay(ToolCalls(*marks, text="Let me see."), _THINKS * pace)

    @tool
    async def mark(mark: str, seconds: float) -> str:
        """Leave a mark, then take some time."""
        told.executed(mark)
        await trio.sleep(seconds)
        return f"marked {mark}"

    return Agent("hands", provider=Scripted(speak), tools=[mark])


class NoAnswer(Exception):
    """Something was waited for in vain, which is noted."""


@contextmanager
def real_time() -> Iterator[None]:
    """While a thread works, virtual time goes slowly: a step after some real milliseconds."""
    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, MockClock):
        yield
        return
    _threads[clock] = _threads.get(clock, 0) + 1
    clock.autojump_threshold = 0.005
    try:
        yield
    finally:
        _threads[clock] -= 1
        if not _threads[clock]:
            clock.autojump_threshold = 0.0


@attrs.define(eq=False)
class Hands:
    """Who asks a runtime for things, on behalf of clients that do not trust it.

    What is refused with `StoreUnavailable` is asked for again, `tries` times in all, a second of
    `pace` apart. `patience` bounds each wait for an answer, `end_patience` that for a run's end, in
    seconds: beyond it, it is a hang.
    """

    runtime: Runtime
    told: Told
    pace: float = 1.0
    tries: int = 40
    patience: float = 120.0
    end_patience: float = 120.0
    runs: list[Run] = attrs.field(factory=list)

    async def answered(
        self, what: str, ask: Callable[[], Awaitable[T]], patience: float | None = None
    ) -> T:
        """What this asks for, in time."""
        seconds = self.patience if patience is None else patience
        with trio.move_on_after(seconds) as scope:
            return await ask()
        self.told.check(not scope.cancelled_caught, f"{what} has no answer ({seconds:g} s)")
        raise NoAnswer(what)

    async def again(self, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        """The same, again and again while the store cannot take it."""
        for _ in range(self.tries):
            try:
                return await self.answered(what, ask)
            except StoreUnavailable:
                self.told.done[f"refusals of {what}"] += 1
                await trio.sleep(self.pace)
        self.told.check(False, f"{what} was refused {self.tries} times")
        raise StoreUnavailable(f"{what}: refused {self.tries} times")

    # --- sessions ------------------------------------------------------------------------------

    async def create(self, title: str | None = None) -> str:
        async def ask() -> str:
            with real_time():  # a thread looks at the directory
                session = await self.runtime.create_session("hands", title=title)
            self.told.session_created(session.id, title)
            return session.id

        return await self.again("create", ask)

    async def retitle(self, session_id: str, title: str) -> None:
        """Change a title; once. Raises `StoreUnavailable` where it was refused."""
        self.told.title_sent(session_id, title)
        try:
            await self.answered(
                "update", lambda: self.runtime.update_session(session_id, title=title)
            )
        except StoreUnavailable:
            self.told.title_refused(session_id, title)
            raise
        self.told.title_taken(session_id, title)

    async def delete(self, session_id: str) -> None:
        async def ask() -> None:
            try:
                await self.runtime.delete(session_id)
            except NotFound:
                # An earlier try has marked it: its rows go at the next start.
                return
            self.told.session_deleted(session_id)

        self.told.deleting.add(session_id)
        await self.again("delete", ask)

    async def follow(self, session_id: str) -> None:
        """Read all events of a session, until its channel is closed."""
        try:
            reader = await self.again("follow", lambda: self.runtime.follow(session_id))
        except WingmanError:
            return
        await self.listen(session_id, reader)

    async def listen(self, session_id: str, reader: Reader) -> None:
        async with reader:
            while batch := await reader.receive():
                for published in batch:
                    self.told.published(session_id, published)

    # --- runs ----------------------------------------------------------------------------------

    async def submit(
        self,
        session_id: str,
        text: str,
        *,
        request_id: str | None = None,
        on_busy: OnBusy = "queue",
    ) -> Run:
        """Send a message; once. Raises what it is refused with."""
        request = RunRequest(message=text, request_id=request_id, on_busy=on_busy)

        async def ask() -> Run:
            run = await self.runtime.admit(session_id, request)
            await run.admitted()
            return run

        self.told.message_sent(text)
        try:
            run = await self.answered("submit", ask)
        except (StoreUnavailable, SessionBusy, MailboxFull):
            self.told.message_refused(text)
            raise
        self.told.message_taken(session_id, run.id, text, request_id)
        self.runs.append(run)
        return run

    async def send(
        self, session_id: str, text: str, request_id: str | None = None, on_busy: OnBusy = "queue"
    ) -> Run:
        """Send a message until it is taken: what has no request id, each time as another one."""
        number, _, plan = text.partition(":")
        for attempt in range(self.tries):
            again = text if request_id is not None else f"{number}-{attempt}:{plan}"
            try:
                return await self.submit(session_id, again, request_id=request_id, on_busy=on_busy)
            except StoreUnavailable:
                self.told.done["refusals of submit"] += 1
                await trio.sleep(self.pace)
        self.told.check(False, f"message {text!r} was refused {self.tries} times")
        raise StoreUnavailable("refused")

    async def hear(self, run: Run) -> None:
        """Wait for a run's end, and note what it came to."""
        what = f"the end of run {run.id}"
        while True:
            try:
                result = await self.answered(what, run.result, self.end_patience)
            except (ShuttingDown, SessionDeleted, NotFound, NoAnswer):
                return
            except StoreUnavailable as error:
                if not run.ended:
                    # Its end is not recorded yet, and it is said that it will be.
                    self.told.done["ends put off"] += 1
                    with suppress(NoAnswer):
                        await self.answered(what, run.wait, self.end_patience)
                        continue
                    return
                self.told.failure_given(run.id, error.code)
            except WingmanError as error:
                self.told.failure_given(run.id, error.code)
            else:
                self.told.result_given(run.id, result)
            return

    async def cancel(self, what: str, ask: Callable[[], Awaitable[Receipt]]) -> bool:
        """Cancel; whether it was acknowledged."""
        try:
            receipt = await self.answered(what, ask)
        except StoreUnavailable:
            self.told.done["cancels refused"] += 1
            return False
        except (NotFound, ShuttingDown, StoreError):
            return False
        for each in receipt.cancelled:
            if each.outcome is None:
                self.told.run_cancelled(each.run_id, each.was)
        return True
