"""What the tests of MCP servers share."""

from pathlib import Path

import pytest

from mcp_client.servers import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path.resolve())
