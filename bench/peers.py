"""Peers: a turn in process, beside what other agent libraries take for the same.

Each library has an environment of its own, made once in the cache directory, and a process of its
own; its model is a stand-in in that process that costs nothing, as Wingman's. Wingman has its store
in memory, as they keep nothing. With `--quick` only those
take part that are installed: `python -m bench peers` installs them.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from bench._models import NAPS, TEXT, TOOLS
from bench._report import Row
from bench._rounds import Comparison, Contender, Took, compare
from bench._servers import as_served
from bench.turns import all_at_once, one_at_a_time
from wingman import Runtime

LIBRARIES: Final = {
    "strands": ["strands-agents"],
    "agno": ["agno"],
    "openai-agents": ["openai-agents"],
    "langgraph": ["langgraph", "langchain-core"],
    "pydantic-ai": ["pydantic-ai-slim"],
}
"""By the name that the program knows: what is installed."""

AT_ONCE: Final = 64
CASES: Final = ("text", "tool", "64 at once", "naps")

_PROGRAM: Final = Path(__file__).with_name("_library.py")


def _place(name: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "wingman-bench" / f"{name}-{sys.version_info[0]}.{sys.version_info[1]}"


def _installed(name: str, *, install: bool) -> Path | None:
    """The Python that has this library; None where it is not there."""
    place = _place(name)
    python = place / "bin" / "python"
    complete = place / "complete"
    if complete.exists():
        return python
    if not install:
        return None
    venv.create(place, with_pip=True, clear=True)
    command = [python, "-m", "pip", "install", "--quiet", *LIBRARIES[name]]
    if subprocess.run(command, check=False).returncode:
        return None
    complete.touch()
    return python


class Library:
    """A library's process, which takes turns when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def take(self, case: str, turns: int, at_once: int) -> Took:
        """What one of so many turns took. Raises `RuntimeError` if the process has failed."""
        asked = json.dumps({"case": case, "turns": turns, "at_once": at_once})
        return await trio.to_thread.run_sync(self._take, asked)

    def _take(self, asked: str) -> Took:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(asked, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the library's process has ended")
        return Took(**json.loads(answer))


@contextmanager
def _started(name: str, python: Path) -> Iterator[Library]:
    with subprocess.Popen(
        [python, "-P", _PROGRAM, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield Library(process)
        finally:
            process.kill()


async def _works(library: Library) -> bool:
    """Whether it takes each kind of turn."""
    try:
        for case in ("text", "tool", "naps"):
            await library.take(case, 1, 1)
    except (RuntimeError, OSError):
        return False
    return True


async def _measured(quick: bool) -> Comparison:
    turns = 64 if quick else 256
    counts = {"text": (turns, 1), "tool": (turns, 1), "64 at once": (turns, AT_ONCE)}
    counts["naps"] = (3, 1)
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(Runtime(agents=[TEXT, TOOLS, NAPS]))
        contenders: dict[str, Contender] = {
            "Wingman, text": partial(one_at_a_time, runtime, TEXT, turns, times=1),
            "Wingman, tool": partial(one_at_a_time, runtime, TOOLS, turns, times=1),
            "Wingman, 64 at once": partial(all_at_once, runtime, TEXT, AT_ONCE),
            "Wingman, naps": partial(one_at_a_time, runtime, NAPS, 3, times=1),
        }
        for name in LIBRARIES:
            python = _installed(name, install=not quick)
            if python is None:
                print(f"{name} is not installed, and does not take part", file=sys.stderr)
                continue
            library = stack.enter_context(_started(name, python))
            if not await _works(library):
                print(f"{name} does not work, and does not take part", file=sys.stderr)
                continue
            for case in CASES:
                kind = "text" if case == "64 at once" else case
                contenders[f"{name}, {case}"] = partial(library.take, kind, *counts[case])
        return await compare(contenders, rounds=3 if quick else 9)


def measure(quick: bool) -> list[Row]:
    """Measure all of it; some seconds, and minutes where something must be installed."""
    with as_served():
        found = trio.run(_measured, quick)
    present = {name.rpartition(", ")[0] for name, _ in found.log}
    rows: list[Row] = []
    for case, goal in zip(CASES, ("≥ 4", "≥ 4", None, None), strict=True):
        ours = f"Wingman, {case}"
        peers = [f"{name}, {case}" for name in LIBRARIES if name in present]
        rows.append(Row(ours, found.each(ours) * 1e3, "ms"))
        rows += [Row(peer, found.each(peer) * 1e3, "ms") for peer in peers]
        if peers and case != "naps":
            fastest = min(peers, key=lambda peer: found.each(peer).value)
            name = fastest.rpartition(", ")[0]
            speed = found.speed(ours, fastest, "cpu")
            rows.append(
                Row(f"{case}, CPU speed, Wingman", speed, "×", f"the fastest: {name}", goal)
            )
    return rows
