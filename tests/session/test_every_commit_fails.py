"""Whichever write fails, and however: what clients were told is true, and the sessions go on.

`python -m bench.crash --every-write` tries each write with each mode and each end of the process.
"""

import time
from itertools import cycle, product
from pathlib import Path

import pytest
from trio.testing import MockClock

from crash.faults import MODES, Mode
from crash.program import ENDS, Trial

# In memory the program writes about 56 times, in a file, a batch at a time, about 40 times.
_WRITES = 60
_BATCHES = 45


@pytest.mark.parametrize("mode", MODES)
async def test_whichever_write_fails_what_was_told_is_true_and_all_goes_on(
    mode: Mode, autojump_clock: MockClock
) -> None:
    struck = 0
    # Each write with every other mode: all of them, with all modes, are for the program above.
    first = 1 + MODES.index(mode) % 2
    for at, end in zip(range(first, _WRITES, 2), cycle(ENDS), strict=False):
        trial = Trial(at, mode, end)
        assert await trial.run() == []
        struck += trial.fault.struck
    assert struck > 22


async def test_whichever_commit_to_a_file_fails_what_was_told_is_true_and_all_goes_on(
    tmp_path: Path,
) -> None:
    combinations = cycle(product(ENDS, MODES))
    struck = 0
    for at, (end, mode) in zip(range(1, _BATCHES, 3), combinations, strict=False):
        directory = tmp_path / f"{at}"
        directory.mkdir()
        trial = Trial(at, mode, end, 0.3, directory, 0.05, 30.0, time.monotonic)
        assert await trial.run() == []
        struck += trial.fault.struck
    assert struck > 8


async def test_without_a_fault_the_program_is_told_no_refusal(autojump_clock: MockClock) -> None:
    """So that what the trials check is not a program that never gets anywhere."""
    trial = Trial(10**9, "refused", "closed")
    assert await trial.run() == []
    done = trial.told.done
    assert not [what for what in done if what.startswith(("refusals", "failures"))]
    assert done["results given"] >= 7
    assert done["runs cancelled that were queued"] >= 2
    assert done["runs cancelled that were running"] == 1
