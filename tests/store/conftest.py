"""One store of each kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wingman.store import MemoryStore, Store
from wingman.store.sqlite import SQLStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else SQLStore(tmp_path / "w.db")
    async with opened:
        yield opened
