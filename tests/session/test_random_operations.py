"""Random operations on a store that fails at random: what clients were told is true.

`python -m bench.crash --operations 10000` is the long form.
"""

from pathlib import Path

import pytest
from trio.testing import MockClock

from crash.faults import MODES
from crash.operations import Fuzz, seed_scheduler


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_operations_with_failing_commits_find_no_lie(
    seed: int, autojump_clock: MockClock
) -> None:
    seed_scheduler(seed)
    fuzz = Fuzz(seed, 500, tuple(mode for mode in MODES if mode != "written"), one_in=20)
    assert await fuzz.run() == []
    _check_it_did_something(fuzz)


async def test_random_operations_find_no_lie_where_failed_commits_were_written(
    autojump_clock: MockClock,
) -> None:
    seed_scheduler(3)
    fuzz = Fuzz(3, 400, ("written", "refused"), one_in=20)
    assert await fuzz.run() == []
    _check_it_did_something(fuzz)


async def test_random_operations_on_a_file_whose_commits_fail_find_no_lie(tmp_path: Path) -> None:
    modes = tuple(mode for mode in MODES if mode != "written")
    fuzz = Fuzz(4, 300, modes, 20, tmp_path, 0.02)
    assert await fuzz.run() == []
    assert fuzz.lives > 1
    assert fuzz.faults_struck > 0
    assert fuzz.told.done["results given"] > 20


def _check_it_did_something(fuzz: Fuzz) -> None:
    done = fuzz.told.done
    assert fuzz.lives > 1
    assert fuzz.faults_struck > 3
    assert done["results given"] > 50
    assert done["messages refused"] > 0
    assert done["runs cancelled that were queued"] > 1
