"""A command of a process that shares our port is known as what it is, and who waits for it."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from wingman.processes import Board
from wingman.processes.callers import Address, Commands

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="who is at the other end of a socket is found on Linux alone"
)

# A process that shares our port. It runs a command, which connects to us and says nothing.
OTHER = """
import pathlib, sys, trio
from wingman.processes import Board, Output, commands, environment_of, run_command

async def main() -> None:
    if sys.argv[3] == "itself":
        stream = await trio.open_tcp_stream("127.0.0.1", int(sys.argv[2]))
        await trio.sleep_forever()
    asking = f"exec 3<>/dev/tcp/127.0.0.1/{sys.argv[2]}; sleep 60"
    await run_command(
        ["bash", "-c", asking],
        pathlib.Path.cwd(),
        seconds=60,
        output=Output(1000),
        environment=environment_of(["one", "two"]),
        report_still_running=print,
    )

commands.share(Board.of(int(sys.argv[1]), 1))
trio.run(main)
"""


@asynccontextmanager
async def called_by(board: Board, who: str) -> AsyncIterator[tuple[Address, Address]]:
    """Both ends of a connection that a process made which stands on the board, or its command."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    arguments = (f"{board.descriptor}", f"{port}", who)
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", OTHER, *arguments],
        pass_fds=[board.descriptor],
        stdin=subprocess.DEVNULL,
    )
    async with listener:
        try:
            with trio.fail_after(15):
                stream = await listener.accept()
            async with stream:
                yield stream.socket.getpeername(), stream.socket.getsockname()
        finally:
            process.kill()
            await process.wait()


async def test_a_command_of_another_process_on_the_port_is_a_command() -> None:
    board = Board.make(2)
    ours, alone = Commands(), Commands()
    ours.share(Board.of(board.descriptor, 0))
    async with called_by(board, "command") as ends:
        assert ours.callers(*ends) == {"one", "two"}
        assert ours.is_command(*ends)
        # Without the board it is any client of this machine.
        assert alone.callers(*ends) == frozenset()


async def test_where_no_other_process_has_started_a_command_no_client_is_one() -> None:
    board = Board.make(2)
    ours = Commands()
    ours.share(Board.of(board.descriptor, 0))
    async with called_by(board, "itself") as ends:
        assert board.processes
        assert not ours.is_command(*ends)
        assert not ours.is_command(("127.0.0.1", 1), ends[1])


async def test_another_process_on_the_port_is_no_command_itself() -> None:
    board = Board.make(2)
    ours = Commands()
    ours.share(Board.of(board.descriptor, 0))
    async with called_by(board, "itself") as ends:
        assert not ours.is_command(*ends)
        assert ours.callers(*ends) == frozenset()


def test_the_board_says_whether_commands_run_and_forgets_who_has_ended() -> None:
    board = Board.make(3)
    ours, other = Board.of(board.descriptor, 0), Commands()
    assert (list(board.processes), ours.commands_run) == (list(ours.processes), False)
    other.share(Board.of(board.descriptor, 2))
    with other.running(), other.running():
        assert ours.commands_run
    assert not ours.commands_run
    assert ours.others_with_commands == []
    other.started()
    assert ours.others_with_commands == [os.getpid()]
    board.clear(0)
    assert len(board.processes) == 1
    board.clear(2)
    assert not board.processes
