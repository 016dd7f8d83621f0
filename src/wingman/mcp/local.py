"""A server that is a program: started here under a keeper, and ended with all that it has started.

It speaks in lines: one message each, on stdin and stdout. What it writes to stderr is for people.
"""

import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

import attrs
import msgspec
import trio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage
from mcp_types.jsonrpc import jsonrpc_message_adapter
from pydantic import ValidationError

from wingman.api import McpServer
from wingman.mcp.failure import McpFailed
from wingman.mcp.large import LARGE, read_large
from wingman.mcp.lines import Lines, LineTooLong
from wingman.mcp.traffic import Outbox, Traffic
from wingman.processes import CannotStart, Child, child_environment, ending, start_child

__all__ = ["LocalServer"]

_LONGEST_LINE: Final = 64 * 1024 * 1024  # bytes
_EOF_GRACE: Final = 0.1  # seconds that it has to end by itself once its stdin is closed
_LAST_WORDS: Final = 0.2  # seconds in which what it wrote before its end arrives


@attrs.define(eq=False)
class LocalServer:
    """A program, once `open` is entered. `lost` is set when it cannot be spoken with any more:
    then `reason` says why. `ran`: it has, and has ended."""

    server: McpServer
    work_dir: Path
    traffic: Traffic
    lost: trio.Event = attrs.field(factory=trio.Event, init=False)
    reason: str = attrs.field(default="", init=False)
    ran: bool = attrs.field(default=False, init=False)
    _child: Child | None = attrs.field(default=None, init=False)
    _exited: trio.Event = attrs.field(factory=trio.Event, init=False)
    _heard_all: trio.Event = attrs.field(factory=trio.Event, init=False)
    _read_all: trio.Event = attrs.field(factory=trio.Event, init=False)
    _leaving: bool = attrs.field(default=False, init=False)
    _rubbish: int = attrs.field(default=0, init=False)

    @asynccontextmanager
    async def open(
        self,
    ) -> AsyncIterator[tuple[trio.MemoryReceiveChannel[SessionMessage | Exception], Outbox]]:
        """Start it, and give what the SDK reads from and writes to. It is ended with the block."""
        child = self._child = await self._started()
        async with trio.open_nursery() as outputs:
            outputs.start_soon(self._read, child)
            outputs.start_soon(self._read_stderr, child)
            async with ending(child, self._left_over), trio.open_nursery() as nursery:
                writing = trio.CancelScope()
                nursery.start_soon(self._write, child, writing)
                nursery.start_soon(self._wait, child)
                try:
                    yield self.traffic.inbox, self.traffic.outbox
                finally:
                    if self._heard_all.is_set() and not self.lost.is_set():
                        with trio.move_on_after(2 * _LAST_WORDS):  # why it was lost is on its way
                            await self.lost.wait()  # noqa: ASYNC102 a cancel waits for nobody
                    self._leaving = True
                    writing.cancel()  # its stdin is closed: a good server ends by itself
                    with trio.move_on_after(_EOF_GRACE):
                        await self._exited.wait()  # noqa: ASYNC102 a cancel waits for nobody
                    nursery.cancel_scope.cancel()
            # What could not be ended may still hold a pipe.
            outputs.cancel_scope.deadline = trio.current_time() + _LAST_WORDS

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return None if self._child is None or self._exited.is_set() else self._child.pid

    async def _started(self) -> Child:
        argv = self.server.command or ()
        environment = {**child_environment(), **self.server.env}
        try:
            return await start_child(argv, self.work_dir, environment, piped=True)
        except (CannotStart, RuntimeError) as error:  # RuntimeError: no thread to start it in
            raise McpFailed(str(error)) from error

    async def _wait(self, child: Child) -> None:
        code = await child.wait()
        self.ran = code is not None
        self._exited.set()
        with trio.move_on_after(_LAST_WORDS):
            await self._heard_all.wait()
            await self._read_all.wait()
        if code is None:
            await self._lose(child.failure or "It was lost.")
        elif code < 0:
            await self._lose(f"It was ended by {_signal(-code)}.")
        else:
            await self._lose(f"It ended with exit code {code}.")

    async def _write(self, child: Child, scope: trio.CancelScope) -> None:
        with scope:
            async with cast("trio.abc.SendStream", child.stdin) as pipe:
                try:
                    while (item := await self.traffic.next()) is not None:
                        await pipe.send_all(_line(item.message))
                        self.traffic.wrote(item)
                    await trio.sleep_forever()  # it ends by its own doing, or when it is left
                except trio.BrokenResourceError:
                    await self._closed("It does not read its input any more.")

    async def _read(self, child: Child) -> None:
        lines = Lines(_LONGEST_LINE)
        async with child.stdout as pipe:
            try:
                async for data in pipe:
                    for line in lines.add(data):
                        await self._heard(line)
                reason = "It closed its output."
            except LineTooLong:
                reason = f"It sent a message of more than {_LONGEST_LINE:,} bytes."
            except trio.BrokenResourceError:
                return  # nobody reads any more: it is being left
        self._heard_all.set()
        await self._closed(reason)

    async def _heard(self, line: bytes) -> None:
        message = self._message(line)
        if message is None:
            await trio.lowlevel.checkpoint()
        else:
            await self.traffic.received(SessionMessage(message))

    def _message(self, line: bytes) -> JSONRPCMessage | None:
        """The message that a line is, or None: it is skipped."""
        if not line.strip():
            return None
        try:
            if len(line) > LARGE:
                return read_large(line)
            return jsonrpc_message_adapter.validate_python(msgspec.json.decode(line), by_name=False)
        except (msgspec.DecodeError, ValidationError, RecursionError, UnicodeDecodeError):
            self._rubbish += 1
            start = line[:500].decode(errors="replace")
            self.traffic.diary.note(
                logging.WARNING, f"no message on stdout ({self._rubbish}): {start}"
            )
            return None

    async def _read_stderr(self, child: Child) -> None:
        async with cast("trio.abc.ReceiveStream", child.stderr) as pipe:
            async for data in pipe:
                self.traffic.diary.stderr(data)
        self.traffic.diary.end()
        self._read_all.set()

    async def _closed(self, reason: str) -> None:
        """A pipe is closed: if that is its end, its exit code says more."""
        await self.traffic.ended()
        if self._leaving:
            return
        with trio.move_on_after(_LAST_WORDS):
            await self._exited.wait()
            return
        await self._lose(reason)

    async def _lose(self, reason: str) -> None:
        if not self._leaving:
            self.reason = self.reason or reason
            self.lost.set()
        await self.traffic.ended()

    def _left_over(self, what: str) -> None:
        self.traffic.diary.note(logging.ERROR, f"{what} could not be ended")


def _line(message: JSONRPCMessage) -> bytes:
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
