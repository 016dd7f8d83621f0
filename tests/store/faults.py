"""Storage that fails: commits of a real SQLite store that fail on purpose, and small disks."""

import os
import sqlite3
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from wingman.store.sqlite import SQLStore

__all__ = ["FailingCommits", "SmallDisk", "small_disk"]

_TEXTS = {
    sqlite3.SQLITE_BUSY: "database is locked",
    sqlite3.SQLITE_CORRUPT: "database disk image is malformed",
    sqlite3.SQLITE_FULL: "database or disk is full",
    sqlite3.SQLITE_IOERR: "disk I/O error",
    sqlite3.SQLITE_READONLY: "attempt to write a readonly database",
}


@attrs.define(eq=False)
class FailingCommits:
    """Makes commits of a store fail as SQLite would: `FailingCommits(store)`, before it is entered.

    `fail_all` begins a period in which every commit fails, and the probes with them, until `mend`.
    `chosen` holds the numbers of commits, from 1, that fail outside of such a period; a probe that
    comes next fails as well, so that the store takes it for the storage's doing. Probes are not
    counted. A commit that fails `after` is safe and said to have failed; one that fails `before`
    is rolled back.

    It may be told from another thread than the one that commits.
    """

    store: SQLStore
    chosen: Collection[int] = ()
    code: int = sqlite3.SQLITE_FULL
    when: Literal["before", "after"] = "before"
    commits: int = attrs.field(default=0, init=False)
    probes: int = attrs.field(default=0, init=False)
    _all: bool = attrs.field(default=False, init=False)
    _probe_fails: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        database = self.store._database
        opened = database.open

        def open() -> None:
            opened()
            database._writing = _Connection(database.writing, self)  # type: ignore[assignment]

        database.open = open  # type: ignore[method-assign]

    def fail_all(self, code: int = sqlite3.SQLITE_FULL) -> None:
        """Every commit fails from now on."""
        self.code, self._all = code, True

    def mend(self) -> None:
        """All is well from now on."""
        self._all = False

    def fails(self, *, probe: bool) -> bool:
        """Whether the commit that is about to be made fails."""
        if probe:
            self.probes += 1
            fails, self._probe_fails = self._all or self._probe_fails, False
        else:
            self.commits += 1
            fails = self._all or self.commits in self.chosen
            self._probe_fails = fails
        return fails

    def error(self) -> sqlite3.Error:
        """What SQLite would raise."""
        error = sqlite3.OperationalError(_TEXTS[self.code])
        error.sqlite_errorcode = self.code  # type: ignore[misc]
        return error


class _Connection:
    """A connection, whose COMMIT may fail."""

    def __init__(self, real: sqlite3.Connection, faults: FailingCommits) -> None:
        self._real = real
        self._faults = faults
        self._probing = False

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement == "BEGIN IMMEDIATE":
            self._probing = False
        elif statement.startswith("PRAGMA user_version"):
            self._probing = True
        elif statement == "COMMIT" and self._faults.fails(probe=self._probing):
            if self._faults.when == "after":
                self._real.execute(statement)
            raise self._faults.error()
        return self._real.execute(statement, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@attrs.frozen
class SmallDisk:
    """A file system of its own, in memory, that can be filled to the last byte."""

    path: Path

    def fill(self) -> None:
        descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while True:
                os.write(descriptor, bytes(4096))
        except OSError:
            pass
        finally:
            os.close(descriptor)

    def free(self) -> None:
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return self.path / "filler"


@contextmanager
def small_disk(path: Path, size: str = "512k") -> Iterator[SmallDisk]:
    """A disk of this size at this directory. Skips the test where this user may mount none."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this user may not mount a file system in memory: {error}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", str(path)], check=True)
