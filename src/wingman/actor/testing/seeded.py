"""Runs whose order is chosen by a seed: virtual time, and a scheduler that can be had again.

Trio runs its tasks in batches: all that can run, in a random order, once each. Here the seed
chooses that order, and lets some tasks sit out some batches, as if they had one more checkpoint:
so that all orders come up which Trio allows, and not only those of whole batches.
"""

import random
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from operator import attrgetter
from threading import Lock, local
from typing import Any, Final, TypeVar

import trio
from trio.abc import Clock, Instrument
from trio.testing import MockClock

__all__ = ["explore", "run"]

T = TypeVar("T")

# How likely a task is to sit out a batch; each run chooses one. 0: Trio's own batches.
_RATES: Final = (0.0, 0.2, 0.5)

_one_at_a_time = Lock()


def run(
    function: Callable[..., Awaitable[T]],
    *args: Any,
    seed: int = 0,
    within: float = 100_000.0,
    clock: Clock | None = None,
    instruments: Sequence[Instrument] = (),
) -> T:
    """Run an async function as `trio.run` does, in virtual time and in the order of a seed.

    The same seed gives the same order of everything that happens in Trio, in any process on the
    same versions of Trio and Python. Time stands still while something can run, and jumps to the
    next deadline when nothing can. The `random` module is seeded for the run, and has its former
    state afterwards. What threads, sockets and processes do is in no seed's hands.

    `within` is in seconds of virtual time: a program that takes longer, since its tasks wait for
    each other, ends with `trio.TooSlowError`. `clock` and `instruments` are as `trio.run` takes
    them; the clock is a `MockClock` that jumps ahead, unless another is given. Raises
    `RuntimeError` when another thread is in such a run, and with a Trio whose scheduler cannot be
    seeded.
    """
    if not callable(function):
        raise TypeError(
            f"run takes an async function and its arguments, not {type(function).__name__}: write "
            "run(main, 1), and not run(main(1))"
        )
    with _seeded(seed):
        return trio.run(
            _bounded,
            function,
            args,
            within,
            clock=clock or MockClock(autojump_threshold=0),
            instruments=instruments,
        )


def explore(
    function: Callable[..., Awaitable[object]],
    *args: Any,
    seeds: Iterable[int] = range(100),
    within: float = 100_000.0,
) -> None:
    """`run` an async function once with each seed, until it fails.

    What it raises is raised, with a note that says the seed: `run(function, seed=that)` fails in
    the same way. Raises `ValueError` where there is no seed at all.
    """
    seed = None
    for seed in seeds:
        try:
            run(function, *args, seed=seed, within=within)
        except BaseException as error:
            name = getattr(function, "__name__", "function")
            text = f"This was with seed {seed}. To have it again: run({name}, ..., seed={seed})"
            BaseException.add_note(error, text)
            raise
    if seed is None:
        raise ValueError("explore needs at least one seed: without, nothing is run")


async def _bounded(
    function: Callable[..., Awaitable[T]], args: tuple[Any, ...], within: float
) -> T:
    with trio.move_on_after(within):
        return await function(*args)
    raise trio.TooSlowError(
        f"the program has not ended after {within:g} s of virtual time: do its tasks wait for each "
        "other?"
    )


class _Scheduler(random.Random):
    """Orders what Trio leaves open: batches, cancellations of one moment, equal deadlines."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.rate = self.choice(_RATES)
        self.used = False
        self._numbers = count()
        self._cancelled = local()  # `.tasks`, while a scope's cancellation spreads

    def shuffle(self, batch: Any) -> None:
        """Called by Trio with the tasks that are to run now, sorted by age."""
        self.used = True
        super().shuffle(batch)
        late = [task for task in batch[1:] if self.random() < self.rate]
        if late:
            batch[:] = [task for task in batch if task not in late]
            _trio().GLOBAL_RUN_CONTEXT.runner.runq.extend(late)

    def number(self, _: object) -> int:
        """In the place of `id`: Trio orders equal deadlines by it. Never the same twice."""
        return self.getrandbits(32) << 32 | next(self._numbers)

    @contextmanager
    def orders_cancellations(self) -> Iterator[None]:
        """Let a scope cancel its tasks in an order of ours; Trio's is that of a set."""
        status, task = _trio().CancelStatus, _trio().Task
        recalculate, deliver = status.recalculate, task._attempt_delivery_of_any_pending_cancel

        def recalculate_first(self_: Any) -> None:
            tasks = self._cancelled.tasks = []
            try:
                recalculate(self_)
            finally:
                self._cancelled.tasks = None
            tasks.sort(key=lambda task: task._counter)
            super(_Scheduler, self).shuffle(tasks)
            for task in tasks:
                deliver(task)

        def deliver_later(self_: Any) -> None:
            tasks = getattr(self._cancelled, "tasks", None)
            if tasks is None:
                deliver(self_)
            else:
                tasks.append(self_)

        try:
            status.recalculate = recalculate_first
            task._attempt_delivery_of_any_pending_cancel = deliver_later
            yield
        finally:
            status.recalculate = recalculate
            task._attempt_delivery_of_any_pending_cancel = deliver


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let Trio's scheduler and the `random` module do what the seed says."""
    _check_trio()
    inner = _trio()
    if not _one_at_a_time.acquire(blocking=False):
        raise RuntimeError("a seeded run is under way: end it before you begin another")
    scheduler = _Scheduler(seed)
    flag, former, state = inner._ALLOW_DETERMINISTIC_SCHEDULING, inner._r, random.getstate()
    try:
        inner._ALLOW_DETERMINISTIC_SCHEDULING = True
        inner._r = scheduler
        inner.id = scheduler.number
        random.seed(seed)
        with scheduler.orders_cancellations():
            yield
        if not scheduler.used:
            raise RuntimeError(_UNKNOWN)
    finally:
        inner._ALLOW_DETERMINISTIC_SCHEDULING, inner._r = flag, former
        vars(inner).pop("id", None)
        random.setstate(state)
        _one_at_a_time.release()


_UNKNOWN: Final = (
    f"the scheduler of Trio {trio.__version__} cannot be seeded as that of Trio 0.30 to 0.35 can: "
    "use one of those, or trio.run without a seed"
)

_NAMES: Final = (
    "_ALLOW_DETERMINISTIC_SCHEDULING",
    "_r",
    "GLOBAL_RUN_CONTEXT",
    "Runner.runq",
    "Task._counter",
    "Task._attempt_delivery_of_any_pending_cancel",
    "CancelStatus.recalculate",
)


def _trio() -> Any:
    """The module of Trio's scheduler."""
    return sys.modules.get("trio._core._run")


def _check_trio() -> None:
    """See that the private names of Trio's scheduler are those that are known here."""
    try:
        for name in _NAMES:
            attrgetter(name)(_trio())
    except AttributeError:
        raise RuntimeError(_UNKNOWN) from None
