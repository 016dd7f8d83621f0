"""Rounds: contenders take turns, each between two measurements of a yardstick.

A slow moment of the machine slows all who are measured in it; so what counts of two contenders is
their ratio within a round, and of the rounds the median. The spread is what lies between the
quartiles of the rounds.
"""

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TypeAlias

import attrs

from bench._machine import cpu_seconds

__all__ = ["Comparison", "Contender", "Figure", "Rounds", "Stopwatch", "Took", "compare"]


@attrs.frozen
class Took:
    """What one piece of work took: seconds on the clock, and seconds of CPU."""

    seconds: float
    cpu: float


Contender: TypeAlias = Callable[[], Awaitable[Took]]
By: TypeAlias = Literal["seconds", "cpu"]


@attrs.frozen
class Figure:
    """A value that was measured several times: its median, and its quartiles."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Figure":
        """The figure of these measurements; there must be one at least."""
        ordered = sorted(values)
        if len(ordered) < 4:
            return cls(statistics.median(ordered), ordered[0], ordered[-1])
        low, middle, high = statistics.quantiles(ordered, n=4, method="inclusive")
        return cls(middle, low, high)

    def __mul__(self, factor: float) -> "Figure":
        return Figure(self.value * factor, self.low * factor, self.high * factor)


class Stopwatch:
    """Times the block, on the clock and in CPU seconds of a process: this one, or another."""

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid
        self._seconds = self._cpu = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time this block; several blocks add up."""
        cpu, begin = cpu_seconds(self._pid), time.perf_counter()
        yield
        self._seconds += time.perf_counter() - begin
        self._cpu += cpu_seconds(self._pid) - cpu

    def each(self, count: int) -> Took:
        """What each of so many pieces of work took, which were done while it ran."""
        return Took(self._seconds / count, self._cpu / count)


@attrs.frozen
class Comparison:
    """What all contenders took, in the order in which they were measured."""

    log: list[tuple[str, Took]]
    yardstick: str | None = None

    def each(self, name: str, by: By = "seconds") -> Figure:
        """Seconds for one piece of work."""
        return Figure.of(self._values(name, by))

    def rate(self, name: str, by: By = "seconds") -> Figure:
        """Pieces of work a second."""
        return Figure.of(1 / value for value in self._values(name, by))

    def speed(self, name: str, to: str | None = None, by: By = "seconds") -> Figure:
        """How many times as fast as another contender in the same round, or as the yardstick."""
        if to is None or to == self.yardstick:
            pairs = list(self._beside_yardstick(name, by))
        else:
            pairs = list(zip(self._values(name, by), self._values(to, by), strict=True))
        return Figure.of(theirs / ours for ours, theirs in pairs)

    def dearness(self, name: str, to: str | None = None, by: By = "seconds") -> Figure:
        """How many times the time of another contender, or of the yardstick, it takes."""
        speed = self.speed(name, to, by)
        return Figure(1 / speed.value, 1 / speed.high, 1 / speed.low)

    def _values(self, name: str, by: By) -> list[float]:
        return [getattr(took, by) for who, took in self.log if who == name]

    def _beside_yardstick(self, name: str, by: By) -> Iterator[tuple[float, float]]:
        """What it took each time, and the mean of the yardstick before and after."""
        for index, (who, took) in enumerate(self.log):
            if who == name:
                before, after = self.log[index - 1][1], self.log[index + 1][1]
                yield getattr(took, by), (getattr(before, by) + getattr(after, by)) / 2


@attrs.frozen
class Rounds:
    """So many rounds, in which each contender has a turn."""

    count: int
    names: tuple[str, ...]
    yardstick: str | None = None

    def __iter__(self) -> Iterator[str]:
        """Whose turn it is. What others have left behind is collected before it."""
        for _ in range(self.count):
            yield from self._round()

    def _round(self) -> Iterator[str]:
        turns = [name for name in self.names if name != self.yardstick]
        if self.yardstick is not None:
            turns = [self.yardstick, *(who for name in turns for who in (name, self.yardstick))]
        for name in turns:
            gc.collect()
            yield name


async def compare(
    contenders: Mapping[str, Contender], rounds: int, yardstick: str | None = None
) -> Comparison:
    """Let them take turns; the `yardstick`, one of them, before and after each other."""
    turns = Rounds(rounds, tuple(contenders), yardstick)
    return Comparison([(name, await contenders[name]()) for name in turns], yardstick)
