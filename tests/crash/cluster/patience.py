"""Waiting for what has no event: what other processes do, and what they answer."""

from collections.abc import Awaitable, Callable

import trio

__all__ = ["until"]


async def until(
    holds: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float, every: float = 0.03
) -> bool:
    """Whether this holds within so many seconds; it is asked again and again."""
    with trio.move_on_after(seconds):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return True
            await trio.sleep(every)
    return False
