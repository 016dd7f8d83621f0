"""What becomes of a run that the process did not end: it is `interrupted`, its last step complete.

After a crash the store has a run's finished steps, and the step under way as it was recorded
before its tools ran. A call without a result may have run: the model is told so.
"""

from wingman.conversation import Message
from wingman.session.history import complete_step, summarize
from wingman.session.services import now
from wingman.store.base import RunEnded, RunRecord, SessionRecord, Store

__all__ = ["interrupt"]

_UNANSWERED = (
    "Interrupted: the server died before this call had ended. It may have run, in part or whole."
)


async def interrupt(store: Store, session: SessionRecord, run: RunRecord) -> RunEnded:
    """The end of a run that was running, from the rows it has left."""
    pending = await store.pending_step(run.id)
    earlier = await store.run_messages(run.id)
    steps, usage = run.steps, run.usage
    tail: tuple[Message, ...] = ()
    if pending is not None:
        steps, usage = pending.step, pending.usage
        results = {result.tool_use_id: result for result in pending.results}
        tail = complete_step(pending.message, results, _UNANSWERED, "interrupted")
    result = summarize(run.id, (*earlier, *tail), "interrupted", steps, usage)
    return RunEnded(
        session_id=session.id,
        run_id=run.id,
        status="interrupted",
        ended_at=now(),
        steps=steps,
        usage=usage,
        messages=tail,
        result=result,
        session_usage=session.usage + usage,
        last_event_id=session.event_ceiling,
    )
