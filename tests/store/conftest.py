"""One store of each kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postgres_kit import emptied
from wingman.store import MemoryStore, Store
from wingman.store.postgres import PostgresStore
from wingman.store.sqlite import SQLStore


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def closed_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """One of each kind, not open yet."""
    if request.param == "memory":
        return MemoryStore()
    if request.param == "sqlite":
        return SQLStore(tmp_path / "w.db")
    url = emptied(request.getfixturevalue("postgres_database"))
    # One reads as well as four, and is opened sooner.
    monkeypatch.setattr("wingman.store.sql.store.READERS", 1)
    return PostgresStore(url)


@pytest.fixture
async def store(closed_store: Store) -> AsyncIterator[Store]:
    async with closed_store as store:
        yield store
