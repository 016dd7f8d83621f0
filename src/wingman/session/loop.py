"""RunLoop: one run of the agent loop, from the message to its end.

Send the message, infer, run the tool calls, again, until a final response or a limit. There is one
loop: who wants to stream reads the session's channel, who wants the result waits for the end.

What must last goes to the store in order. Three things wait for their commit: the start, a step's
record before its tools run, and the end before it is published.
"""

from pathlib import Path

import attrs
import trio

from wingman.conversation import Message, ToolResultBlock
from wingman.errors import StoreError
from wingman.events import Step, ToolProgress, ToolResult
from wingman.session.calls import ProgressMeter, ToolCalls
from wingman.session.draft import StepDraft
from wingman.session.ending import Ending, cut, failure, limit_struck, reached
from wingman.session.inference import Inference
from wingman.session.live import LiveSession
from wingman.session.meter import Meter
from wingman.session.output import FinalOutput
from wingman.session.run import Job, ended_record
from wingman.session.services import now
from wingman.store import (
    CallEnded,
    Commit,
    RunEnded,
    RunFailure,
    RunStarted,
    StepEnded,
    StepRecorded,
)

__all__ = ["RunLoop"]

# How long the end of a run may take to be recorded before the store counts as failed.
_END_SECONDS = 30.0


