"""SIGHUP: the configuration is read again, unless the terminal has gone that Wingman is in."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from cli.terminal import PATIENCE

SERVE = f"exec {sys.executable} -m wingman serve --port 0 --db memory 2> log"
READ_AGAIN = "the configuration was read again"


@attrs.define(eq=False)
class Terminal:
    """A shell command that has a terminal of its own, and what its log says."""

    process: "subprocess.Popen[bytes]"
    leader: int
    home: Path

    def says(self, text: str, times: int = 1) -> None:
        """Wait until the log has this text."""
        self.until(lambda: (self.home / "log").read_text().count(text) >= times)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, (self.home / "log").read_text()
            time.sleep(0.02)

    def close(self) -> None:
        """As a window that is closed, or a connection that is lost."""
        os.close(self.leader)
        self.leader = -1


@contextmanager
def terminal(home: Path, command: str) -> Iterator[Terminal]:
    place = home / ".config" / "wingman" / "wingman.toml"
    place.parent.mkdir(parents=True)
    place.write_text("")
    place.chmod(0o600)
    (home / "log").touch()
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        ["/bin/bash", "-c", command],
        stdin=follower,
        stdout=follower,
        cwd=home,
        env={**os.environ, "HOME": str(home)},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(follower)
    opened = Terminal(process, leader, home)
    try:
        opened.says("Permissions: ")
        yield opened
    finally:
        if opened.leader >= 0:
            opened.close()
        process.kill()
        process.wait()


def test_it_reads_the_configuration_again_and_ends_in_order_when_its_terminal_goes(
    tmp_path: Path,
) -> None:
    with terminal(tmp_path, SERVE) as opened:
        opened.process.send_signal(signal.SIGHUP)
        opened.says(READ_AGAIN)
        opened.process.send_signal(signal.SIGHUP)
        opened.says(READ_AGAIN, times=2)
        assert opened.process.poll() is None
        opened.close()
        assert opened.process.wait(PATIENCE) == 0
        opened.says("stopped")


def test_in_a_shell_whose_terminal_goes_it_ends_as_well(tmp_path: Path) -> None:
    with terminal(tmp_path, f"{SERVE.removeprefix('exec ')}; true") as opened:
        opened.close()
        opened.says("stopped")


def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    with terminal(tmp_path, f"trap '' HUP; {SERVE}") as opened:
        opened.close()
        opened.process.send_signal(signal.SIGHUP)
        opened.says(READ_AGAIN)
        assert opened.process.poll() is None
        opened.process.terminate()
        assert opened.process.wait(PATIENCE) == 0


def test_while_it_shuts_down_a_hang_up_interrupts_nothing(tmp_path: Path) -> None:
    with terminal(tmp_path, SERVE) as opened:
        opened.process.send_signal(signal.SIGTERM)
        opened.process.send_signal(signal.SIGHUP)
        assert opened.process.wait(PATIENCE) == 0
