"""Permissions: three parallel calls, of which one is allowed, one asked about, and one denied.

Run it: python examples/permissions.py
"""

import trio

from wingman import Agent, Session
from wingman.api import Decision, PermissionRequest
from wingman.providers import Keyless
from wingman.tools import bash

MESSAGE = """\
!bash echo allowed
!bash touch asked.txt && echo ran
!bash rm -rf build"""


async def approve(request: PermissionRequest) -> Decision:
    """Stand in for a person: allow the one command that the example expects."""
    print("asked:", request.action, "of", list(request.resources))
    await trio.sleep(0.1)  # the sibling that is allowed does not wait for this
    expected = request.resources == ("touch asked.txt", "echo ran")
    return "once" if expected else "reject"


async def main() -> None:
    """Send one message, whose three calls come in one step."""
    agent = Agent(
        "Careful",
        provider=Keyless(),
        tools=[bash],
        # In order: the last rule that matches wins.
        permissions={"bash": {"*": "ask", "echo *": "allow", "rm *": "deny"}},
    )
    async with Session(agent, ask=approve) as session:
        result = await session.run(MESSAGE)
    for call in result.tool_calls:
        print(call.input["command"], "→", call.output)
    print("asked.txt is there:", await trio.Path("asked.txt").exists())


if __name__ == "__main__":
    trio.run(main)
