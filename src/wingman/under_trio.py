"""Under Trio: whoever calls Wingman from elsewhere is told so, and what to do.

Wingman runs on Trio and nothing else. What is awaited elsewhere (under asyncio, in plain code, in a
thread that Trio does not know) fails deep inside of Trio, in words that name neither. So each door
asks `require_trio` first.

This module knows Trio alone.
"""

import sys

from trio.lowlevel import in_trio_task

__all__ = ["require_trio"]

_UNDER_ASYNCIO = (
    "Wingman runs on Trio, and this was called under asyncio. Run the program by trio.run(main), "
    'or by anyio.run(main, backend="trio"). Where asyncio must stay, as in a notebook or a web '
    'server, give Wingman a thread of its own: anyio.from_thread.start_blocking_portal("trio"). '
    "Tests need pytest-trio in the place of pytest-asyncio. Another way is `wingman serve` and any "
    "HTTP client. docs/asyncio.md has a program for each."
)

_NO_TASK = (
    "Wingman runs on Trio, and no Trio task is running here. Call this in an async function that "
    "trio.run(main) runs. In a thread that Trio has started, call trio.from_thread.run. "
    "docs/asyncio.md has programs."
)


def require_trio() -> None:
    """Raise `RuntimeError` where no Trio task is running; the text says what to do."""
    if not in_trio_task():
        raise RuntimeError(_UNDER_ASYNCIO if _in_asyncio() else _NO_TASK)


def _in_asyncio() -> bool:
    """Whether an asyncio loop runs in this thread. It is not imported to find that out."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
