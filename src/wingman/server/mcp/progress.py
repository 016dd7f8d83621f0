"""Progress: what a run does, told to a client that has asked for it, in short lines."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import trio

from wingman.errors import StreamLagged
from wingman.events import (
    Compacted,
    Event,
    PermissionRequested,
    PermissionResolved,
    Steered,
    Step,
    ToolResult,
    ToolUse,
)
from wingman.run import Published, Reader
from wingman.server.mcp.jsonrpc import Id, notification
from wingman.server.mcp.shown import answer_at, cut, shown_call
from wingman.session import Run

__all__ = ["Progress"]

# A client is told no more often than that, and of what happened meanwhile no more than the newest.
_SECONDS: Final = 0.1
_MOST_LINES: Final = 16
# Within this time after a run's end its last events are read, which are there.
_LAST_SECONDS: Final = 0.05
_MOST_RESOURCES: Final = 3

_TOLD: Final = (
    Step | ToolUse | ToolResult | PermissionRequested | PermissionResolved | Steered | Compacted
)


class Progress:
    """The notifications of one run's progress. Between two of them it holds no events."""

    def __init__(self, run: Run, token: Id) -> None:
        self._run = run
        self._token = token
        self._reader: Reader = run.reader()
        self._names: dict[str, str] = {}  # of the calls of the step under way
        self._count = 0
        self._next_at = 0.0
        self.over = False

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._reader.__aexit__(kind, value, traceback)  # noqa: ASYNC102 it does not wait

    async def next(self) -> Sequence[bytes]:
        """The next notifications; none where nothing is told any more: then it is `over`."""
        if not self._count:
            behind = self._run.status == "queued" and self._run.disposition == "queued"
            waits = " It waits its turn." if behind else ""
            return [self._line(f"Run {self._run.id} of session {self._run.session_id}.{waits}")]
        with trio.move_on_at(self._next_at):
            await self._run.wait()  # its end is told at once
        batch = await self._receive()
        if not batch:
            self.over = True
            return ()
        self._next_at = trio.current_time() + _SECONDS
        for published in batch[:-_MOST_LINES]:
            self._count += 1
            self._note(published.event)
        return [self._line(self._told(published.event)) for published in batch[-_MOST_LINES:]]

    async def _receive(self) -> Sequence[Published]:
        """The events that come next; none once the run has ended.

        Its last event may never come: a message that steers has none of its own, and a reader that
        has fallen behind may have missed it.
        """
        batch: Sequence[Published] = ()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_end, nursery.cancel_scope)
            while True:
                try:
                    batch = await self._reader.receive(None, _weigh)
                    break
                except StreamLagged as lagged:
                    self._reader.cursor = lagged.resume_at
            nursery.cancel_scope.cancel()
        return batch

    async def _until_end(self, scope: trio.CancelScope) -> None:
        await self._run.wait()
        await trio.sleep(_LAST_SECONDS)
        scope.cancel()

    def _line(self, text: str) -> bytes:
        self._count += 1
        params = {"progressToken": self._token, "progress": self._count, "message": text}
        return notification("notifications/progress", params)

    def _note(self, event: Event) -> None:
        """Keep what is needed to tell of later events."""
        if isinstance(event, Step):
            self._names.clear()
        elif isinstance(event, ToolUse):
            self._names[event.id] = event.name

    def _told(self, event: Event) -> str:
        self._note(event)
        match event:
            case Step(step=step):
                return f"Step {step}: the model is asked."
            case ToolUse(name=name, input=input):
                return f"Calls {shown_call(name, input)}"
            case ToolResult(tool_use_id=id, is_error=is_error):
                ended = "failed" if is_error else "is done"
                return f"{self._names.get(id, 'The call')} {ended}."
            case PermissionRequested(id=id, tool=tool, resources=resources):
                what = ", ".join(cut(one, 100) for one in resources[:_MOST_RESOURCES])
                answer = answer_at(self._run.session_id, id)
                return f"Waits for a person's permission: {tool} {what}. Answer it: {answer}"
            case PermissionResolved(status=status):
                return f"The permission is {status}."
            case Steered():
                return "It has read another message of the user's."
            case Compacted():
                return "The history was compacted."
        return ""


def _weigh(published: Published) -> int:
    return 1 if isinstance(published.event, _TOLD) else 0
