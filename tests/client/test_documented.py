"""The programs of the client's page run as they stand, but for the server's address."""

import subprocess
import sys
from pathlib import Path

import pytest

from client.troupe import NAME
from client.worlds import served
from docs.pages import PYTHON, TIMEOUT, Block, environment

BLOCKS = [block for block in PYTHON if block.mark == "needs-a-server"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_block_that_needs_a_server_runs(block: Block, tmp_path: Path) -> None:
    with served() as url:
        code = block.code.replace("http://127.0.0.1:2323", url).replace("Assistant", NAME)
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Done" in done.stdout
