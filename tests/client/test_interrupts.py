"""Ctrl-C in a call that blocks cancels the run on the server."""

import signal
import subprocess
import sys

import anyio

from client.troupe import NAME
from client.worlds import served
from wingman.client import Client

PROGRAM = """
import sys
from wingman.client import SyncClient
with SyncClient(sys.argv[1]) as client:
    session = client.create_session(sys.argv[2])
    print(session.id, flush=True)
    try:
        session.run("!hang on")
    except KeyboardInterrupt:
        print(session.describe().status, flush=True)
"""


def test_ctrl_c_cancels_the_run_that_is_waited_for() -> None:
    with served() as url:
        program = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, url, NAME],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert program.stdout is not None
        session_id = program.stdout.readline().strip()

        async def until_it_runs() -> None:
            async with Client(url) as client:
                with anyio.fail_after(20):
                    while (await client.describe(session_id)).status != "running":  # noqa: ASYNC110
                        await anyio.sleep(0.02)

        anyio.run(until_it_runs)
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=20)
        assert out.strip() == "idle"
        assert program.returncode == 0
