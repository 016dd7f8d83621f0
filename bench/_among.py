"""What is done among many stored sessions, whatever they are stored in."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from bench._models import TEXT
from bench._rounds import Stopwatch, Took
from wingman import Runtime

__all__ = ["Work", "in_any_store", "names", "repeated"]

Work: TypeAlias = Callable[[], Awaitable[Any]]


def names(count: int) -> list[str]:
    """The ids of so many stored sessions."""
    return [f"session-{number:06}" for number in range(count)]


async def repeated(work: Work, times: int) -> Took:
    """What it takes each time, where it is done so often."""
    watch = Stopwatch()
    with watch.running():
        for _ in range(times):
            await work()
    return watch.each(times)


def in_any_store(runtime: Runtime) -> tuple[Work, Work, Work, Work]:
    """A turn in a new session, and its end; a page of sessions, of runs, and of failed runs."""

    async def create_and_talk() -> None:
        session = await runtime.create_session(TEXT)
        await session.run("go")
        await runtime.delete(session.id)

    async def failed() -> None:
        await runtime.runs(statuses=("failed",))

    return create_and_talk, runtime.sessions, runtime.runs, failed
