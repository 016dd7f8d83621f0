"""One store of each kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postgres_kit import emptied
from wingman.store import MemoryStore, Store
from wingman.store.postgres import PostgresStore
from wingman.store.sqlite import SQLStore


def a_store(kind: str, request: pytest.FixtureRequest, path: Path) -> Store:
    match kind:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return SQLStore(path / "w.db")
        case _:
            return PostgresStore(emptied(request.getfixturevalue("postgres_database")))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Store]:
    if request.param == "postgres":  # one reads as well as four, and is opened sooner
        monkeypatch.setattr("wingman.store.sql.store.READERS", 1)
    async with a_store(request.param, request, tmp_path) as store:
        yield store
