"""Cancelling: a run by name, one of its tool calls, and by Trio's own means.

Run it: python examples/cancel.py
"""

import trio

from wingman import Agent, Session, ToolProgress, ToolUse
from wingman.providers import Keyless
from wingman.tools import bash


async def main() -> None:
    """Cancel three times; the session takes the next message each time."""
    agent = Agent("Assistant", provider=Keyless(), tools=[bash])
    async with Session(agent) as session:
        # By name. A process in the background and one in front: both end with the call.
        run = await session.submit("!bash sleep 60 & echo started; sleep 60")
        await trio.sleep(0.3)
        receipt = await run.cancel()  # returns when everything has stopped
        for each in receipt.cancelled:
            print("was", each.was, [tool.outcome for tool in each.tools])
            print("stopped within a second:", each.stopped_in_ms < 1000)

        # One call of two: the model is told, and the run goes on.
        async with session.run_stream("!bash echo up; sleep 60\n!bash echo quick") as stream:
            calls: dict[str, str] = {}
            async for event in stream:
                if isinstance(event, ToolUse):
                    calls[event.id] = event.input["command"]
                elif isinstance(event, ToolProgress) and "sleep" in calls[event.tool_use_id]:
                    await stream.run.cancel_tool(event.tool_use_id)
        for call in stream.result.tool_calls:
            print(call.input["command"], "→", call.output.strip())

        # By the caller's own scope: the run is cancelled with its caller.
        with trio.move_on_after(0.3) as scope:
            await session.run("!bash sleep 60")
        print("cut by the caller:", scope.cancelled_caught)

        history = await session.history()
        uses = [use.id for message in history for use in message.tool_uses]
        print("the history is valid:", len(uses) == len(set(uses)) == 4)
        print((await session.run("!bash echo ready")).tool_calls[-1].output.strip())


if __name__ == "__main__":
    trio.run(main)
