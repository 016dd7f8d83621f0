"""RunLoop: one run of the agent loop, from its message to its end.

Send the message, infer, run the tool calls, again, until a final response or a limit. There is one
loop: who wants to stream reads the session's channel, who wants the result waits for the end.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

import attrs
import trio

from wingman.agent import Agent
from wingman.api import PermissionRequest
from wingman.conversation import Message, ToolResultBlock, ToolUseBlock
from wingman.errors import StoreError
from wingman.events import Step, ToolProgress, ToolResult
from wingman.foreign import contained
from wingman.run.answer import FinalOutput
from wingman.run.calls import ToolCalls
from wingman.run.compaction import Compactor
from wingman.run.cost import Meter
from wingman.run.draft import StepDraft
from wingman.run.ending import Ending, cut, failure, limit_struck, reached, waiting_error
from wingman.run.inference import Inference
from wingman.run.journal import RunJournal
from wingman.run.limits import Limits
from wingman.run.logbook import call_ended, run_resumed, run_started, step_ended
from wingman.run.model import Model
from wingman.run.permits import Permits
from wingman.run.place import Place
from wingman.run.progress import ProgressMeter
from wingman.run.shown import Shown
from wingman.run.state import RunState
from wingman.run.toolbox import Toolbox
from wingman.run.view import View
from wingman.run.words import Words
from wingman.store import CutRun, RunRecord

__all__ = ["RunLoop"]

# How long the end of a run may take to be recorded before the store counts as failed.
_END_SECONDS: Final = 30.0
# A run that has waited for nothing lets other tasks run after so many seconds.
_TURN_SECONDS: Final = 0.005


@attrs.define(eq=False)
class RunLoop:
    """One run. It appends to `history` what the run adds to it, as soon as that is written.

    `shown` is what the session's models are shown of it, `tool_ids` the ids of its tool calls so
    far; the run adds its own. `callers` are the sessions that wait for what the run's tools do, its
    own among them. `place` is the run's among those in flight. `permits` say which calls may run;
    None: all of them. `words` are the messages that are to steer it, `view` what is
    left of the history for models. `toolbox` has the tools of its agent's toolsets, if it has any.
    """

    journal: RunJournal
    state: RunState
    agent: Agent
    work_dir: Path
    history: list[Message]
    shown: Shown
    tool_ids: set[str]
    model: Model
    limits: Limits
    meter: Meter
    callers: frozenset[str]
    place: Place
    permits: Permits | None = None
    words: Words | None = None
    toolbox: Toolbox | None = None
    view: View = attrs.field(factory=View)
    steps: int = 0
    messages: list[Message] = attrs.field(factory=list)
    _inference: Inference | None = None
    _resumed: StepDraft | None = None
    _output: FinalOutput = attrs.field(init=False)
    _compactor: Compactor = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._output = FinalOutput(self.agent.output_check)
        self._compactor = Compactor(self.agent, self.journal, self.model, self.meter, self.view)

    async def execute(self, resumed: CutRun | None = None) -> None:
        """Run to the end, which is recorded and published whatever happens. Only a run that waits
        for a person stays as it is stored where the runtime closes, and goes on at the next start:
        `resumed` is then what it had left.

        Raises `StoreError` if the store has failed: then the run has not ended, memory may be
        ahead of what is stored, and the caller goes on from there.
        """
        ending: Ending | None = None
        try:
            ending = await (self._run() if resumed is None else self._resume(resumed))
        except StoreError:
            raise
        except BaseException as error:  # noqa: ASYNC103 contained lets a cancellation through
            # The boundary of a run: whatever is raised is its failure, and the session goes on.
            # Only a cancel passes `contained`, and then the run was cut.
            ending = self._cut()
            ending = failure(self.journal.record.id, contained(error), self.state.cut_by)
        finally:
            if ending is not None and self.state.phase == "running":
                if ending.status == "interrupted" and self.journal.status == "waiting":
                    self.journal.release(waiting_error(self.journal.record.id))
                else:
                    await self._end(ending)  # noqa: ASYNC102 the journal's shield, is bounded

    # --- the loop ------------------------------------------------------------------------------

    async def _run(self) -> Ending:
        record = self.journal.record
        if record.compacts:
            await self.journal.began(None)
        else:
            message = Message.user(record.message, record.images or ())
            await self.journal.began(message)
            self._add((message,))
        run_started(self.journal.record, self.agent)
        self.place.count()
        try:
            if record.compacts:
                done = await self._compactor.on_demand(self.history, record.message)
                return Ending("completed", "end_turn", detail=done)
            return await self._steps()
        finally:
            self.place.stop_counting()

    async def _resume(self, left: CutRun) -> Ending:
        """Go on with the step in which an earlier process has stopped."""
        step = left.pending
        if step is None or self.permits is None:
            raise RuntimeError("only a run that waits for a person goes on")
        self.journal.resumed()
        self.messages += left.messages
        self.steps = step.step
        self.meter.resume(step.usage, step.cost)
        self._resumed = draft = StepDraft.recorded(step.message, step.results)
        self.tool_ids.update(use.id for use in step.message.tool_uses)
        run_resumed(self.journal.record, self.agent)
        self.place.count()
        try:
            await self._fill_toolbox()
            blocks = [use for use in step.message.tool_uses if use.id not in draft.results]
            self.permits.resume(blocks)
            await self._run_calls(draft, blocks)
            self._end_step(draft.messages())
            return self._limit() or await self._steps()
        finally:
            self.place.stop_counting()

    async def _steps(self) -> Ending:
        began = perf_counter()
        ending = await self._step()
        while ending is None:
            if perf_counter() - began > _TURN_SECONDS:
                await trio.lowlevel.checkpoint()
                began = perf_counter()
            ending = await self._step()
        return ending

    def _cut(self) -> Ending:
        """The ending of a run that is cancelled: by name, by its time limit, or with all."""
        if not self.state.timed_out or self.state.cut_by is not None:
            return cut(self.state.cut_by)
        what = f"time limit ({self.place.time_limit.seconds:g} s)"
        return limit_struck("time_limit", what, self.messages)

    async def _step(self) -> Ending | None:
        """One inference and its tool calls; the run's ending, if it ends with it."""
        self.journal.check()
        await self._fill_toolbox()
        self.steps += 1
        self.journal.publish(Step(self.steps, self.meter.usage, self.meter.cost))
        announced = self.state.announced = {}
        inference = Inference(
            self.agent,
            self.journal,
            self.model,
            self.meter,
            self.shown,
            self.tool_ids,
            announced,
            self._compactor,
        )
        self._inference, began, whole = inference, trio.current_time(), False
        try:
            ending = await self._perform(inference)
            whole = True
            return ending
        finally:
            record, draft = self.journal.record, inference.draft
            step_ended(record, self.steps, draft, self.meter, began, whole=whole)

    async def _fill_toolbox(self) -> None:
        """Have the tools that there are now; without a checkpoint where no toolset is used."""
        if self.toolbox is None:
            return
        agent = await self.toolbox.filled()
        if agent is not self.agent:
            self.agent = agent
            self._compactor.use(agent)
            if self.permits is not None:
                self.permits.tools = {tool.name: tool for tool in agent.tools}

    async def _perform(self, inference: Inference) -> Ending | None:
        await inference.perform(self.history, len(self.messages))
        draft = inference.draft
        message = draft.message()
        if draft.finish == "refusal":
            return Ending("completed", "refusal")
        if not message.tool_uses:
            return self._respond(draft, message)
        await self._call_tools(draft, message)
        self._end_step(draft.messages())
        return self._limit()

    def _respond(self, draft: StepDraft, message: Message) -> Ending | None:
        """The ending by a final response; none where the model is to correct it."""
        if draft.finish == "max_tokens":
            return Ending("completed", "max_tokens")
        demand = self._output.judge(message.text)
        if demand is not None:
            self._end_step((*draft.messages(), demand))
            return self._limit()
        # From here to the end, or to the next step, nobody else has a turn: a message that comes
        # is read by this run, or finds that it has ended.
        if self._limit() is None and self.words is not None and self.words:
            self._end_step(draft.messages())
            return None
        self.state.output = self._output.output
        return Ending("completed", "end_turn")

    def _limit(self) -> Ending | None:
        """The ending by a limit that this step has reached, if it has."""
        most = self.journal.record.max_steps or self.agent.max_steps or self.limits.steps
        return reached(self.limits.tokens, most, self.steps, self.meter.usage, self.messages)

    async def _call_tools(self, draft: StepDraft, message: Message) -> None:
        journal = self.journal
        requests: Sequence[PermissionRequest] = ()
        if self.permits is not None:
            due = [use for use in message.tool_uses if not self._is_cancelled(use)]
            requests = await self.permits.judge(journal.record, due)
        await journal.step_recorded(self.steps, message, self.meter.spent, requests)
        await self._run_calls(draft, message.tool_uses)

    def _is_cancelled(self, use: ToolUseBlock) -> bool:
        call = self.state.announced.get(use.id)
        return call is not None and call.outcome == "stopped"

    async def _run_calls(self, draft: StepDraft, blocks: Sequence[ToolUseBlock]) -> None:
        journal = self.journal

        def on_result(result: ToolResultBlock) -> None:
            draft.results[result.tool_use_id] = result
            journal.call_ended(result)

        def progress(tool_use_id: str, text: str) -> None:
            journal.publish(ToolProgress(tool_use_id, text))

        calls = self.state.calls = ToolCalls(
            tools={tool.name: tool for tool in self.agent.tools},
            work_dir=self.work_dir,
            limits=self.limits,
            callers=self.callers,
            progress=ProgressMeter(progress),
            on_result=on_result,
            on_end=partial(call_ended, journal.record, self.steps),
            place=self.place,
            admission=self.permits,
            left_behind=draft.left_behind,
            calls=self.state.announced,
            problems={} if self.toolbox is None else self.toolbox.problems,
        )
        await calls.run(blocks)
        await self.place.take()
        self.state.calls = None
        # A tool that shields itself may have swallowed a cancel: the step ends here all the same.
        await trio.lowlevel.checkpoint_if_cancelled()

    def _end_step(self, messages: tuple[Message, ...]) -> None:
        """The step is over; what was said meanwhile to steer the run comes after it, unless the
        model is not asked again."""
        self._inference = self._resumed = None
        read: Sequence[RunRecord] = ()
        if self.words is not None and self._limit() is None:
            read = self.words.take()
            messages += tuple(Message.user(each.message, each.images or ()) for each in read)
        commit = self.journal.step_ended(messages, self.steps, self.meter.spent, read)
        if self.words is not None and read:
            self.words.taken(read, commit)
        self._add(messages)

    # --- the end -------------------------------------------------------------------------------

    async def _end(self, ending: Ending) -> None:
        self.state.phase = "unrecorded"  # from here on only the store is waited for
        tail = self._close_draft(ending)
        self._add(tail)
        await self.journal.end(
            ending,
            self.meter.spent,
            self.steps,
            tail=tail,
            messages=self.messages,
            output=None if self.state.output is None else self.state.output.json,
            within=_END_SECONDS,
        )

    def _close_draft(self, ending: Ending) -> tuple[Message, ...]:
        """The messages of the step under way; calls it leaves unanswered are answered for it."""
        draft = self._resumed if self._inference is None else self._inference.draft
        self._inference = self._resumed = None
        if draft is None:
            return ()
        self._answer_those_that_wait(draft, ending)
        answered = set(draft.results)
        messages = draft.messages(ending.unanswered, ending.cut_short)
        for block in messages[-1].content if len(messages) > 1 else ():
            if isinstance(block, ToolResultBlock) and block.tool_use_id not in answered:
                self.journal.publish(ToolResult.of(block))
        return messages

    def _answer_those_that_wait(self, draft: StepDraft, ending: Ending) -> None:
        """Of a call that waits for a person it is known that it has not run."""
        for ask in () if self.journal.asks is None else self.journal.asks.pending:
            id = ask.request.tool_use_id
            result = ending.waited(id)
            if draft.results.setdefault(id, result) is result:
                self.journal.publish(ToolResult.of(result))

    def _add(self, messages: Iterable[Message]) -> None:
        added = tuple(messages)
        self.messages += added
        self.history += added
