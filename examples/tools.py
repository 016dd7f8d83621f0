"""One session, and a tool of one's own.

Run it: python examples/tools.py
"""

from typing import Annotated

import msgspec
import trio

from wingman import Agent, Session, ToolContext, tool
from wingman.errors import ToolError
from wingman.providers import Keyless

Lines = Annotated[int, msgspec.Meta(ge=1, le=100)]


@tool
async def head(path: str, context: ToolContext, lines: Lines = 3) -> str:
    """Show the beginning of a file.

    Args:
        path: The file, relative to the working directory.
        lines: How many lines to show, 1 to 100.
    """
    try:
        text = await trio.Path(context.work_dir / path).read_text()
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}.") from error
    return "\n".join(text.splitlines()[:lines])


async def main() -> None:
    """Send one message; the model calls the tool three times at once."""
    await trio.Path("poem.txt").write_text("Sessions are actors,\ntools are tasks,\nand so on.\n")
    agent = Agent("Reader", provider=Keyless(), tools=[head])
    async with Session(agent, work_dir=".") as session:
        # Keyless calls what each line says. The second and the third call are wrong on purpose:
        # what is wrong is a result that the model reads, and no error of the run.
        result = await session.run('!head poem.txt\n!head {"path": 7}\n!head nothing.txt')
    for call in result.tool_calls:
        print("failed:" if call.is_error else "gave:", call.output)
    print(result.stop_reason, "after", result.steps, "steps")


if __name__ == "__main__":
    trio.run(main)
