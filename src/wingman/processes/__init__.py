"""Processes: a command that Wingman starts, and ends with all that descends from it.

    command.py   one command, from   kept.py (under a keeper, which `keeping` is the program of)
                                     groups.py (in a process group, where there are no keepers)
                                     environment.py (what it finds: no keys, no terminal)
                                     output.py (its head and tail, in bounded memory)
                                     screen.py (what a terminal would show of it)
    descriptors.py  how many of them this process may have, and a command
    worker.py    foreign data, worked on within limits in a process of its own
    callers.py   which sessions wait for a command
    sockets.py   which socket of this machine is at one end of a connection
    board.py     which processes share a port, and whether they run commands
    keeping/     the program that starts the commands and holds on to their descendants
    working/     the program of a worker

This package knows nothing of tools, models or sessions: whoever starts a command decides what it
may do, who hears its output, and what its failure means.
"""

from wingman.processes.board import Board
from wingman.processes.callers import Address, commands, environment_of
from wingman.processes.command import (
    CannotStart,
    Child,
    Completed,
    ending,
    run_command,
    start_child,
)
from wingman.processes.descriptors import raise_limit
from wingman.processes.environment import child_environment
from wingman.processes.output import Output, clip
from wingman.processes.worker import WorkerError, WorkerFailed, WorkerRefused, run_worker

__all__ = [
    "Address",
    "Board",
    "CannotStart",
    "Child",
    "Completed",
    "Output",
    "WorkerError",
    "WorkerFailed",
    "WorkerRefused",
    "child_environment",
    "clip",
    "commands",
    "ending",
    "environment_of",
    "raise_limit",
    "run_command",
    "run_worker",
    "start_child",
]
