"""The agents that the client's tests talk to: they obey their messages, and keep a book."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import attrs
import trio

from wingman import Agent, ToolContext, ToolOutput, tool
from wingman.conversation import TextBlock
from wingman.errors import ProviderError
from wingman.providers import Keyless, Part, Request, Transport

NAME = "Obedient"


@tool(resources=("text",))
async def say(text: str) -> str:
    """Say it.

    Args:
        text: What to say.
    """
    await trio.lowlevel.checkpoint()
    return text


@tool
async def hang(text: str, context: ToolContext) -> str:
    """Say that it hangs, and never return.

    Args:
        text: What to say first.
    """
    context.progress(text)
    await trio.sleep_forever()
    return ""


@tool
async def weigh(text: str) -> ToolOutput:
    """Weigh it, and find it too heavy.

    Args:
        text: What to weigh.
    """
    await trio.lowlevel.checkpoint()
    return ToolOutput("Too heavy.", is_error=True, structured={"what": text, "kg": [1, 2.5, None]})


@attrs.define
class Obedient:
    """The keyless model, which fails where it is told to, and writes down what it is asked.

    `pace` is in seconds, before each piece of text.
    """

    book: Path | None = None
    pace: float = 0.0
    id: str = "obedient"
    model: str = "obedient-1"

    async def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        asked = [
            block.text
            for message in request.messages
            if message.role == "user"
            for block in message.content
            if isinstance(block, TextBlock)
        ]
        if self.book is not None and request.messages[-1].role == "user":
            last = request.messages[-1].content[-1]
            if isinstance(last, TextBlock):
                self._write_down(last.text)
        if asked[-1] == "fail":
            raise ProviderError("it was told to", provider=self.id, status=500)
        async for part in Keyless(piece_delay=self.pace).stream(request, transport):
            yield part

    def _write_down(self, text: str) -> None:
        descriptor = os.open(str(self.book), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, text.replace("\n", " ").encode() + b"\n")
        finally:
            os.close(descriptor)


def agent(book: Path | None = None, pace: float = 0.0) -> Agent:
    """The agent of the tests."""
    return Agent(NAME, provider=Obedient(book, pace), tools=[say, hang, weigh])
