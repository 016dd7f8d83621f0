"""Notices: what a node has changed that all nodes keep a copy of, told by LISTEN and NOTIFY."""

import logging
import os
import select
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

import psycopg
import trio

from wingman.errors import StoreError
from wingman.store.changes import (
    AgentDeleted,
    AgentSaved,
    Change,
    CredentialDeleted,
    CredentialSaved,
    McpServerDeleted,
    McpServerSaved,
)
from wingman.store.nodes import KINDS
from wingman.store.postgres.connection import Connection
from wingman.store.threads import Tell, start_thread

__all__ = ["Listener", "notify"]

logger = logging.getLogger("wingman.store")

_KINDS: Final = {
    AgentSaved: "agents",
    AgentDeleted: "agents",
    CredentialSaved: "credentials",
    CredentialDeleted: "credentials",
    McpServerSaved: "mcp_servers",
    McpServerDeleted: "mcp_servers",
}

_SCHEMA: Final = "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
_NOTIFY: Final = f"SELECT pg_notify('wingman_' || {_SCHEMA}, %s)".encode()
_CHANNEL: Final = f"SELECT 'wingman_' || {_SCHEMA}".encode()

_PAUSE: Final = 0.5
"""Seconds between two attempts to listen again."""

_LOOK: Final = 30.0
"""Seconds after which a connection that says nothing is asked whether it is there."""


def notify(connection: Connection, calls: Iterable[Sequence[Change]], number: int) -> None:
    """Tell all nodes, with the commit that is under way, what is changed in it."""
    kinds = {_KINDS.get(type(change)) for changes in calls for change in changes} - {None}
    for kind in kinds:
        connection.real.execute(_NOTIFY, (f"{number} {kind}",))


class Listener:
    """A thread that listens over a connection of its own.

    `changed` is called in the event loop with one of `KINDS`: where another node than `number` has
    changed it; and all of them where the listener was deaf for a while.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        number: Callable[[], int],
        changed: Callable[[str], None],
    ) -> None:
        self._connect = connect
        self._number = number
        self._changed = changed
        self._ended, self._end = os.pipe()
        self._began = trio.Event()

    async def start(self) -> None:
        """Return when it listens, or has failed to for the first time: then it tries again.

        Raises `StoreUnavailable` where there is no thread to be had.
        """
        start_thread(self._work, "wingman-store-listener")
        await self._began.wait()

    def stop(self) -> None:
        """Listen no more."""
        os.close(self._end)

    def _work(self, tell: Tell) -> None:
        was_deaf = False
        try:
            while not self._is_over(0):
                with suppress(StoreError, psycopg.Error, OSError):
                    connection = self._connect()
                    try:
                        self._listen(connection.real, tell, was_deaf)
                    finally:
                        connection.real.close()
                tell(self._began.set)
                was_deaf = True
                if self._is_over(_PAUSE):
                    return
        finally:
            os.close(self._ended)

    def _listen(self, connection: psycopg.Connection, tell: Tell, was_deaf: bool) -> None:
        (channel,) = connection.execute(_CHANNEL).fetchone() or ("",)
        connection.execute(f'LISTEN "{channel}"'.encode())
        tell(self._began.set)
        if was_deaf:
            for kind in sorted(KINDS):
                tell(self._changed, kind)
        while True:
            readable, _, _ = select.select([connection.fileno(), self._ended], [], [], _LOOK)
            if self._ended in readable:
                return
            if not readable:
                connection.execute(b"SELECT 1")
            for notice in connection.notifies(timeout=0):
                number, _, kind = notice.payload.partition(" ")
                if kind in KINDS and number != str(self._number()):
                    tell(self._changed, kind)

    def _is_over(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        readable, _, _ = select.select([self._ended], [], [], max(0, until - time.monotonic()))
        return bool(readable)
