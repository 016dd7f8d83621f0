"""Draining: no more runs are taken, and those that are here end, by themselves or not."""

from collections.abc import Collection

import trio

from wingman.session.live import LiveSession
from wingman.session.run import Run
from wingman.session.services import Services

__all__ = ["STOP_SECONDS", "drain"]

STOP_SECONDS = 10.0
"""How long a run's end is waited for after it was cancelled: a tool that shields itself must not
keep a session that is being deleted, or a runtime that closes."""


async def drain(
    services: Services, sessions: Collection[LiveSession], grace: float, patience: float
) -> None:
    """Take no more runs, let those in flight have `grace` seconds, then interrupt them.

    Runs that have not started stay queued in the store; who waits for one is told so. What was
    interrupted is waited for `patience` seconds at most; then all streams end.
    """
    services.draining = True
    for live in list(sessions):
        live.release_queued()
    left = [run for live in sessions for run in live.runs.values()]
    with trio.move_on_after(grace):
        await _all_ended(left)
    for run in left:
        run.request_cancel("interrupted")
    with trio.move_on_after(patience):
        await _all_ended(left)
    for live in list(sessions):
        live.channel.close("shutting_down")


async def _all_ended(runs: list[Run]) -> None:
    for run in runs:
        await run.wait()
