"""TimeLimit: ends the runs whose time is up."""

import trio

from wingman.session.live_run import LiveRun

__all__ = ["TimeLimit"]


class TimeLimit:
    """One task for all runs: all may take as many `seconds`, so the first to begin is the first
    whose time is up. A cancel scope for each would cost more than all else that a run begins with.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: dict[LiveRun, float] = {}

    def begin(self, run: LiveRun) -> None:
        """The run's time begins now."""
        self._began[run] = trio.current_time()

    def end(self, run: LiveRun) -> None:
        """The run has ended; nothing happens where its time was up."""
        self._began.pop(run, None)

    async def watch(self) -> None:
        """End each run when its time is up, for ever."""
        while True:
            oldest = next(iter(self._began.values()), trio.current_time())
            await trio.sleep_until(oldest + self._seconds)
            for run in self._due():
                del self._began[run]
                run.end_in_time()

    def _due(self) -> list[LiveRun]:
        now, seconds = trio.current_time(), self._seconds
        return [run for run, began in self._began.items() if began + seconds <= now]
