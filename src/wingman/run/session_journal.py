"""Journal: the ids and the publishing of a session's events, and what its runs have used.

It reserves the events' ids. A run of the session has a `RunJournal`, which writes what changes.
"""

from collections import deque
from functools import partial
from typing import Final

import attrs

from wingman.conversation import Usage
from wingman.errors import StoreError, WingmanError
from wingman.events import Event, ToolProgress
from wingman.metrics import Metrics
from wingman.run.channel import EventChannel
from wingman.run.event_memory import EventMemory
from wingman.store import CeilingRaised, Chain, Commit, SessionRecord, Store

__all__ = ["Journal"]

# Ids of events are reserved in the store so many at a time, and again when half are left.
_RESERVED: Final = 8192
# So many reserved ids are kept for events that may not be dropped.
_KEPT: Final = 256
# So many ends wait until their ids are reserved.
_HELD: Final = 1024


@attrs.define(eq=False)
class Journal:
    """The journal of one session. Its runs have a `RunJournal` each.

    `usage` is the sum over the runs that have ended. Event ids up to `safe` are reserved; those up
    to `ceiling` are reserved, or are just being so. `instead` is what those are told who wait for a
    run of a session that was deleted, or that is another node's now: then (`moved`) nothing of it
    is recorded here any more.
    """

    session_id: str
    store: Store = attrs.field(repr=False)
    metrics: Metrics = attrs.field(repr=False)
    channel: EventChannel = attrs.field(repr=False)
    usage: Usage
    ceiling: int
    safe: int
    instead: WingmanError | None = None
    moved: bool = False
    _held: deque[tuple[str, Event]] = attrs.field(factory=lambda: deque(maxlen=_HELD), repr=False)

    @classmethod
    def of(
        cls,
        record: SessionRecord,
        store: Store,
        metrics: Metrics,
        memory: EventMemory | None = None,
    ) -> "Journal":
        """The journal of a session as it is stored: no id that was ever reserved is used again."""
        ceiling = record.event_ceiling
        channel = EventChannel(ceiling, memory)
        return cls(record.id, store, metrics, channel, record.usage, ceiling, ceiling)

    def publish(self, run_id: str, event: Event, chain: Chain | None) -> Commit | None:
        """Publish an event. Who may publish without end waits for what this returns."""
        reserved = self.reserve(chain)
        if type(event) is ToolProgress and self.ceiling - self.channel.last_id < _KEPT:
            return reserved  # a sample less: what may not be dropped still has its id
        self.channel.publish(run_id, event)
        return reserved

    def reserve(self, chain: Chain | None) -> Commit | None:
        """Reserve more event ids if they run low: none is ever given twice, whatever happens."""
        if self.ceiling - self.channel.last_id > _RESERVED // 2:
            return None
        before, self.ceiling = self.ceiling, self.channel.last_id + _RESERVED
        commit = self.store.write(CeilingRaised(self.session_id, self.ceiling), chain=chain)
        commit.then(partial(self._reserved, before, self.ceiling))
        return commit

    def publish_end(self, run_id: str, end: Event, chain: Chain | None) -> None:
        """Publish the end of a run: at once, or as soon as its id is safe.

        A run whose message was refused has reserved no ids, and the store may just be failing.
        """
        self.reserve(chain)
        if self.channel.last_id < self.safe:
            self.channel.publish(run_id, end)
        else:
            self._held.append((run_id, end))

    def _reserved(self, before: int, ceiling: int, failure: StoreError | None) -> None:
        if failure is not None:
            self.ceiling = before
            return
        self.safe = ceiling
        while self._held:
            self.channel.publish(*self._held.popleft())
