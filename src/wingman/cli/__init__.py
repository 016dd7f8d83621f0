"""The command line: `wingman serve`, `wingman run`, `wingman demo`, and a server's sessions.

It knows how to print, how to be interrupted, and how to tell an error in one line; what the
commands do is done by the packages below. Exit codes: 0, 1 for what failed, 2 for wrong usage, and
128 + n where signal n ended it.
"""

# The map:
#
#   commands.py    the commands by name, each imported when it is called
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
#   garbage.py     when Python looks for garbage
#   left_out.py    what libraries would import, and no command uses

import io
import os
import signal
import sys
from typing import Any

import click

from wingman.cli.commands import COMMANDS, Later
from wingman.cli.garbage import collect_seldom
from wingman.cli.left_out import HTTPX_PROGRAM, left_out
from wingman.cli.output import Group, occupy_closed_streams
from wingman.cli.program import program

__all__ = ["main"]


class _Program(Group):
    """The program, which is called by the name that it can be called by again."""

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """Be this process's program: whoever has it do something among other things uses `main`."""
        collect_seldom()
        return super().__call__(*args, **settings)

    def make_context(self, info_name: str | None, *args: Any, **settings: Any) -> click.Context:
        """Parse the arguments."""
        return super().make_context(program(), *args, **settings)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called, and import it."""
        name, command, rest = super().resolve_command(context, args)
        context.with_resource(left_out(HTTPX_PROGRAM))
        return name, command.load() if isinstance(command, Later) else command, rest

    def invoke(self, context: click.Context) -> Any:
        """Run a command; Ctrl-C ends it as a shell expects."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            return context.exit(128 + signal.SIGINT)


@click.group(
    cls=_Program,
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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
