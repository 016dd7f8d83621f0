"""Steering: messages that the run in flight is to read, until it has read them or has ended.

Such a message is admitted as any other, and has its place in the queue. If the run in flight reads
it, it leaves the queue; if that run ends before, it is a run of its own. Both are decided in one
moment, without a checkpoint: no message is read twice, and none is lost.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import attrs

from wingman.errors import StoreError
from wingman.session.live_run import LiveRun
from wingman.store import Commit, RunRecord

if TYPE_CHECKING:
    from wingman.session.live import LiveSession

__all__ = ["Steering", "unread"]


def unread(live: "LiveSession", run_id: str) -> list[LiveRun]:
    """The messages that are to steer a run, and that it has not read, in the order they came; with
    those that are just being recorded."""
    return [
        run
        for run in live.runs.values()
        if run.record.steers == run_id
        and run.state.phase in ("admitting", "queued")
        and run.state.cut_by is None
    ]


def _durable(live: "LiveSession", run_id: str) -> list[LiveRun]:
    """Those of them that are recorded: they may be read."""
    return [run for run in unread(live, run_id) if run.state.phase == "queued"]


@attrs.frozen
class Steering:
    """The words of one run: `Words`, as its loop knows them."""

    live: "LiveSession"
    run: LiveRun

    def __bool__(self) -> bool:
        return bool(self.live.steered and _durable(self.live, self.run.id))

    def take(self) -> Sequence[RunRecord]:
        """Those that are there: they are read with the step that ends, or never."""
        if not self.live.steered:
            return ()
        found = _durable(self.live, self.run.id)
        for each in found:
            each.state.phase = "reading"
        return [each.record for each in found]

    def taken(self, read: Sequence[RunRecord], commit: Commit) -> None:
        """They are written as read."""
        runs = [self.live.runs[each.id] for each in read]
        commit.then(partial(self._written, runs))

    def _written(self, runs: Sequence[LiveRun], failure: StoreError | None) -> None:
        for run in runs:
            if failure is None:
                self.live.hand_over(run, self.run)
            else:
                run.not_read()