@attrs.define(eq=False)
class RunLoop:
    """One run. `messages` is what it has added to the history, `inference` the step under way."""

    live: LiveSession
    job: Job
    history: list[Message]
    steps: int = 0
    messages: list[Message] = attrs.field(factory=list)
    inference: Inference | None = None
    meter: Meter = attrs.field(init=False)
    output: FinalOutput = attrs.field(init=False)
    _last_step: tuple[Commit, int] | None = None  # the commit of the last step, its last event

    def __attrs_post_init__(self) -> None:
        self.meter = Meter(self.live.services.prices)
        self.output = FinalOutput(self.job.agent.output_check)

    async def execute(self) -> None:
        """Run to the end, which is recorded and published whatever happens.

        Raises `StoreError` if the store has failed: then memory may be ahead of it, and the next
        life of the session's actor ends this run from what the store has.
        """
        ending: Ending | None = None
        try:
            ending = await self._in_turn()
        except StoreError:
            raise
        except Exception as error:
            # The boundary of a run: its failure is the run's, and the session goes on.
            ending = failure(self.job.run, error)
        except BaseException:
            ending = cut(self.job.run)
            raise
        finally:
            if ending is not None and not self.job.run.ended:
                with trio.move_on_after(_END_SECONDS, shield=True) as scope:
                    await self._end(ending)
                if scope.cancelled_caught:
                    raise StoreError(f"The end of run {self.job.run.id} could not be recorded.")

    # --- the loop ------------------------------------------------------------------------------

    async def _in_turn(self) -> Ending | None:
        """Wait for a place among the runs in flight, then run."""
        services = self.live.services
        await services.take_slot()
        try:
            if self.job.run.ended:
                return None  # it was released while it waited: it stays queued in the store
            await self._start()
            return await self._run()
        finally:
            services.slots.release()

    async def _start(self) -> None:
        run, live = self.job.run, self.live
        live.begin(run)
        live.reserve()
        message = Message.user(run.record.message, run.record.images or ())
        commit = live.services.store.write(
            RunStarted(live.id, run.id, now(), message, live.ceiling)
        )
        self._add((message,))
        await commit.wait()
        await run.admitted()  # it was written before, so this hardly waits

    async def _run(self) -> Ending:
        seconds = self.live.services.limits.seconds
        ending: Ending | None = None
        with trio.move_on_after(seconds):
            while ending is None:
                ending = await self._step()
        return ending or limit_struck("time_limit", f"time limit ({seconds:g} s)", self.messages)

    async def _step(self) -> Ending | None:
        """One inference and its tool calls; the run's ending, if it ends with it."""
        self.steps += 1
        step = Step(self.steps, self.meter.usage, self.meter.cost)
        self.live.publish(self.job.run, step)
        self.inference = Inference(self.job, self.live, self.history, self.meter)
        await self.inference.perform()
        draft = self.inference.draft
        message = draft.message()
        if draft.finish == "refusal":
            return Ending("completed", "refusal")
        if not message.tool_uses:
            return await self._respond(draft, message)
        await self._call_tools(draft, message)
        self._end_step(draft.messages())
        return self._limit()

    async def _respond(self, draft: StepDraft, message: Message) -> Ending | None:
        """The ending by a final response; none where the model is to correct it."""
        if draft.finish == "max_tokens":
            return Ending("completed", "max_tokens")
        demand = self.output.judge(message.text)
        if demand is None:
            return Ending("completed", "end_turn")
        await self._confirm_last_step()
        self._end_step((*draft.messages(), demand))
        return self._limit()

    def _limit(self) -> Ending | None:
        """The ending by a limit that this step has reached, if it has."""
        limits, run, agent = self.live.services.limits, self.job.run, self.job.agent
        most = run.record.max_steps or agent.max_steps or limits.steps
        return reached(limits.tokens, most, self.steps, self.meter.usage, self.messages)

    async def _call_tools(self, draft: StepDraft, message: Message) -> None:
        run, live = self.job.run, self.live
        store = live.services.store
        await store.write(
            StepRecorded(run.session_id, run.id, self.steps, message, self.meter.usage)
        ).wait()
        await self._confirm_last_step()

        def on_result(result: ToolResultBlock) -> None:
            draft.results[result.tool_use_id] = result
            store.write(CallEnded(run.session_id, run.id, result))
            live.services.metrics.tool_call_ended(result.is_error)
            live.publish(run, ToolResult(result.tool_use_id, result.content, result.is_error))

        def progress(tool_use_id: str, text: str) -> None:
            live.publish(run, ToolProgress(tool_use_id, text))

        run.calls = ToolCalls(
            tools={tool.name: tool for tool in self.job.agent.tools},
            work_dir=Path(live.record.work_dir),
            limits=live.services.limits,
            progress=ProgressMeter(progress),
            on_result=on_result,
        )
        await run.calls.run(message.tool_uses)
        run.calls = None
        # A tool that shields itself may have swallowed a cancel: the step ends here all the same.
        await trio.lowlevel.checkpoint_if_cancelled()

    def _end_step(self, messages: tuple[Message, ...]) -> None:
        """The whole step enters the history; nobody waits for the commit, the next one tells."""
        live, run = self.live, self.job.run
        self.inference = None
        last_id = live.channel.last_id
        commit = live.services.store.write(
            StepEnded(live.id, run.id, messages, self.steps, self.meter.usage, last_id)
        )
        self._last_step = commit, last_id
        self._add(messages)

    async def _confirm_last_step(self) -> None:
        """Make sure that the step before is safe, once a later commit is: so this hardly waits."""
        if self._last_step is not None:
            commit, last_id = self._last_step
            self._last_step = None
            await commit.wait()
            self.live.channel.mark_stored(last_id)

    # --- the end -------------------------------------------------------------------------------

    async def _end(self, ending: Ending) -> None:
        """Record the end, then publish it."""
        live, run = self.live, self.job.run
        tail = self._close_draft(ending)
        self._add(tail)
        result = ending.result(run.id, self.messages, self.steps, self.meter, self.output.value)
        error = ending.error
        last_id = live.channel.last_id
        ended = RunEnded(
            session_id=live.id,
            run_id=run.id,
            status=ending.status,
            ended_at=now(),
            steps=self.steps,
            usage=self.meter.usage,
            messages=tail,
            result=result,
            error=None if error is None else RunFailure(error.code, error.message),
            session_usage=live.usage + self.meter.usage,
            last_event_id=last_id,
        )
        live.reserve()
        await live.services.store.write(ended).wait()
        await self._confirm_last_step()
        live.usage += self.meter.usage
        live.channel.mark_stored(last_id)
        live.finish(run, ended_record(run.record, ended), error)

    def _close_draft(self, ending: Ending) -> tuple[Message, ...]:
        """The messages of the step under way; calls it leaves unanswered are answered for it."""
        inference, self.inference = self.inference, None
        if inference is None:
            return ()
        draft = inference.draft
        answered = set(draft.results)
        messages = draft.messages(ending.unanswered, ending.cut_short)
        for block in messages[-1].content if len(messages) > 1 else ():
            if isinstance(block, ToolResultBlock) and block.tool_use_id not in answered:
                self.live.publish(
                    self.job.run, ToolResult(block.tool_use_id, block.content, block.is_error)
                )
        return messages

    def _add(self, messages: tuple[Message, ...]) -> None:
        self.messages += messages
        self.history += messages
