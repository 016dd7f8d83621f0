"""The program: the spawner, as it must be before it serves. Run by path, with no site-packages.

Its argument, if it has one, is the soft limit of descriptors of the commands: its own may be a
server's.
"""

# ruff: noqa: PTH100, PTH110, PTH120
# (the imports stand below what they need; nothing else here needs pathlib)

import gc
import os
import signal
import socket
import sys
from types import ModuleType

if __name__ == "__main__":
    # The modules have the house's names, but its packages, and all that they import, are not run.
    _directory = os.path.dirname(os.path.abspath(__file__))
    for _name in ("wingman.processes", "wingman"):
        _directory = os.path.dirname(_directory)
        sys.modules[_name] = ModuleType(_name)
        sys.modules[_name].__path__ = [_directory]

from wingman.processes.keeping.descent import adopt_orphans
from wingman.processes.keeping.spawner import Spawner

# Meant for Wingman's terminal or its service, or for the keeper by its command.
IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def main() -> None:
    """Be the spawner."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir("/")
    if not os.path.exists("/proc/self/task"):
        sys.exit("Wingman's commands need /proc, to be found again.")
    adopt_orphans()
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # it must be handled to wake anybody
    gc.disable()  # a collection would copy the pages that keepers share
    files = int(sys.argv[1]) if len(sys.argv) > 1 else None
    Spawner(socket.socket(fileno=0), server_pidfd(), files).run()


def server_pidfd() -> int | None:
    """Ready to be read when Wingman is gone; a forked child of it may hold its sockets open."""
    try:
        return os.pidfd_open(os.getppid())
    except OSError:  # not known to this kernel, or not permitted: then the sockets must do
        return None


if __name__ == "__main__":
    main()
