"""RuntimeStatus: how a runtime stands."""

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from wingman.actor import ActorInfo
from wingman.errors import ShuttingDown, StoreUnavailable, Unavailable
from wingman.session import Services, SessionHost
from wingman.store import Store

__all__ = ["RuntimeStatus", "status_of"]

# A node beats twice a second. One that waits longer for its database answers nobody in good time,
# and a balancer has others.
_SILENT_SECONDS: Final = 3.0


@attrs.frozen
class RuntimeStatus:
    """How the runtime stands. `unready` says why it takes no messages just now, if it does not.

    `actors` are the live ones, `quarantined` the sessions that are set aside, with the reason.
    `dead_letters` counts messages that no actor will process, `in_flight` the runs that have a
    place, `waiting` those that have not had one yet, and `asking` those that have left theirs:
    they wait for people.
    """

    unready: Unavailable | None
    actors: Sequence[ActorInfo]
    quarantined: Mapping[str, str]
    dead_letters: int
    in_flight: int
    waiting: int
    asking: int


def status_of(services: Services, host: SessionHost) -> RuntimeStatus:
    """How it stands now."""
    unready: Unavailable | None = services.store.failure or _silence(services.store)
    if services.room.draining.is_set():
        unready = ShuttingDown("The server is shutting down.")
    return RuntimeStatus(
        unready,
        services.system.snapshot(),
        {id: str(q.termination) for id, q in host.active.quarantined().items()},
        services.system.dead_letters,
        services.room.in_flight,
        services.room.waiting,
        services.room.asking,
    )


def _silence(store: Store) -> StoreUnavailable | None:
    """What is said where the database is there, and does not answer."""
    seconds = 0.0 if store.nodes is None else store.nodes.silent_for
    if seconds <= _SILENT_SECONDS:
        return None
    return StoreUnavailable(f"The database has not answered for {seconds:.0f} s.")
