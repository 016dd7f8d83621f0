"""The tool calls of one step: sibling tasks in one nursery, their results in call order.

A single call needs no task: it runs in that of its run, in a context of its own.

Whatever goes wrong in a call is a result that the model reads. A call ends in one of three ways:
it gives a result, it is cancelled alone (the model is told), or it is cancelled with its run (then
the run completes the step).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Protocol

import attrs
import msgspec
import trio

from wingman.api import CallOutcome
from wingman.conversation import ToolResultBlock, ToolUseBlock
from wingman.errors import ToolError
from wingman.foreign import contained
from wingman.processes import environment_of
from wingman.run.apart import apart
from wingman.run.history import with_left_behind
from wingman.run.limits import Limits
from wingman.run.place import Place
from wingman.run.progress import CallProgress
from wingman.run.results import failure, result_of, shortened, shortened_note
from wingman.run.told import told
from wingman.run.toolbox import missing
from wingman.tools import Tool, ToolContext, ToolOutput

__all__ = ["CALLERS", "Admission", "ToolCall", "ToolCalls"]

CALLERS: ContextVar[frozenset[str]] = ContextVar("wingman_callers", default=frozenset())
"""The sessions whose runs wait for the code that runs in this context: a tool, or what it started.
To wait for a run of one of them would be to wait for itself."""


CANCELLED_BY_USER = "Cancelled: the user cancelled this tool call."


@attrs.define(eq=False)
class ToolCall:
    """One call. `scope` is what it runs in, and has its time limit for a deadline. `stopped`: it
    was cancelled alone. `leftover`: what of it could not be stopped. `note`: what its tool
    notes below the result. `questions` of it wait for a person's answer, and `left` is the time
    that it has after that.

    `due`: its step has been recorded, and the call has its task. Until then the model has announced
    it, and may still be speaking; a call that is cancelled by then never runs. `began` is when it
    had its turn, on Trio's clock, once it had.
    """

    block: ToolUseBlock
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    ended: trio.Event = attrs.field(factory=trio.Event)
    result: ToolResultBlock | None = None
    stopped: bool = False
    leftover: str | None = None
    note: str = ""
    due: bool = False
    questions: int = 0
    left: float = inf
    _asked: bool = False
    began: float | None = None

    @property
    def outcome(self) -> CallOutcome:
        """How a cancel has left it."""
        if self._asked and not self.due:
            return "stopped"
        if self.leftover is not None or not self.ended.is_set():
            return "still_running"
        return "stopped" if self.result is None or self.stopped else "completed"

    @property
    def timed_out(self) -> bool:
        """Whether its scope has ended it, and nobody had asked for that."""
        return self.scope.cancelled_caught and not self._asked

    def cancel(self) -> None:
        """Cancel this call alone; the model will be told."""
        self._asked = True
        self.scope.cancel()

    def report(self, leftover: str) -> None:
        """Say what of it could not be stopped; once it has ended, that is settled."""
        if not self.ended.is_set():
            self.leftover = leftover


class Admission(Protocol):
    """Who says whether a call may run. It knows only of calls that may not, or not without a
    person's answer."""

    def waits(self, block: ToolUseBlock) -> bool:
        """Whether this call waits for an answer. Raises `ToolError` where it may not run."""

    async def admit(self, block: ToolUseBlock) -> tuple[ToolUseBlock, str]:
        """One that waits: the call as it may run, once it may, and what the model is told of that.

        Raises `ToolError` where it may not.
        """

    async def question(
        self, block: ToolUseBlock, words: str, schema: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """What a person answers to a call that runs; None where that is declined."""

    def allows(self, action: str, resource: str) -> bool:
        """Whether a call that runs may turn to this as well."""


@attrs.define(eq=False)
class ToolCalls:
    """The calls of one step under way. `on_result` is told of each result as it comes, `on_end` of
    each call's end, also of one that is cancelled.

    `admission` says which calls may run, None: all. `place` is the run's, which is left while all
    calls that have not ended wait to be admitted; it may not be held when this is done.

    `problems` says of each toolset that cannot be had why that is so.

    `calls` are those that were announced, by id. `progress` is given pieces of output with the id
    of their call. `callers` are the sessions that wait for these calls. What calls leave behind
    that are cut short goes into `left_behind`.
    """

    tools: Mapping[str, Tool]
    work_dir: Path
    limits: Limits
    callers: frozenset[str]
    progress: Callable[[str, str], None]
    on_result: Callable[[ToolResultBlock], None]
    on_end: Callable[[ToolCall], None]
    place: Place
    admission: Admission | None = None
    left_behind: dict[str, str] = attrs.field(factory=dict)
    calls: dict[str, ToolCall] = attrs.field(factory=dict)
    problems: Mapping[str, str] = attrs.field(factory=dict)
    _working: int = 0
    _waiting: int = 0

    async def run(self, blocks: Sequence[ToolUseBlock]) -> None:
        """Run these calls side by side, as many at once as the limit allows."""
        self.calls = {block.id: self.calls.get(block.id) or ToolCall(block) for block in blocks}
        for call in self.calls.values():
            call.due = True
        calls, most = tuple(self.calls.values()), self.limits.parallel_tools
        self._working = len(calls)
        if len(calls) == 1:
            await apart(self._run_one(*calls))
            return
        slots = trio.Semaphore(most) if len(calls) > most else None
        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(self._run_one, call, slots)

    async def _run_one(self, call: ToolCall, slots: trio.Semaphore | None = None) -> None:
        CALLERS.set(self.callers)
        try:
            call.result = await self._result(call, slots)
        finally:
            # Also where the whole run is being cancelled: whoever waits for this call's end
            # waits for this.
            call.ended.set()
            self._working -= 1
            self._leave_place()
            self.on_end(call)
        if call.result is None:  # else it had a result, or the Cancelled had gone on
            call.stopped = True
            reason = self._with_left_behind(call.block, CANCELLED_BY_USER)
            call.result = self._failure(call, reason)
        self.on_result(call.result)

    async def _result(self, call: ToolCall, slots: trio.Semaphore | None) -> ToolResultBlock | None:
        """What the model is told of the call; None where it was cancelled alone."""
        block, note = call.block, ""
        progress = CallProgress(partial(self.progress, block.id))
        context = ToolContext(
            work_dir=self.work_dir,
            progress=progress,
            max_output=self.limits.tool_output,
            report_still_running=call.report,
            environment=environment_of(self.callers),
            leave_behind=partial(self._leave_behind, block.id),
            note=partial(self._note, call),
        )
        if self.admission is not None:
            elicit = partial(self._elicit, call, self.admission)
            context = attrs.evolve(context, allows=self.admission.allows, elicit=elicit)
        try:
            with call.scope:
                if self.admission is not None and self.admission.waits(block):
                    block, note = await self._admitted(self.admission, block)
                if slots is None:
                    await trio.lowlevel.checkpoint_if_cancelled()
                else:
                    await slots.acquire()
                try:
                    return _with_note(note, await self._given(call, block, context))
                finally:
                    if slots is not None:
                        slots.release()
            if not call.timed_out:
                return None
            seconds = self.limits.tool_seconds
            why = f"The tool was stopped: its time limit ({seconds:g} s) was reached."
            raise ToolError(self._with_left_behind(block, why))
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            # The boundary of a tool call: whatever it raises is the model's to read, but a cancel.
            failed = self._failure(call, told(block, contained(error)))
            return _with_note(note, failed)  # noqa: ASYNC104 the same
        finally:
            progress.end()

    async def _admitted(
        self, admission: Admission, block: ToolUseBlock
    ) -> tuple[ToolUseBlock, str]:
        """The call as it may run, once it may, and the run has a place to run it in."""
        with self._waiting_for_a_person():
            admitted = await admission.admit(block)
        await self.place.take()
        return admitted

    async def _elicit(
        self, call: ToolCall, admission: Admission, words: str, schema: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Have a person answer a question of a call that runs. Its time stands meanwhile."""
        if call.ended.is_set():
            return None
        if not call.questions:
            call.left = call.scope.deadline - trio.current_time()
            call.scope.deadline = inf
        call.questions += 1
        try:
            with self._waiting_for_a_person() if call.questions == 1 else nullcontext():
                answer = await admission.question(call.block, words, schema)
        finally:
            call.questions -= 1
            if not call.questions:
                call.scope.deadline = trio.current_time() + call.left
        await self.place.take()
        return answer

    @contextmanager
    def _waiting_for_a_person(self) -> Iterator[None]:
        """One call does nothing else: where all do, the run leaves its place."""
        self._working -= 1
        self._waiting += 1
        try:
            self._leave_place()
            yield
        finally:
            self._waiting -= 1
            self._working += 1

    def _leave_place(self) -> None:
        if self._waiting and not self._working:
            self.place.leave()

    async def _given(
        self, call: ToolCall, block: ToolUseBlock, context: ToolContext
    ) -> ToolResultBlock:
        """What the tool gives, in time."""
        call.began = trio.current_time()
        tool = self._find(block)
        call.scope.deadline = call.began + self.limits.tool_seconds
        output = await tool.call(block.input, context)
        if isinstance(output, ToolOutput):
            call.scope.deadline = inf
        return await result_of(block, output, self.limits.tool_output, call.note)

    def _failure(self, call: ToolCall, reason: str) -> ToolResultBlock:
        return failure(call.block, reason, self.limits.tool_output, call.note)

    def _note(self, call: ToolCall, text: str) -> None:
        call.note = shortened_note(text, self.limits.tool_output)

    def _leave_behind(self, tool_use_id: str, text: str) -> None:
        self.left_behind[tool_use_id] = shortened(text, self.limits.tool_output)

    def _with_left_behind(self, block: ToolUseBlock, reason: str) -> str:
        return with_left_behind(reason, self.left_behind.get(block.id, ""))

    def _find(self, block: ToolUseBlock) -> Tool:
        if block.malformed is not None:
            raise ToolError(
                "The call was not executed: its input was not a JSON object. "
                f"Send it again as valid JSON. It was: {block.malformed[:1000]}"
            )
        tool = self.tools.get(block.name)
        if tool is None:
            raise ToolError(missing(block.name, self.tools, self.problems))
        return tool


def _with_note(note: str, result: ToolResultBlock) -> ToolResultBlock:
    """The result, below what the model is to know of how its call came to run."""
    if not note:
        return result
    return msgspec.structs.replace(result, content=f"{note}\n{result.content}")
