"""CutOffs: what another process left running is ended, before its session goes on here."""

from functools import partial

import attrs
import trio

from wingman.errors import ShuttingDown
from wingman.foreign import copy_of
from wingman.session.recovery import end_cut_off
from wingman.session.services import Services

__all__ = ["CutOffs"]


@attrs.define(eq=False)
class _UnderWay:
    over: trio.Event = attrs.field(factory=trio.Event)
    error: Exception | None = attrs.field(
        factory=lambda: ShuttingDown("The server is shutting down.")
    )


@attrs.define(eq=False)
class CutOffs:
    """Ends the runs of sessions that are not live, each in a task of its own.

    Who waits for it may leave. What is being recorded then must not be recorded a second time: the
    next one waits for the same.
    """

    services: Services = attrs.field(repr=False)
    _under_way: dict[str, _UnderWay] = attrs.field(factory=dict)

    async def end(self, session_id: str) -> None:
        """Return when nothing of the session is stored as running; raise why it cannot be."""
        found = self._under_way.get(session_id)
        if found is None:
            found = self._under_way[session_id] = _UnderWay()
            self.services.spawn(partial(self._end, session_id), "end what was cut off")
        await found.over.wait()
        if found.error is not None:
            raise copy_of(found.error)

    async def _end(self, session_id: str) -> None:
        under_way = self._under_way[session_id]
        try:
            await end_cut_off(session_id, self.services.store, self.services.model.metrics)
            under_way.error = None
        except Exception as error:
            under_way.error = error
        finally:
            del self._under_way[session_id]
            under_way.over.set()
