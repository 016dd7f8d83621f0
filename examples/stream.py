"""A run's events as they come: one task sends the message, another one follows the session.

Run it: python examples/stream.py
"""

import trio

from wingman import Agent, Done, Runtime, Text, ToolProgress, ToolResult, ToolUse
from wingman.providers import Keyless
from wingman.tools import bash


async def follow(
    runtime: Runtime, session_id: str, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Print what the session tells, until its first run is over. It slows nobody."""
    async with await runtime.follow(session_id) as reader:
        task_status.started()
        while published := await reader.receive():
            for each in published:
                print(f"  event {each.id}: {each.event.kind}")
                if isinstance(each.event, Done):
                    return


async def main() -> None:
    """Stream one message, and follow it from the side."""
    agent = Agent("Assistant", provider=Keyless(), tools=[bash])
    async with Runtime(agents=[agent]) as runtime, trio.open_nursery() as nursery:
        session = await runtime.create_session(agent)
        await nursery.start(follow, runtime, session.id)
        async with session.run_stream("!bash echo one; echo two") as stream:
            async for event in stream:
                match event:
                    case ToolUse(name=name, input=input):
                        print("→", name, input)
                    case ToolProgress(text=text):
                        print("…", text.strip())
                    case ToolResult(content=content):
                        print("←", content.split())
                    case Text(text=piece):
                        print("text:", repr(piece))
                    case _:
                        pass
        print(f"result: {stream.result.stop_reason} after {stream.result.steps} steps")


if __name__ == "__main__":
    trio.run(main)
