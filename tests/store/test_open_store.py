"""Which store a URL means."""

import subprocess
import sys
from pathlib import Path

import pytest

from store.samples import session
from wingman.errors import StoreError
from wingman.store import MemoryStore, SessionSaved, open_store


@pytest.mark.parametrize("url", ["memory", ":memory:", "sqlite://", "sqlite:///:memory:"])
def test_whatever_says_memory_is_the_store_in_memory(url: str) -> None:
    assert isinstance(open_store(url), MemoryStore)


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
async def test_an_absolute_path_is_a_file_with_or_without_scheme(form: str, tmp_path: Path) -> None:
    path = tmp_path / "wingman.db"
    async with open_store(form.format(path)) as store:
        await store.write(SessionSaved(session())).wait()
    async with open_store(path) as store:
        assert await store.session("s1") == session()


@pytest.mark.parametrize("url", ["relative.db", "sqlite:///relative.db", Path("relative.db")])
async def test_a_relative_path_is_relative_to_the_working_directory(
    url: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_store(url):
        assert (tmp_path / "relative.db").exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://ada:hunter2@db/wingman", "SQLite or PostgreSQL, not in mysql"),
        ("sqlite:///a.db?password=hunter2", "names a file and nothing else"),
        ("sqlite://hunter2/a.db", "names a file and nothing else"),
        ("://hunter2", "looks like sqlite"),
    ],
)
def test_other_databases_are_refused_and_no_password_is_repeated(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_sqlite_is_imported_only_when_it_is_asked_for() -> None:
    code = "import sys, wingman.store as s; s.open_store('memory'); print('sqlite3' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
