"""RunStream: the handle that a program holds on the events of a run."""

from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Self

import trio

from wingman.events import Done, Error, Event, Result
from wingman.run import BATCH, Published, Reader
from wingman.session import Run
from wingman.under_trio import require_trio

__all__ = ["RunStream", "stop"]

# How long a caller that was itself cancelled waits for its run to stop: longer than tools need
# to be killed, and not for ever.
_STOP_SECONDS = 10.0


class RunStream:
    """One run, as a stream of its events, `Done` the last. `result` is there when it is over.

    A consumer so slow that the session's channel no longer holds what comes next gets
    `StreamLagged`; a run that fails raises its error from the iteration.
    """

    def __init__(self, admit: Callable[[], Awaitable[Run]]) -> None:
        self._admit = admit
        self._run: Run | None = None
        self._reader: Reader | None = None
        self._batch: Iterator[Published] = iter(())

    async def __aenter__(self) -> Self:
        require_trio()
        run = self._run = await self._admit()
        self._reader = await run.reader().__aenter__()
        try:
            await run.admitted()
        except BaseException:
            await self.__aexit__(None, None, None)  # noqa: ASYNC102 as below
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run, reader = self._entered()
        await reader.__aexit__(kind, value, traceback)  # noqa: ASYNC102 never waits
        if not run.ended:
            await stop(run)  # noqa: ASYNC102 it shields itself

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        require_trio()
        published = next(self._batch, None)
        if published is None:
            _, reader = self._entered()
            self._batch = iter(await reader.receive(BATCH))
            published = next(self._batch, None)
            if published is None:
                raise StopAsyncIteration
        if isinstance(published.event, Error):
            self.run.outcome()
        if isinstance(published.event, Done):
            return Done(self.run.outcome())
        return published.event

    @property
    def run(self) -> Run:
        """The run itself: its id, its status, its cancel."""
        return self._entered()[0]

    @property
    def result(self) -> Result:
        """What the run came to. Raises what it failed with, and `RunFailed` before its end."""
        return self.run.outcome()

    def _entered(self) -> tuple[Run, Reader]:
        if self._run is None or self._reader is None:
            raise RuntimeError("the stream is not open: use it with `async with`")
        return self._run, self._reader


async def stop(run: Run) -> None:
    """Cancel a run whose caller goes away, and wait, within bounds, until it has stopped."""
    with trio.move_on_after(_STOP_SECONDS, shield=True):
        run.request_cancel()
        await run.wait()
