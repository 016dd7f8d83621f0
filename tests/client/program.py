"""A server that can be killed: `python -m client.program PORT DATABASE BOOK PACE`."""

import sys
from functools import partial
from pathlib import Path

import trio

from client.troupe import agent
from wingman import Runtime
from wingman.server import serve


async def main(port: int, database: str, book: str, pace: float) -> None:
    async with (
        Runtime(database, agents=[agent(Path(book), pace)]) as runtime,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(partial(serve, runtime, port=port))
        print("listening", flush=True)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), *sys.argv[2:4], float(sys.argv[4]))
