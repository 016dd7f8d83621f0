"""The machine: what it is, how busy others keep it, and what a process takes of it."""

import os
import platform
import sqlite3
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import attrs

__all__ = ["BUSY", "Load", "cpu_seconds", "described", "memory", "peak_memory"]

BUSY: Final = 0.1
"""From this share of all its CPUs on, what others do on the machine spoils the figures."""

_SAMPLE_SECONDS: Final = 0.4


def described() -> dict[str, Any]:
    """What was measured on, as a JSON object."""
    packages = ("trio", "quart", "quart-trio", "hypercorn", "httpx", "msgspec")
    return {
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in packages},
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@attrs.frozen
class Load:
    """How busy the machine is while nothing is measured: the share of its CPUs, 0 to 1."""

    share: float
    average: float

    @classmethod
    def sample(cls) -> "Load":
        """Look for a moment; call it while nothing of one's own runs."""
        busy, total = _ticks()
        time.sleep(_SAMPLE_SECONDS)
        now, all_now = _ticks()
        return cls((now - busy) / max(1, all_now - total), os.getloadavg()[0])

    @property
    def high(self) -> bool:
        """Whether figures that are measured now are to be doubted."""
        return self.share > BUSY

    def __str__(self) -> str:
        return f"others take {self.share:.0%} of its CPUs (load average {self.average:.2f})"


def _ticks() -> tuple[int, int]:
    """How long all CPUs have been busy, and how long they have been."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def cpu_seconds(pid: int | None = None) -> float:
    """The CPU seconds that a process has used so far, all its threads together."""
    if pid is None:
        return time.process_time()
    # Linux's clock of another process: clock_getcpuclockid(3), MAKE_PROCESS_CPUCLOCK.
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid: int | None = None) -> int:
    """The bytes that a process holds in memory (RSS)."""
    return _status(pid, "VmRSS")


def peak_memory(pid: int | None = None) -> int:
    """The most bytes that a process has held in memory."""
    return _status(pid, "VmHWM")


def _status(pid: int | None, field: str) -> int:
    for line in Path(f"/proc/{pid or 'self'}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise ProcessLookupError(f"the process {pid} has ended")
