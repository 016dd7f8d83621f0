"""FromThread: the way to an actor from a thread in which no Trio runs."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import trio

from wingman.actor.errors import ActorStopped
from wingman.actor.protocols import Asked, M_contra, R_co

if TYPE_CHECKING:
    from wingman.actor.ref import ActorRef

__all__ = ["FromThread"]

X = TypeVar("X")


class FromThread(Generic[M_contra, R_co]):
    """`tell` and `ask` as blocking calls. Got by `ref.from_thread`, in any thread but Trio's own.

    In Trio's thread they raise `RuntimeError`: nothing could go on there while they wait. When
    `trio.run` is over they raise `ActorStopped`.
    """

    __slots__ = ("_ref", "_token")

    def __init__(self, ref: "ActorRef[M_contra, R_co]", token: trio.lowlevel.TrioToken) -> None:
        self._ref = ref
        self._token = token

    def tell(self, message: M_contra) -> None:
        """Put a message into the mailbox, waiting for room."""
        self._call(self._ref.tell, message)

    @overload
    def ask(self, message: Asked[M_contra, X]) -> X: ...

    @overload
    def ask(self, message: M_contra) -> R_co: ...

    def ask(self, message: Any) -> Any:
        """Send a message, wait for the reply, return it or raise what the actor raised."""
        return self._call(self._ref.ask, message)

    def _call(self, function: Callable[[Any], Awaitable[Any]], message: Any) -> Any:
        try:
            return trio.from_thread.run(function, message, trio_token=self._token)
        except trio.RunFinishedError:
            text = f"the actor {self._ref.name!r} has ended, and with it all that Trio ran"
            raise ActorStopped(text) from None
