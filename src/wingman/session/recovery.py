"""What becomes of a run that was cut off: it ends, its last step complete.

After a crash, of the process or of a session's actor, the store has a run's finished steps, and the
step under way as it was recorded before its tools ran. A call without a result may have run: the
model is told so.
"""

from wingman.conversation import Message
from wingman.errors import WingmanError
from wingman.events import Result
from wingman.session.history import complete_step, summarize
from wingman.session.services import now
from wingman.store import RunEnded, RunFailure, RunRecord, SessionErased, SessionRecord, Store

__all__ = ["end_cut_off", "end_failed", "settle_leftovers"]

_UNANSWERED = (
    "Interrupted: the server died before this call had ended. It may have run, in part or whole."
)


async def end_cut_off(
    store: Store,
    session: SessionRecord,
    run: RunRecord,
    last_event_id: int,
    error: WingmanError | None = None,
) -> RunEnded:
    """The end of a run from the rows it has left: `interrupted`, or failed with `error`."""
    pending = await store.pending_step(run.id)
    steps, usage = run.steps, run.usage
    tail: tuple[Message, ...] = ()
    if pending is not None:
        steps, usage = pending.step, pending.usage
        results = {result.tool_use_id: result for result in pending.results}
        tail = complete_step(pending.message, results, _UNANSWERED, "interrupted")
    result: Result | None = None
    if error is None:
        earlier = await store.run_messages(run.id)
        result = summarize(run.id, (*earlier, *tail), "interrupted", steps, usage)
    return RunEnded(
        session_id=session.id,
        run_id=run.id,
        status="interrupted" if error is None else "failed",
        ended_at=now(),
        steps=steps,
        usage=usage,
        messages=tail,
        result=result,
        error=None if error is None else RunFailure(error.code, error.message),
        session_usage=session.usage + usage,
        last_event_id=last_event_id,
    )


def end_failed(run: RunRecord, error: WingmanError) -> RunEnded:
    """The end of a queued run that can never start."""
    return RunEnded(
        session_id=run.session_id,
        run_id=run.id,
        status="failed",
        ended_at=now(),
        steps=run.steps,
        usage=run.usage,
        error=RunFailure(error.code, error.message),
    )


async def settle_leftovers(store: Store) -> None:
    """Erase what was being deleted, and end what was running, when the last process ended."""
    for session_id in await store.deleting():
        await store.write(SessionErased(session_id)).wait()
    for run in await store.runs(statuses=("running",)):
        session = await store.session(run.session_id)
        if session is not None:
            ended = await end_cut_off(store, session, run, session.event_ceiling)
            await store.write(ended).wait()
