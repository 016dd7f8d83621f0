"""What becomes of a run that was cut off: it ends, its last step complete.

After a crash, of the process, of a session's actor, or after a failed write, the store has a run's
finished steps, and the step under way as it was recorded before its tools ran. A call without a
result may have run: the model is told so.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import trio

from wingman.conversation import Message
from wingman.errors import NotFound, RunFailed, StoreError, StoreUnavailable, WingmanError
from wingman.metrics import Metrics
from wingman.run import NOTHING_SPENT, CutBy, Ending, Journal, RunJournal, Spent, complete_step, cut
from wingman.store import CutRun, PendingStep, SessionErased, Store

__all__ = ["end_before_start", "end_cut_off", "end_from_store", "ending_after", "settle_leftovers"]

# So many runs that were cut off are ended at once: they share reads and commits.
_AT_ONCE: Final = 128

_MAY_HAVE_RUN = "It may have run, in part or whole."
_UNANSWERED: dict[str, str] = {
    "cancelled": f"Cancelled: the user stopped the run; no result was recorded. {_MAY_HAVE_RUN}",
    "interrupted": f"Interrupted: the server died before this call had ended. {_MAY_HAVE_RUN}",
    "failed": f"Interrupted: the result of this call could not be recorded. {_MAY_HAVE_RUN}",
}


async def end_from_store(journal: RunJournal, ending: Ending) -> None:
    """End a run by the rows it has left, on a new chain. One that has ended after all is shown."""
    await journal.begin_again()
    store, run_id = journal.session.store, journal.record.id
    record = await store.run(journal.session.session_id, run_id)
    if record is None:
        # Its session is being deleted, or its admission was never recorded: nothing of it is kept.
        journal.release(ending.error or NotFound("run", run_id))
        return
    if record.ended:
        journal.ended_already(record)
        return
    journal.record = record
    pending = await store.pending_step(run_id)
    await _end(journal, ending, pending, await store.run_messages(run_id))


async def end_before_start(journal: RunJournal, ending: Ending) -> None:
    """End a run that this process has not begun; what an earlier one has begun of it stays."""
    if journal.record.status == "waiting":
        await end_from_store(journal, ending)
    else:
        await journal.end(ending, NOTHING_SPENT)


async def _end(
    journal: RunJournal,
    ending: Ending,
    pending: PendingStep | None,
    stored: Sequence[Message],
) -> None:
    """End a run by what it has left: its messages, and its step under way."""
    record = journal.record
    steps, spent = record.steps, Spent(record.usage, record.cost)
    tail: tuple[Message, ...] = ()
    if pending is not None:
        steps, spent = pending.step, Spent(pending.usage, pending.cost)
        results = {result.tool_use_id: result for result in pending.results}
        if record.status == "waiting":
            for request in await journal.session.store.run_permissions(record.id):
                if request.status == "pending":
                    results[request.tool_use_id] = ending.waited(request.tool_use_id)
        unanswered = _UNANSWERED.get(ending.status, _UNANSWERED["interrupted"])
        tail = complete_step(pending.message, results, unanswered, "interrupted")
    await journal.end(ending, spent, steps, tail=tail, messages=(*stored, *tail))


def ending_after(crash: BaseException | None, cut_by: CutBy | None, run_id: str) -> Ending:
    """The ending of a run that was cut off by what its actor or the store has raised."""
    if cut_by is not None:
        return cut(cut_by)
    if isinstance(crash, StoreError):
        text = f"{crash.message} Run {run_id} was cut off; its session goes on from what is stored."
        error: WingmanError = StoreError(text)
        if isinstance(crash, StoreUnavailable):
            # The run is over: there is nothing to wait for before it is asked for again.
            error = StoreUnavailable(text, retry_after=0, run_id=run_id)
    else:
        error = RunFailed(
            f"Run {run_id} was cut off by an error inside the server; its log has the details. "
            "Its session goes on from what is stored.",
            "internal_error",
            run_id,
        )
    return Ending("failed", error=error)


async def end_cut_off(session_id: str, store: Store, metrics: Metrics) -> None:
    """End what was running in a session that is not live, when the process that had it ended."""
    running = await store.runs(session_id, ("running",))
    if not running:
        return
    session = await store.session(session_id)
    if session is None:
        return
    journal = Journal.of(session, store, metrics)
    for run in running:
        await end_from_store(RunJournal(journal, run), cut("interrupted"))


async def settle_leftovers(store: Store, metrics: Metrics) -> None:
    """Erase what was being deleted, and end what was running, when the last process ended.

    Raises `StoreError` where something of it could not be recorded.
    """
    erased = [store.write(SessionErased(session_id)) for session_id in await store.deleting()]
    for commit in erased:
        await commit.wait()
    while cut_off := await store.cut_off(_AT_ONCE):
        by_session: dict[str, list[CutRun]] = {}
        for each in cut_off:
            by_session.setdefault(each.session.id, []).append(each)
        failures: list[StoreError] = []
        async with trio.open_nursery() as nursery:
            for runs in by_session.values():
                nursery.start_soon(partial(_settle, store, metrics, runs, failures))
        if failures:
            raise failures[0]


async def _settle(
    store: Store, metrics: Metrics, cut_off: Sequence[CutRun], failures: list[StoreError]
) -> None:
    """End the runs of one session, one after the other: each adds to the session's usage."""
    session = Journal.of(cut_off[0].session, store, metrics)
    try:
        for each in cut_off:
            journal = RunJournal(session, each.run)
            await _end(journal, cut("interrupted"), each.pending, each.messages)
    except StoreError as error:
        failures.append(error)
