"""What the tests of permissions share: a hand whose calls need answers, and who gives them."""

from collections.abc import Sequence

import attrs
import trio

from session_kit import agent, last_text
from wingman import Agent, Runtime, Tool, tool
from wingman.api import Decision, PermissionForm, PermissionRequest
from wingman.conversation import ToolResultBlock
from wingman.errors import AlreadyResolved, NotFound, ShuttingDown, StoreUnavailable
from wingman.providers import Request, ToolCalls
from wingman.providers.scripted import Item
from wingman.session import Run

__all__ = [
    "RULES",
    "AtStep",
    "Hand",
    "answer_all",
    "at_rest",
    "pending",
    "results_of",
    "until_pending",
]

RULES: PermissionForm = {"guarded": "ask", "forbidden": "deny"}
"""Calls of `guarded` need an answer, those of `forbidden` may not run, those of `free` may."""


@attrs.define(eq=False)
class Hand:
    """An agent with three tools, and what they did. `plans` has the steps of each message, one
    after the other; then the model says "Done.", and to another message nothing but that."""

    plans: dict[str, list[Sequence[tuple[str, str]]]] = attrs.field(factory=dict)
    ran: list[str] = attrs.field(factory=list)
    seconds: float = 0.0
    name: str = "hand"
    requests: list[Request] = attrs.field(factory=list)

    def agent(self, permissions: PermissionForm | None = RULES) -> Agent:
        """The agent. Each has the same name: a later process finds it again."""
        made = agent(self._speak, name=self.name, tools=self._tools())
        return attrs.evolve(made, permissions=permissions)

    def _tools(self) -> list[Tool]:
        async def work(name: str) -> str:
            self.ran.append(name)
            await trio.sleep(self.seconds)
            return f"{name} done"

        @tool
        async def free(name: str) -> str:
            """Do what nobody minds."""
            return await work(name)

        @tool
        async def guarded(name: str) -> str:
            """Do what somebody is asked about."""
            return await work(name)

        @tool
        async def forbidden(name: str) -> str:
            """Do what may not be done."""
            return await work(name)

        return [free, guarded, forbidden]

    def _speak(self, request: Request) -> Item:
        self.requests.append(request)
        texts = [
            (index, last_text((message,)))
            for index, message in enumerate(request.messages)
            if message.role == "user" and last_text((message,))
        ]
        index, text = texts[-1]
        steps = self.plans.get(text, [])
        done = sum(1 for message in request.messages[index:] if message.tool_uses)
        if done >= len(steps):
            return "Done."
        return ToolCalls(*((tool_name, {"name": name}) for tool_name, name in steps[done]))


class AtStep(trio.abc.Instrument):
    """Calls back at the n-th step of the scheduler from now."""

    def __init__(self, steps: int, then: object) -> None:
        self.left = steps
        self._then = then

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            assert callable(self._then)
            self._then()


async def pending(runtime: Runtime, session_id: str | None = None) -> list[PermissionRequest]:
    """What waits for an answer, oldest first."""
    page = await runtime.permissions(session_id, limit=1000)
    return list(reversed(page))


async def until_pending(runtime: Runtime, count: int = 1) -> list[PermissionRequest]:
    """What waits for an answer, as soon as it is so many."""
    with trio.fail_after(60):
        while len(found := await pending(runtime)) < count:  # noqa: ASYNC110 it is no event
            await trio.sleep(0.01)
    return found


async def answer_all(runtime: Runtime, decision: Decision = "once", *, pause: float = 0.05) -> None:
    """Answer whatever waits, for ever."""
    while True:
        for request in await pending(runtime):
            try:
                await runtime.answer(request.session_id, request.id, decision)
            except (AlreadyResolved, NotFound, ShuttingDown, StoreUnavailable):
                continue
        await trio.sleep(pause)


def at_rest(runtime: Runtime) -> bool:
    """Whether nothing runs, nothing waits, and nobody is asked."""
    status = runtime.status()
    return (status.in_flight, status.waiting, status.asking) == (0, 0, 0)


async def results_of(runtime: Runtime, run: Run) -> list[str]:
    """The results of a run's tool calls, in order, as the model reads them."""
    return [
        block.content
        for message in await runtime.store.run_messages(run.id)
        for block in message.content
        if isinstance(block, ToolResultBlock)
    ]
