"""Acknowledged is durable: a short run of the harness (`python -m bench.crash` is the long one)."""

from pathlib import Path

import pytest

from crash.harness import Harness


# A request whose server dies under it leaves httpx's generator of its body unfinished.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_that_is_killed_at_random_moments_keeps_its_promises(tmp_path: Path) -> None:
    harness = Harness(tmp_path, seed=1, longest=0.8)
    await harness.run(kills=5)
    assert harness.findings.wrong == []
    assert harness.findings.done["acknowledgements"] > 10
