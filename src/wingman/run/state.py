"""RunState: where one run stands. Every view of a run derives from this."""

from typing import Literal, TypeAlias

import attrs

from wingman.api import RunFailure, Status
from wingman.output import Output
from wingman.run.calls import ToolCall, ToolCalls

__all__ = ["CutBy", "Phase", "RunState"]

Phase: TypeAlias = Literal[
    "admitting", "queued", "reading", "read", "running", "unrecorded", "ended"
]
"""`admitting`: its row is being written, and nobody was told of it. `unrecorded`: its work has
stopped, and its end is not in the store yet. `reading`: the run in flight reads its message, and
that is being written; `read`: it has, and this is no run of its own any more."""

CutBy: TypeAlias = Literal["cancelled", "interrupted"]


@attrs.define(eq=False)
class RunState:
    """Where a run stands, until its end. `cut_by` says who asked for its end, if somebody did;
    `timed_out`: its time limit did.

    `calls` are those of the step under way, `announced` those that the model has made in it, by id,
    from the moment when the world learns of them.

    `waiting_for` says why a queued run does not start although its turn has come. `output` is the
    value that its final response is, where the agent wants one.
    """

    phase: Phase = "queued"
    cut_by: CutBy | None = None
    timed_out: bool = False
    calls: ToolCalls | None = attrs.field(default=None, repr=False)
    announced: dict[str, ToolCall] = attrs.field(factory=dict, repr=False)
    waiting_for: RunFailure | None = None
    output: Output | None = attrs.field(default=None, repr=False)

    @property
    def begun(self) -> bool:
        """Whether the run has had its place among those in flight."""
        return self.phase in ("running", "unrecorded", "ended")

    def shown(self, stored: Status) -> Status:
        """The status to show, where the store has `stored`."""
        return "cancelling" if self.cut_by is not None and self.phase != "ended" else stored
