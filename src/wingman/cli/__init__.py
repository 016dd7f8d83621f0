"""The command line: `wingman serve`, `wingman run`, `wingman demo`, and a server's sessions.

It knows how to print, how to be interrupted, and how to tell an error in one line; what the
commands do is done by the packages below. Exit codes: 0, 1 for what failed, 2 for wrong usage, and
128 + n where signal n ended it.
"""

# The map:
#
#   serve.py      the server, until a signal
#   run.py        one message in the terminal
#   demo.py       a server and its client, checked step by step
#   wire.py       the demo's client, which shows what goes over the wire
#   remote/       what a server runs and keeps: ps, sessions, show, logs, send, cancel, wait, agents
#   interrupt.py  a run in the terminal, and the signals that end it
#   limits.py     the runtime's limits as options
#   prices.py     a file of models' prices as an option
#   console.py    how a run looks in a terminal
#   launch.py     from click into Trio; errors come back as one line
#   processes.py  which processes there are

import io
import os
import sys

import click

from wingman.cli.demo import demo_command
from wingman.cli.remote import (
    agents_command,
    cancel_command,
    logs_command,
    ps_command,
    send_command,
    sessions_command,
    show_command,
    wait_command,
)
from wingman.cli.run import run_command
from wingman.cli.serve import serve_command

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="wingman-runtime", message="wingman %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Wingman runs LLM agents: sessions with tools, each an actor, cancelled when you say so."""
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        context.color = False
    for stream in (sys.stdout, sys.stderr):
        # An arrow that the terminal's encoding lacks is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


main.add_command(serve_command)
main.add_command(run_command)
main.add_command(demo_command)
for command in (
    ps_command,
    sessions_command,
    show_command,
    logs_command,
    send_command,
    cancel_command,
    wait_command,
    agents_command,
):
    main.add_command(command)
