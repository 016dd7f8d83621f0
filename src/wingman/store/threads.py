"""The store's threads: how they are started, and how they tell the event loop something."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

import trio

from wingman.errors import StoreUnavailable

__all__ = ["Tell", "start_thread"]

Tell: TypeAlias = Callable[..., None]
"""Has the event loop call a function with these arguments, soon; nothing where the loop is gone."""


def start_thread(work: Callable[[Tell], None], name: str) -> None:
    """Start a thread that ends with the process, whatever it waits for.

    Raises `StoreUnavailable` where the system has none to give.
    """
    token = trio.lowlevel.current_trio_token()

    def tell(callback: Callable[..., object], *args: object) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(callback, *args)

    thread = threading.Thread(target=work, args=(tell,), name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise StoreUnavailable(
            f"The store cannot be opened, since it needs threads of its own: {error}. "
            "Raise the limit of processes (ulimit -u, or the container's), or stop something."
        ) from error
