"""Turns in process, by other agent libraries and by Wingman: the same, and timed the same.

Each library has a process of its own, in which `_library.py` takes its turns. Each turn is the
first of a new conversation. A session of Wingman's is made before the clock starts, as strands'
`Agent` and ADK's session are; in the case `create` both are made while it runs.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from bench._environments import NotThere, with_pip
from bench._models import NAPS, TEXT, TOOLS
from bench._report import Row
from bench._rounds import Comparison, Contender, Stopwatch, Took, compare
from bench._servers import as_served
from wingman import Agent, Runtime, Session

__all__ = ["rows"]

LIBRARIES: Final = {
    "strands": ["strands-agents"],
    "agno": ["agno"],
    "openai-agents": ["openai-agents"],
    "langgraph": ["langgraph", "langchain-core"],
    "pydantic-ai": ["pydantic-ai-slim"],
    "adk": ["google-adk"],
}
"""By the name that `_library.py` knows: what is installed."""

_PROGRAM: Final = Path(__file__).with_name("_library.py")
_AGENTS: Final = {"text": TEXT, "tool": TOOLS, "naps": NAPS}
_NAPS: Final = 3


@attrs.frozen
class Case:
    """Turns of one kind: so many at once, with their conversations made while the clock runs."""

    title: str
    kind: str
    at_once: int = 1
    create: bool = False
    goal: str | None = None


CASES: Final = (
    Case("text turn", "text", goal="≥ 4"),
    Case("tool turn", "tool", goal="≥ 4"),
    Case("text turn, 64 at once", "text", 64),
    Case("tool turn, 64 at once", "tool", 64),
    Case("conversation and text turn", "text", create=True),
    Case("turn with 8 tools of 50 ms", "naps"),
)


async def ours(runtime: Runtime, case: Case, turns: int) -> Took:
    """What a turn takes of Wingman, whose store is in memory, as libraries keep nothing."""
    agent: Agent = _AGENTS[case.kind]
    made: list[Session] = []

    async def new() -> Session:
        made.append(await runtime.create_session(agent))
        return made[-1]

    ready = [] if case.create else [await new() for _ in range(turns)]
    left = iter(range(turns))

    async def work() -> None:
        for _ in left:
            session = await new() if case.create else ready.pop()
            await session.run("go")

    watch = Stopwatch()
    with watch.running():
        async with trio.open_nursery() as nursery:
            for _ in range(case.at_once):
                nursery.start_soon(work)
    for session in made:
        await runtime.delete(session.id)
    return watch.each(turns)


class Library:
    """A library's process, which takes turns when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def take(self, case: Case, turns: int) -> Took:
        """What one of so many turns took. Raises `RuntimeError` if the process has failed."""
        asked = json.dumps(
            {"case": case.kind, "turns": turns, "at_once": case.at_once, "create": case.create}
        )
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


async def _warmed_up(stack: AsyncExitStack, name: str, *, install: bool) -> Library:
    """The library, once it has taken each kind of turn; raises `NotThere`."""
    python = await trio.to_thread.run_sync(
        partial(with_pip, name, LIBRARIES[name], install=install)
    )
    library = stack.enter_context(_started(name, python))
    try:
        for case in CASES:
            await library.take(case, case.at_once)
    except (RuntimeError, OSError) as error:
        raise NotThere(f"{name} is installed, but does not take these turns.") from error
    return library


async def _measured(quick: bool) -> tuple[Comparison, dict[str, str]]:
    """What was measured, and by library why it does not take part."""
    turns = 16 if quick else 128
    counts = {case: _NAPS if case.kind == "naps" else turns for case in CASES}
    missing: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(Runtime(agents=list(_AGENTS.values())))
        contenders: dict[str, Contender] = {}
        libraries: dict[str, Library] = {}
        for name in LIBRARIES:
            try:
                libraries[name] = await _warmed_up(stack, name, install=not quick)
            except NotThere as error:
                missing[name] = str(error)
        for case in CASES:
            await ours(runtime, case, case.at_once)
            contenders[f"Wingman, {case.title}"] = partial(ours, runtime, case, counts[case])
            for name, library in libraries.items():
                contenders[f"{name}, {case.title}"] = partial(library.take, case, counts[case])
        return await compare(contenders, rounds=2 if quick else 7), missing


def rows(quick: bool) -> list[Row]:
    """Wingman beside the libraries that are installed, or, unless it is quick, can be."""
    with as_served():
        found, missing = trio.run(_measured, quick)
    present = [name for name in LIBRARIES if name not in missing]
    reported = [Row.unmeasured(name, why) for name, why in missing.items()]
    for case in CASES:
        reported += _of_case(found, case, present)
    return reported


def _of_case(found: Comparison, case: Case, present: list[str]) -> Iterator[Row]:
    for name in ("Wingman", *present):
        yield Row(f"{case.title}, {name}", found.each(f"{name}, {case.title}") * 1e3, "ms")
        cpu = found.each(f"{name}, {case.title}", "cpu") * 1e3
        yield Row(f"{case.title}, {name}, CPU", cpu, "ms")
    if not present:
        yield Row.unmeasured(
            f"{case.title}, rate ÷ the fastest library", "No library is there.", case.goal
        )
    elif case.kind != "naps":  # they sleep
        yield from _beside_the_fastest(found, case, present)


def _beside_the_fastest(found: Comparison, case: Case, present: list[str]) -> Iterator[Row]:
    fastest = min(present, key=lambda name: found.each(f"{name}, {case.title}").value)
    mine, theirs = f"Wingman, {case.title}", f"{fastest}, {case.title}"
    to = f"the fastest library ({fastest})"
    yield Row(f"{case.title}, rate", found.speed(mine, theirs), "×", to, case.goal)
    yield Row(f"{case.title}, CPU speed", found.speed(mine, theirs, "cpu"), "×", to)
