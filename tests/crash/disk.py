"""A slow disk: the server's commits are held up for a while, again and again.

Who holds SQLite's write lock holds up every commit. So there is time to die between a write and its
commit, where otherwise there would be a millisecond.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from random import Random

import trio

__all__ = ["hold_up_commits"]


async def hold_up_commits(database: Path, random: Random) -> None:
    """Hold up the commits to this database at random moments, until cancelled."""
    while True:
        await trio.sleep(random.uniform(0, 0.1))
        await trio.to_thread.run_sync(_hold, database, random.uniform(0.01, 0.3))


def _hold(database: Path, seconds: float) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")
