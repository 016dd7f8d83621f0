"""When Wingman is killed, no server is left, nor anything that one has started."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trio

from mcp_client.servers import PROGRAM, Room, gone, is_alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")

EMBEDDING = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import trio
    from wingman.api import McpServer
    from wingman.mcp import McpToolset

    async def main():
        server = McpServer(command=tuple(sys.argv[1:]))
        async with McpToolset("fake", server).within(Path.cwd()):
            print("entered", flush=True)
            await trio.sleep_forever()

    trio.run(main)
    """
)


def started(command: list[str], cwd: Path) -> "subprocess.Popen[bytes]":
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(command, cwd=cwd, stdout=pipe, stderr=nothing)


@pytest.mark.parametrize("number", [signal.SIGKILL])
async def test_when_wingman_is_killed_nothing_of_a_server_is_left(
    room: Room, number: signal.Signals
) -> None:
    manners = (room.log, "children=1", "stay=1", "no_term=1")
    command = [sys.executable, "-c", EMBEDDING, sys.executable, "-I", "-S", str(PROGRAM), *manners]
    with started(command, room.path) as process:
        assert process.stdout is not None
        line = await trio.to_thread.run_sync(process.stdout.readline)
        assert line == b"entered\n"
        pids = [*room.heard("pid"), *room.heard("child")]
        assert len(pids) == 3
        assert all(map(is_alive, pids))
        process.send_signal(number)
        with trio.fail_after(5):
            await gone(*pids)
