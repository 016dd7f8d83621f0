"""Acknowledged is durable: a short run of the harness (`python -m bench.crash` is the long one)."""

import sys
from pathlib import Path

import pytest

from crash.harness import Harness
from crash.storage import Fault


# A request whose server dies under it leaves httpx's generator of its body unfinished.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_that_is_killed_at_random_moments_keeps_its_promises(tmp_path: Path) -> None:
    harness = Harness(tmp_path, seed=1, longest=0.8, served=1.0)
    await harness.run(kills=5)
    assert harness.findings.wrong == []
    assert harness.findings.done["acknowledgements"] > 10
    assert harness.findings.done["lives with an MCP server from the start"] > 0
    assert harness.findings.done["last calls of an MCP server"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of a process")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_whose_storage_fails_says_so_and_keeps_its_promises(tmp_path: Path) -> None:
    fault: Fault = "a file that may not grow"
    harness = Harness(tmp_path, seed=2, longest=0.5, served=0.0, faults=(fault,), often=1.0)
    await harness.run(kills=2)
    assert harness.findings.wrong == []
    assert harness.findings.done[f"/ready was 503 during {fault}"] > 0
