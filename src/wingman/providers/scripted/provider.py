"""Scripted: a provider that says what it is told to. For tests of one's own agents.

It goes through the same protocol as the real ones, with delays and failures where they are wanted:

    Scripted([ToolCalls(("forecast", {"city": "Bern"})), "It will rain."])
    Scripted(lambda request: f"You said: {request.messages[-1].text}")
    Scripted([Delay("slow but sure", 2.0), Fail(ProviderTimeout("…", provider="scripted"))])

Delays are `trio.sleep`s, so that virtual time (`autojump_clock`) makes them free.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import Final, TypeAlias

import attrs
import trio

from wingman.errors import ProviderError
from wingman.providers.base import Part, Request
from wingman.providers.scripted.reply import Delay, Item, reply
from wingman.providers.transport import Transport
from wingman.under_trio import require_trio

__all__ = ["ID", "Script", "Scripted"]

ID: Final = "scripted"

Script: TypeAlias = Iterable[Item] | Callable[[Request], Item | Awaitable[Item]]


def _steps(script: Script) -> tuple[Item, ...] | Callable[[Request], Item | Awaitable[Item]]:
    if isinstance(script, str):
        raise TypeError("a script is a list of items or a function: write [text] for one response")
    return script if callable(script) else tuple(script)


@attrs.define(eq=False)
class Scripted:
    """Answers from a script: a list, one item an inference, or a function of the request.

    `delay` and `piece_delay` are in seconds, before the first part and before each other; a `Delay`
    overrides both. Text comes in pieces of `piece_size` characters. The list is consumed across
    all runs that share the instance; when it is used up, an inference raises `ProviderError`.
    `requests` are those it was asked, in order, all of them: this is for tests.
    """

    script: Script = attrs.field(converter=_steps, repr=False)
    delay: float = attrs.field(default=0.0, kw_only=True)
    piece_delay: float = attrs.field(default=0.0, kw_only=True)
    piece_size: int = attrs.field(default=16, kw_only=True, validator=attrs.validators.ge(1))
    model: str = attrs.field(default="scripted", kw_only=True)
    id: str = attrs.field(default=ID, init=False)
    requests: list[Request] = attrs.field(factory=list, init=False, repr=False)
    _used: int = attrs.field(default=0, init=False, repr=False)

    async def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference: the next item of the script."""
        require_trio()
        self.requests.append(request)
        item = await self._next(request)
        wait, each = self.delay, self.piece_delay
        if isinstance(item, Delay):
            wait, each, item = item.first, item.each, item.item
        await trio.sleep(wait)
        first = True
        for part in reply(item, request, self.piece_size):
            if each and not first:
                await trio.sleep(each)
            first = False
            yield part

    async def _next(self, request: Request) -> Item:
        if callable(self.script):
            item = self.script(request)
            return await item if isawaitable(item) else item
        steps = tuple(self.script)
        self._used += 1
        if self._used > len(steps):
            raise ProviderError(
                f"the script is used up: it has {len(steps)} items, "
                f"and this is inference {self._used}",
                provider=self.id,
            )
        return steps[self._used - 1]
