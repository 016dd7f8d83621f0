"""An actor system; virtual time; and the mark that ties a test to a promise."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.abc import Clock
from trio.testing import MockClock

from wingman.actor import ActorSystem

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "guarantee(number): the test holds this sentence of the package's docstring"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE and iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.trio(run=run_in_virtual_time))


def run_in_virtual_time(
    function: Callable[[], Awaitable[Any]],
    *,
    clock: Clock | None,
    instruments: Sequence[trio.abc.Instrument],
) -> Any:
    """`trio.run` on a clock that jumps ahead as soon as all tasks wait."""
    clock = clock or MockClock(autojump_threshold=0)
    return trio.run(function, clock=clock, instruments=instruments)


@pytest.fixture
async def system() -> AsyncIterator[ActorSystem]:
    async with ActorSystem() as opened:
        yield opened
