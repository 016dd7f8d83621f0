"""The commands by name: each is a line of the help until it is called, and imported then.

The server, the client and the runtime are heavy: a command loads what it uses, and no other one's.
"""

import importlib
from typing import Any, Final

import click

__all__ = ["COMMANDS", "Later"]

_REMOTE: Final = "wingman.cli.remote"

# The module of each command, and the beginning of its help.
_TABLE: Final = {
    "serve": (
        "wingman.cli.serve",
        "Serve sessions over HTTP, until SIGINT or SIGTERM, or until its terminal goes away.",
    ),
    "run": ("wingman.cli.run", "Send one MESSAGE to a model and show what it does."),
    "demo": (
        "wingman.cli.demo",
        "Show a server at work, and cancel it in the middle of a tool call.",
    ),
    "config": (
        "wingman.cli.config_file",
        "Check a configuration file, or print its form for editors.",
    ),
    "ps": (
        _REMOTE,
        "List the runs that are in flight, those that wait for your permission, and those that "
        "wait for their turn.",
    ),
    "sessions": (_REMOTE, "List the sessions of a server, make them, and change them."),
    "show": (
        _REMOTE,
        "Show a SESSION with its history, and the runs that are in flight or wait.",
    ),
    "logs": (
        _REMOTE,
        "Show the events of a SESSION: its text, tool calls and results as they come.",
    ),
    "mcp": (_REMOTE, "List the MCP servers of a server, add them, and look at their tools."),
    "send": (_REMOTE, "Send a MESSAGE to a SESSION, and show what it does."),
    "cancel": (_REMOTE, "Cancel what a SESSION runs, or one RUN; print what has stopped."),
    "wait": (_REMOTE, "Wait for the end of a RUN, and print its response."),
    "permissions": (
        _REMOTE,
        "List the tool calls that wait for your permission, newest first.",
    ),
    "answer": (
        _REMOTE,
        "Answer the request with this ID: allow the call once, allow it and the like always, in "
        "its session, or reject it.",
    ),
    "agents": (_REMOTE, "List the agents of a server, make them, and change them."),
    "reload": (
        _REMOTE,
        "Have the server read its configuration file again, without touching a run.",
    ),
    "console": (
        _REMOTE,
        "Print the address of the server's console, to be opened in a browser.",
    ),
}


class Later(click.Command):
    """A command that is not imported yet: its name, and its line in the help."""

    def __init__(self, name: str, module: str, help: str) -> None:
        super().__init__(name, help=help)
        self._name = name
        self._module = module

    def load(self) -> click.Command:
        """Import it."""
        module: Any = importlib.import_module(self._module)
        command: click.Command = getattr(module, f"{self._name}_command")
        return command


COMMANDS: Final = {name: Later(name, *about) for name, about in _TABLE.items()}
"""All commands, in the order in which they are told of."""
