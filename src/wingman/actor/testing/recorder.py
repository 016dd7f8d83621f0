"""Recorder: an instrument that keeps what happened, in order."""

from collections import deque
from typing import Any, Literal, TypeAlias

import attrs
import trio

from wingman.actor.instruments import Instrument, Termination
from wingman.actor.ref import ActorRef
from wingman.foreign import reason, shown

__all__ = ["Record", "Recorder"]

Hook: TypeAlias = Literal[
    "actor_started",
    "actor_restarting",
    "actor_stopped",
    "message_started",
    "message_ended",
    "dead_letter",
    "message_dropped",
]


@attrs.frozen
class Record:
    """One call of one hook of an `Instrument`: which, when by Trio's clock, and with what.

    What a hook is not given is None. As text it is one line, the same in each run of a seed if the
    messages' `repr` is.
    """

    at: float
    hook: Hook
    ref: ActorRef[Any, Any]
    message: Any = None
    error: BaseException | None = None
    termination: Termination | None = None
    delay: float | None = None

    def __str__(self) -> str:
        words = [f"{self.at:g}", self.hook, self.ref.name]
        if self.hook in ("message_started", "message_ended", "dead_letter", "message_dropped"):
            words.append(shown(self.message))
        if self.error is not None:
            words.append(f"({reason(self.error)})")
        if self.termination is not None:
            words.append(f"({self.termination})")
        if self.delay is not None:
            words.append(f"in {self.delay:g} s")
        return " ".join(words)


class Recorder(Instrument):
    """Keeps every call of every hook, in order: `ActorSystem(instruments=(recorder,))`.

    It keeps the newest `capacity` records; `forgotten` counts the older ones that gave way.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        if capacity < 1:
            raise ValueError(f"a recorder keeps at least one record, not {capacity}")
        self.forgotten = 0
        self._records: deque[Record] = deque(maxlen=capacity)

    # --- what is asked of it -------------------------------------------------------------------

    @property
    def records(self) -> list[Record]:
        """All that is kept, the oldest first."""
        return list(self._records)

    @property
    def lines(self) -> list[str]:
        """The same as text, such as "1.5 actor_stopped lamp (stopped)"."""
        return [str(record) for record in self._records]

    def of(self, ref: ActorRef[Any, Any]) -> list[Record]:
        """What concerns one actor, through all of its lives."""
        return [record for record in self._records if record.ref.cell is ref.cell]

    @property
    def crashes(self) -> list[Record]:
        """Where an actor crashed, whether it began again ("actor_restarting") or ended."""
        return [record for record in self._records if _is_crash(record)]

    @property
    def restarts(self) -> list[Record]:
        """Where an actor was to begin again, each with the `delay`."""
        return self._with("actor_restarting")

    @property
    def dead_letters(self) -> list[Record]:
        """What was accepted and never processed, each with its `message`."""
        return self._with("dead_letter", "message_dropped")

    def clear(self) -> None:
        """Forget all."""
        self._records.clear()
        self.forgotten = 0

    # --- the hooks -----------------------------------------------------------------------------

    def actor_started(self, ref: ActorRef[Any, Any]) -> None:
        """Keep it."""
        self._keep("actor_started", ref)

    def actor_restarting(self, ref: ActorRef[Any, Any], error: BaseException, delay: float) -> None:
        """Keep it."""
        self._keep("actor_restarting", ref, error=error, delay=delay)

    def actor_stopped(self, ref: ActorRef[Any, Any], termination: Termination) -> None:
        """Keep it."""
        self._keep("actor_stopped", ref, termination=termination)

    def message_started(self, ref: ActorRef[Any, Any], message: Any) -> None:
        """Keep it."""
        self._keep("message_started", ref, message=message)

    def message_ended(
        self, ref: ActorRef[Any, Any], message: Any, error: BaseException | None
    ) -> None:
        """Keep it."""
        self._keep("message_ended", ref, message=message, error=error)

    def dead_letter(self, ref: ActorRef[Any, Any], message: Any, termination: Termination) -> None:
        """Keep it."""
        self._keep("dead_letter", ref, message=message, termination=termination)

    def message_dropped(self, ref: ActorRef[Any, Any], message: Any) -> None:
        """Keep it."""
        self._keep("message_dropped", ref, message=message)

    def _keep(self, hook: Hook, ref: ActorRef[Any, Any], **what: Any) -> None:
        if len(self._records) == self._records.maxlen:
            self.forgotten += 1
        self._records.append(Record(trio.current_time(), hook, ref, **what))

    def _with(self, *hooks: Hook) -> list[Record]:
        return [record for record in self._records if record.hook in hooks]


def _is_crash(record: Record) -> bool:
    if record.hook == "actor_stopped":
        return record.termination is not None and record.termination.cause == "crashed"
    return record.hook == "actor_restarting"
