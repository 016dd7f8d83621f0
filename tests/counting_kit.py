"""Counts what work costs in ways that no machine changes: task steps, scopes, statements, bytes."""

import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

__all__ = ["Cost", "Counting"]


@attrs.frozen
class Cost:
    """What one piece of work costs.

    `steps` are those of all tasks but the one that asks, `tasks` those that were begun, `scopes`
    the cancel scopes that were entered (a nursery has one), `threads` the calls into a thread and
    out of one, `statements` SQLite's, commits included, and `written` the bytes of its log.
    """

    steps: int
    tasks: int
    scopes: int
    threads: int
    statements: int
    commits: int
    written: int

    def within(self, bound: "Cost") -> dict[str, tuple[int, int]]:
        """What is over the bound: the count, and the most that it may be."""
        mine, most = attrs.asdict(self), attrs.asdict(bound)
        return {name: (mine[name], most[name]) for name in mine if mine[name] > most[name]}


class _Steps(trio.abc.Instrument):
    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._asker = trio.lowlevel.current_task()

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self._counts["tasks"] += 1

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is not self._asker:
            self._counts["steps"] += 1


class Counting:
    """Counts, from now on until the test's end; `database` is the file whose log is measured."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, database: Path) -> None:
        self._counts: Counter[str] = Counter()
        self._log = database.with_name(f"{database.name}-wal")
        self._count_calls(monkeypatch, trio.CancelScope, "__enter__", "scopes")
        self._count_calls(monkeypatch, trio.lowlevel.TrioToken, "run_sync_soon", "threads")
        self._count_calls(monkeypatch, trio.to_thread, "run_sync", "threads")
        connect = sqlite3.connect

        def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **options)
            connection.set_trace_callback(self._statement)
            return connection

        monkeypatch.setattr(sqlite3, "connect", traced)

    async def least(self, work: Callable[[], Awaitable[Any]], times: int = 12) -> Cost:
        """The least of each count, of so many times: what else goes on is not the work's."""
        costs = [attrs.astuple(await self._once(work)) for _ in range(times)]
        return Cost(*(min(counts) for counts in zip(*costs, strict=True)))

    async def _once(self, work: Callable[[], Awaitable[Any]]) -> Cost:
        await trio.testing.wait_all_tasks_blocked()
        before, written = self._counts.copy(), self._written()
        steps = _Steps(self._counts)
        trio.lowlevel.add_instrument(steps)
        try:
            await work()
            await (
                trio.testing.wait_all_tasks_blocked()
            )  # its end, which the answer did not wait for
        finally:
            trio.lowlevel.remove_instrument(steps)
        spent = self._counts - before
        names = [field.name for field in attrs.fields(Cost)][:-1]
        return Cost(*(spent[name] for name in names), written=self._written() - written)

    def _written(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def _statement(self, statement: str) -> None:
        self._counts["statements"] += 1
        self._counts["commits"] += statement == "COMMIT"

    def _count_calls(self, patch: pytest.MonkeyPatch, owner: Any, name: str, as_what: str) -> None:
        real = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self._counts[as_what] += 1
            return real(*arguments, **options)

        patch.setattr(owner, name, counted)
