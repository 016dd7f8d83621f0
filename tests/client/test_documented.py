"""The programs of the client's page run as they stand, but for the server's address."""

from pathlib import Path

import pytest

from client.troupe import NAME
from client.worlds import served
from docs.pages import PYTHON, Block, printed_by

BLOCKS = [block for block in PYTHON if block.mark == "needs-a-server"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_block_that_needs_a_server_runs(block: Block, tmp_path: Path) -> None:
    with served() as url:
        code = block.code.replace("http://127.0.0.1:2323", url).replace("Assistant", NAME)
        said = printed_by("-c", code, home=tmp_path)
    assert "Done" in said
