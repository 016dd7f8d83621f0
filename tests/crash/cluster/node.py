"""One node of the cluster: its wire to the database, and the process that is its life just now."""

import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from crash.book import Findings
from crash.cluster.balancer import Balancer
from crash.cluster.patience import until
from crash.cluster.wire import Wire
from crash.victim import Victim, orphans

__all__ = ["Node"]

# A mailbox of few messages, so that some are refused; a grace that some runs do not get by with;
# sessions that leave memory, and their node, soon.
_OPTIONS: Final = (
    *("--log-level", "info", "--grace", "1", "--max-queued", "8", "--idle-after", "3"),
)
_START_SECONDS: Final = 90.0
_READY_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_ORPHAN_SECONDS: Final = 10.0


@attrs.define(eq=False)
class Node:
    """A place in the cluster: processes of it come and go, one at a time.

    `database` is the URL's path, and all that the processes say goes into `directory`.
    """

    name: str
    wire: Wire
    database: str
    directory: Path
    balancer: Balancer
    findings: Findings
    lives: int = 0
    _victim: Victim | None = None

    @property
    def url(self) -> str:
        """Where the process listens."""
        return self._alive.url

    @property
    def pid(self) -> int:
        """The process."""
        return self._alive.process.pid

    @property
    def mark(self) -> str:
        """What the process, and all that it starts, bears in its environment."""
        return f"{self.directory}/{self.name}/{self.lives}"

    @property
    def log(self) -> Path:
        """What the processes have said."""
        return self.directory / f"{self.name}.log"

    @property
    def _alive(self) -> Victim:
        assert self._victim is not None
        return self._victim

    async def start(self, nursery: trio.Nursery) -> None:
        """Start a process, and return when it listens; or it is a finding that it does not.

        One that cannot reach its database says so and leaves, and is started again, as a supervisor
        would do.
        """
        listens = await until(partial(self._started, nursery), _START_SECONDS, 0.1)
        if self.findings.check(listens, f"{self.name} did not start: see its log"):
            self.balancer.add(self.name, int(self.url.rpartition(":")[2].strip("/")))

    async def _started(self, nursery: trio.Nursery) -> bool:
        self.lives += 1
        url = f"postgresql://postgres@127.0.0.1:{self.wire.port}/{self.database}"
        self._victim = victim = await Victim.start(nursery, url, self.log, self.mark, _OPTIONS)
        await until(lambda: victim.listens.is_set() or self._is_over(victim), _START_SECONDS)
        if not victim.listens.is_set():
            code = victim.process.returncode
            self.findings.done["starts that failed"] += 1
            self.findings.check(code in (None, 1), f"{self.name} left with {code} as it started")
        return victim.listens.is_set()

    @staticmethod
    def _is_over(victim: Victim) -> bool:
        return victim.process.poll() is not None

    async def until_ready(self) -> None:
        """The balancer has heard that it is ready; or it is a finding that it has not."""
        ready = await until(lambda: self.name in self.balancer.ready(), _READY_SECONDS)
        self.findings.check(ready, f"{self.name} is not ready within {_READY_SECONDS:g} s")

    async def kill(self) -> None:
        """SIGKILL, also to one that is stopped; its tools are gone soon after."""
        self._alive.kill()
        await self._alive.process.wait()
        await self._check_orphans()

    def stop(self) -> None:
        """SIGSTOP: it is there, and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT, where it is there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    async def drain(self) -> None:
        """SIGTERM, and wait until it has left by itself; by 1, where something would not stop."""
        code = None
        self._alive.terminate()
        with trio.move_on_after(_STOP_SECONDS):
            code = await self._alive.process.wait()
        said = f"{self.name} was told to stop, and exited with {code}"
        self.findings.check(code in (0, 1), said)
        self.findings.done[f"nodes told to stop that left by {code}"] += 1
        self._alive.kill()
        self.balancer.remove(self.name)
        await self._check_orphans()

    async def end(self) -> None:
        """SIGKILL, without a look at what is left."""
        if self._victim is not None:
            self._victim.kill()
            await self._victim.process.wait()

    def check_alive(self) -> None:
        """It has not ended by itself."""
        code = self._alive.process.poll()
        self.findings.check(code is None, f"{self.name} has ended by itself, with {code}")

    async def _check_orphans(self) -> None:
        left: dict[int, str] = {}

        async def gone() -> bool:
            nonlocal left
            left = await trio.to_thread.run_sync(orphans, self.mark)
            return not left

        await until(gone, _ORPHAN_SECONDS)
        for pid, command in left.items():
            self.findings.check(False, f"outlived its node: {command}")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
