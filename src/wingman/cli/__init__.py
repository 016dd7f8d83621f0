"""The command line: `wingman serve`, `wingman run`, `wingman demo`, and a server's sessions.

It knows how to print, how to be interrupted, and how to tell an error in one line; what the
commands do is done by the packages below. Exit codes: 0, 1 for what failed, 2 for wrong usage, and
128 + n where signal n ended it.
"""

# The map:
#
#   serve.py       the server, until a signal
#   listening.py   its sockets
#   nodes.py       several of its processes on one port: who starts them
#   node.py        such a process, and what it knows of who has started it
#   run.py         one message in the terminal
#   run_agent.py   the same, with an agent of the configuration file or of a server
#   one_message.py how it is sent and shown
#   demo.py        a server and its client, checked step by step
#   transcript.py  what a client asks and what comes back, shown by the demo
#   config_file.py the configuration file checked, and its form
#   configuration.py  the configuration file as an option
#   reloading.py   that file read again, while the server runs
#   signals.py     what ends a server, and what has it read its configuration again
#   remote/        what a server runs and keeps: ps, show, send, permissions, answer, …
#   asking.py      the calls that need permission, asked in the terminal
#   proposal.py    what such a call would do, to be read
#   question.py    what a tool that runs wants to know, and the answer
#   terminal.py    keys, lines and an editor
#   interrupt.py   a run in the terminal, and the signals that end it
#   limits.py      the runtime's limits as options
#   rules.py       the rules of permissions as an option
#   prices.py      a file of models' prices as an option
#   environment.py options that are environment variables as well
#   console.py     how a run looks in a terminal
#   stdin.py       what is piped into a run
#   output.py      what is printed, and what if that cannot be written
#   program.py     how this program is called
#   launch.py      from click into Trio; errors come back as one line
#   processes.py   which processes there are

import io
import os
import signal
import sys
from typing import Any

import click

from wingman.cli.config_file import config_command
from wingman.cli.demo import demo_command
from wingman.cli.output import Group, occupy_closed_streams
from wingman.cli.program import program
from wingman.cli.remote import (
    agents_command,
    answer_command,
    cancel_command,
    console_command,
    logs_command,
    mcp_command,
    permissions_command,
    ps_command,
    reload_command,
    send_command,
    sessions_command,
    show_command,
    wait_command,
)
from wingman.cli.run import run_command
from wingman.cli.serve import serve_command

__all__ = ["main"]


class _Program(Group):
    """The program, which is called by the name that it can be called by again."""

    def make_context(self, info_name: str | None, *args: Any, **settings: Any) -> click.Context:
        """Parse the arguments."""
        return super().make_context(program(), *args, **settings)

    def invoke(self, context: click.Context) -> Any:
        """Run a command; Ctrl-C ends it as a shell expects."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            return context.exit(128 + signal.SIGINT)


@click.group(
    cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="wingman-runtime", message="wingman %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Wingman runs LLM agents: sessions with tools, each an actor, cancelled when you say so."""
    occupy_closed_streams()
    # https://no-color.org, and terminals that know no colours
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        context.color = False
    for stream in (sys.stdout, sys.stderr):
        # An arrow that the terminal's encoding lacks is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


main.add_command(serve_command)
main.add_command(run_command)
main.add_command(demo_command)
main.add_command(config_command)
for command in (
    ps_command,
    sessions_command,
    show_command,
    logs_command,
    mcp_command,
    send_command,
    cancel_command,
    wait_command,
    permissions_command,
    answer_command,
    agents_command,
    reload_command,
    console_command,
):
    main.add_command(command)
