"""A pipeline of actors: a pool counts words, a full mailbox slows down whoever sends too fast.

Run it: python examples/pipeline.py
"""

import logging
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TypeAlias

import trio

from wingman.actor import ActorRef, ActorSystem, Backoff, Context, Restart

logging.getLogger("wingman").setLevel(logging.CRITICAL)  # it logs the crash with its traceback

Words: TypeAlias = Counter[str]


class Sum:
    """Adds up what the counters find; asked for the sum of so many files, it waits until then."""

    def __init__(self, context: Context[Words | int]) -> None:
        self.context, self.files, self.words = context, 0, Counter[str]()

    async def receive(self, message: Words | int) -> Words | None:
        """Add to the sum, or give it when all is there."""
        if isinstance(message, Counter):
            self.files += 1
            self.words += message
            self.context.unstash()  # the question may have its answer now
        elif self.files == message:
            return self.words
        else:
            self.context.stash()  # not ready: the question is put aside
        return None


class Count:
    """Counts one file at a time. One that cannot be read crashes it, and costs that file alone."""

    def __init__(self, sum_of_all: ActorRef[Words]) -> None:
        self.sum = sum_of_all

    async def receive(self, path: Path) -> None:
        """Count, and tell the sum, which may make it wait."""
        text = await trio.Path(path).read_text(encoding="utf-8")
        await self.sum.tell(Counter(text.lower().split()))


async def main() -> None:
    """Count the words in the examples, and in what is no file."""
    here = Path(__file__).parent
    files = sorted(here.glob("*.py"))
    soon = Restart(backoff=Backoff(initial=0.01))
    async with ActorSystem() as system:
        total = system.spawn(Sum, name="sum", mailbox=4)
        counters = system.spawn_pool(partial(Count, total), 2, mailbox=4, supervision=soon)
        for path in [here, *files]:
            await counters.tell(path)
        words = await total.ask(len(files))
        print("counted", len(files), "files,", len(words or ()), "words")
        pool = system.snapshot()[-1]
        print("restarts:", sum(worker.restarts for worker in pool.children))


if __name__ == "__main__":
    trio.run(main)
