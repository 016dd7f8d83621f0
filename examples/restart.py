"""Many sessions in a database, and a restart in the middle of their work.

Run it: python examples/restart.py
"""

from collections import Counter
from tempfile import TemporaryDirectory

import trio

from wingman import Agent, Limits, Runtime
from wingman.providers import Keyless
from wingman.tools import bash

AGENT = Agent("Worker", provider=Keyless(), tools=[bash])
AT_ONCE = 4
SESSIONS = 20


def opened(database: str) -> Runtime:
    """The same runtime each time: the same database, and the same agents by name."""
    return Runtime(store=database, agents=[AGENT], limits=Limits(runs=AT_ONCE))


async def main() -> None:
    """Queue work, leave while it is going on, and find it done the next time."""
    with TemporaryDirectory() as directory:
        database = f"{directory}/wingman.db"
        async with opened(database) as runtime:
            for number in range(SESSIONS):
                session = await runtime.create_session(AGENT, title=f"number {number}")
                work = "sleep 60" if number < AT_ONCE else f"echo {number}"
                # Durable when it returns. The same request_id would give the same run again.
                await session.submit(f"!bash {work}", request_id="work")
            for view in await runtime.runs():
                if "sleep" in view.message:
                    async with await runtime.follow(view.session_id, after=0) as reader:
                        await reader.receive()  # its first event: the run has begun
            queued = await runtime.runs(statuses=("queued",))
            print(len(queued), "runs wait for their turn")
        # Leaving the block interrupts what runs. What is queued stays in the database.

        async with opened(database) as runtime:
            for view in await runtime.runs():
                await (await runtime.run(view.session_id, view.id)).wait()
            for status, count in Counter(run.status for run in await runtime.runs()).items():
                print(count, "runs are", status)
            page = await runtime.sessions(limit=3)
            print("the newest:", [session.title for session in page.sessions])


if __name__ == "__main__":
    trio.run(main)
