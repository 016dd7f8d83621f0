"""Spawner: what the system and every context can do: start actors."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from wingman.actor.cell import Cell
from wingman.actor.factories import wants_context
from wingman.actor.family import Family
from wingman.actor.mailbox import Mailbox, mailbox_of
from wingman.actor.pool import PoolCell, WorkerCell
from wingman.actor.protocols import Actor
from wingman.actor.ref import ActorRef
from wingman.actor.supervision import Escalate, Restart, Stop, Supervision
from wingman.actor.timers import check_seconds
from wingman.foreign import shown

if TYPE_CHECKING:
    from wingman.actor.context import Context

__all__ = ["Spawner", "check_policy"]

_USUAL: Final = Restart()

M = TypeVar("M")
R = TypeVar("R")


class Spawner(ABC):
    """Starts actors, as children of its own. Both an `ActorSystem` and a `Context` are one."""

    __slots__ = ()

    @overload
    def spawn(
        self,
        factory: "Callable[[], Actor[M, R]]",
        *,
        name: str | None = None,
        mailbox: int | Mailbox = 100,
        supervision: Supervision | None = None,
        expected: tuple[type[Exception], ...] = (),
        stop_within: float = 5.0,
        start_within: float | None = None,
    ) -> "ActorRef[M, R]": ...

    @overload
    def spawn(
        self,
        factory: "Callable[[Context[M]], Actor[M, R]]",
        *,
        name: str | None = None,
        mailbox: int | Mailbox = 100,
        supervision: Supervision | None = None,
        expected: tuple[type[Exception], ...] = (),
        stop_within: float = 5.0,
        start_within: float | None = None,
    ) -> "ActorRef[M, R]": ...

    def spawn(
        self,
        factory: Callable[..., Actor[Any, Any]],
        *,
        name: str | None = None,
        mailbox: int | Mailbox = 100,
        supervision: Supervision | None = None,
        expected: tuple[type[Exception], ...] = (),
        stop_within: float = 5.0,
        start_within: float | None = None,
    ) -> ActorRef[Any, Any]:
        """Start an actor, and return the reference to it; it may be sent to at once.

        `factory` makes the actor, now and at every restart. One that has a parameter without a
        default is called with the actor's `Context`. `name` is unique among the live actors that
        have the same parent. `mailbox` is how many messages may wait, or a `Mailbox`.
        `supervision` is `Restart()` unless said otherwise. Exceptions of the `expected` types are
        answers: they fail the delivery, and the actor goes on.

        `stop_within` is for a child: how many seconds it has for its current message when its
        parent ends; then the message is cancelled. One whose `__aenter__` takes longer than
        `start_within` seconds has crashed.

        Raises `TypeError` for what makes no actor, such as an actor that is made already,
        `ValueError` for a name that is taken, and `ActorStopped` after the life of the context.
        """
        family = self._own_family()
        _check_times(stop_within, start_within)
        check_policy(supervision, expected)
        cell = Cell(
            factory,
            name=_name_of(factory, family) if name is None else name,
            family=family,
            mailbox=mailbox_of(mailbox),
            supervision=_checked(supervision, family),
            expected=expected,
            stop_within=stop_within,
            start_within=start_within,
            wants_context=wants_context(factory),
        )
        return family.system.start(cell)

    @overload
    def spawn_pool(
        self,
        factory: "Callable[[], Actor[M, R]]",
        size: int,
        *,
        name: str | None = None,
        mailbox: int | Mailbox = 100,
        supervision: Supervision | None = None,
        expected: tuple[type[Exception], ...] = (),
        stop_within: float = 5.0,
        start_within: float | None = None,
    ) -> "ActorRef[M, R]": ...

    @overload
    def spawn_pool(
        self,
        factory: "Callable[[Context[M]], Actor[M, R]]",
        size: int,
        *,
        name: str | None = None,
        mailbox: int | Mailbox = 100,
        supervision: Supervision | None = None,
        expected: tuple[type[Exception], ...] = (),
        stop_within: float = 5.0,
        start_within: float | None = None,
    ) -> "ActorRef[M, R]": ...

    def spawn_pool(
        self,
        factory: Callable[..., Actor[Any, Any]],
        size: int,
        *,
        name: str | None = None,
        mailbox: int | Mailbox = 100,
        supervision: Supervision | None = None,
        expected: tuple[type[Exception], ...] = (),
        stop_within: float = 5.0,
        start_within: float | None = None,
    ) -> ActorRef[Any, Any]:
        """Start `size` actors that share one mailbox, and return the one reference to them.

        Whoever of them is free takes the message that has waited longest. So messages of one
        sender begin in the order they were sent, and may end in another. The workers are the
        pool's children. `supervision` is theirs, and each is restarted alone. A worker that ends
        for good leaves its work to the others; when the last one has crashed for good, so has the
        pool. The pool as a whole begins again where a sibling's strategy says so, with its mailbox
        as it was. A worker's timers, watches and subscriptions are its own.

        The other parameters, and what is raised, are as for `spawn`; `stop_within` holds for a
        worker's current message when the pool ends.
        """
        family = self._own_family()
        needs_context = wants_context(factory)
        policy = _USUAL if supervision is None else supervision
        check_policy(policy, expected)
        if isinstance(policy, Restart) and policy.strategy != "one_for_one":
            raise ValueError(
                f"{policy.strategy} is for siblings, and a pool restarts its workers one by one: "
                "the pool itself begins again where a sibling's strategy says so"
            )

        def make_worker(pool: PoolCell, family: Family, number: int) -> Cell:
            return WorkerCell(
                pool,
                factory,
                name=f"worker-{number}",
                family=family,
                supervision=policy,
                expected=expected,
                wants_context=needs_context,
                stop_within=stop_within,
                start_within=start_within,
            )

        _check_times(stop_within, start_within)
        pool = PoolCell(
            make_worker,
            name=_name_of(factory, family) if name is None else name,
            family=family,
            size=size,
            mailbox=mailbox_of(mailbox),
            supervision=policy,
            stop_within=stop_within,
        )
        return family.system.start(pool)

    @abstractmethod
    def _own_family(self) -> Family:
        """Those that it has spawned."""


def _name_of(factory: object, family: Family) -> str:
    name = getattr(factory, "__name__", "actor")
    if not (isinstance(name, str) and name.isidentifier()):
        name = "actor"
    return f"{name}-{family.system.next_number()}"


def _checked(supervision: Supervision | None, family: Family) -> Supervision:
    if supervision is None:
        return _USUAL
    if (
        isinstance(supervision, Restart)
        and supervision.strategy != "one_for_one"
        and family.parent is None
    ):
        raise ValueError(
            f"{supervision.strategy} is for siblings, which have one parent: spawn them by the "
            "parent's context"
        )
    return supervision


def _check_times(stop_within: float, start_within: float | None) -> None:
    check_seconds(stop_within)
    if start_within is not None:
        check_seconds(start_within, least="more than 0")


def check_policy(supervision: object, expected: object) -> None:
    """Raise `TypeError` for what says nothing of crashes; the text says what to give."""
    if not isinstance(supervision, Restart | Stop | Escalate | None):
        raise TypeError(f"supervision is Restart(), Stop() or Escalate(), not {shown(supervision)}")
    if not isinstance(expected, tuple) or not all(
        isinstance(kind, type) and issubclass(kind, Exception) for kind in expected
    ):
        raise TypeError(
            f"`expected` is a tuple of classes of exceptions, such as (ValueError,), "
            f"not {shown(expected)}"
        )
