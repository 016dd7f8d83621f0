"""A pipeline of actors: a reader, a pool of counters, a sum. A full mailbox slows its senders down.

Run it: python examples/pipeline.py
"""

import logging
from collections import Counter
from functools import partial
from pathlib import Path

import attrs
import trio

from wingman.actor import ActorRef, ActorSystem, Backoff, Context, Request, Restart, Stopped

logging.getLogger("wingman").setLevel(logging.CRITICAL)  # it logs the crash with its traceback


@attrs.frozen
class Words:
    """What was counted in one file."""

    counts: Counter[str]


@attrs.frozen
class Result(Request["list[tuple[str, int]]"]):
    """Asks for the most frequent words, once so many files are counted."""

    files: int


class Sum:
    """Adds up what the counters find."""

    def __init__(self, context: Context[Words | Result]) -> None:
        self.context = context
        self.files = 0
        self.words: Counter[str] = Counter()

    async def receive(self, message: Words | Result) -> list[tuple[str, int]] | None:
        """Add to the sum, or give it when all is there."""
        if isinstance(message, Words):
            self.files += 1
            self.words += message.counts
            self.context.unstash()  # somebody may be waiting for the result
            return None
        if self.files < message.files:
            self.context.stash()  # not ready: it is put aside until there is more
            return None
        return self.words.most_common(3)


class CountWords:
    """Counts one file at a time. One that cannot be read crashes it, and costs that file alone."""

    def __init__(self, sum_of_all: ActorRef[Words]) -> None:
        self.sum = sum_of_all

    async def receive(self, path: Path) -> None:
        """Count, and tell the sum."""
        text = await trio.Path(path).read_text(encoding="utf-8")
        await self.sum.tell(Words(Counter(text.lower().split())))


class Pipeline:
    """The parent of all stages: they end with it, and it hears when one is lost for good."""

    def __init__(self, context: Context[Path | Result | Stopped]) -> None:
        soon = Restart(max_restarts=10, backoff=Backoff(initial=0.01))
        self.sum = context.spawn(Sum, name="sum", mailbox=4)
        self.counters = context.spawn_pool(
            partial(CountWords, self.sum), 2, name="counters", mailbox=4, supervision=soon
        )
        context.watch(self.counters)

    async def receive(self, message: Path | Result | Stopped) -> list[tuple[str, int]] | None:
        """Pass a file on, waiting while the counters have enough; or the question."""
        match message:
            case Stopped(ref, termination):
                print(ref.name, termination)
            case Result():
                return await self.sum.ask(message)
            case path:
                await self.counters.tell(path)
        return None


async def main() -> None:
    """Count the words in the examples, and in what is no file."""
    here = Path(__file__).parent
    files = sorted(here.glob("*.py"))
    async with ActorSystem() as system:
        pipeline = system.spawn(Pipeline, name="pipeline", mailbox=1)
        await pipeline.tell(here)  # a directory: the counter that gets it crashes
        for path in files:
            await pipeline.tell(path)
        with trio.fail_after(10):
            frequent = await pipeline.ask(Result(len(files)))
        print("counted", len(files), "files;", frequent[0][0], "comes first")
        for stage in system.snapshot()[0].children:
            print(stage.name, "restarts", sum(child.restarts for child in stage.children))


if __name__ == "__main__":
    trio.run(main)
