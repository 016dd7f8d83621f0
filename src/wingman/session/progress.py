"""What a run has made that is in no history yet: read off its events, which the channel holds."""

import attrs
import msgspec

from wingman.api import CallInProgress, InProgress
from wingman.errors import StreamLagged
from wingman.events import (
    Event,
    PermissionRequested,
    PermissionResolved,
    Step,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from wingman.session.live import LiveSession
from wingman.session.live_run import LiveRun
from wingman.store import PendingStep

__all__ = ["in_progress"]


def in_progress(
    live: LiveSession, after: int, recorded: PendingStep | None = None
) -> InProgress | None:
    """What the run in flight has made since the event `after`, which is in no history yet.

    `recorded` is the step of a run that goes on after a restart: its events were published by
    another process. None: nothing is in flight, or the channel does not begin there any more.
    """
    run = live.in_flight
    if run is None:
        return None
    try:
        published = live.channel.read(after)
    except StreamLagged:
        return None
    snapshot = _Snapshot()
    if recorded is not None:
        snapshot.take_recorded(recorded)
    for each in published:
        if each.run_id == run.id:
            snapshot.take(each.event)
    return InProgress(
        run_id=run.id,
        event_id=published[-1].id if published else after,
        step=snapshot.step,
        text="".join(snapshot.text),
        thinking="".join(snapshot.thinking),
        calls=tuple(_with_state(call, run) for call in snapshot.calls.values()),
    )


@attrs.define
class _Snapshot:
    """Events, folded: all since the history ends. That may be more than one step, where one is just
    being stored."""

    step: int = 0
    text: list[str] = attrs.field(factory=list)
    thinking: list[str] = attrs.field(factory=list)
    calls: dict[str, CallInProgress] = attrs.field(factory=dict)

    def take_recorded(self, step: PendingStep) -> None:
        """A step as an earlier process recorded it."""
        self.step = step.step
        self.text.append(step.message.text)
        for use in step.message.tool_uses:
            self.take(ToolUse(use.id, use.name, use.input))
        for result in step.results:
            self.take(ToolResult.of(result))

    def take(self, event: Event) -> None:
        """The next event."""
        match event:
            case Step(step=step):
                self.step = step
                self.thinking.clear()  # of an inference that is asked again it comes again
            case Text(text=text):
                self.text.append(text)
            case Thinking(text=text):
                self.thinking.append(text)
            case ToolUse(id=id, name=name, input=input):
                self.calls[id] = CallInProgress(id, name, input, "announced")
            case ToolResult():
                self._change(
                    event.tool_use_id,
                    state="ended",
                    content=event.content,
                    is_error=event.is_error,
                    structured=event.structured,
                )
            case PermissionRequested(tool_use_id=id, id=permission_id):
                self._change(id, state="waiting", permission_id=permission_id)
            case PermissionResolved(tool_use_id=id):
                self._change(id, state="running", permission_id=None)
            case _:
                pass

    def _change(self, id: str, **fields: object) -> None:
        call = self.calls.get(id)
        if call is not None:
            self.calls[id] = msgspec.structs.replace(call, **fields)


def _with_state(call: CallInProgress, run: LiveRun) -> CallInProgress:
    """A call with what its events do not tell: whether it has begun."""
    live = run.state.announced.get(call.id)
    if call.state != "announced" or live is None or not live.due:
        return call
    return msgspec.structs.replace(call, state="queued" if live.began is None else "running")
