"""The server from the terminal: what runs, what was said, and how to stop it.

    server.py    which server, and with which token; errors as one line and an exit code
    output.py    tables for people, lines of JSON for programs
    ps.py        what runs, and what waits
    sessions.py  the sessions; one of them, readable
    history.py   how a history is shown
    logs.py      a session's events
    send.py      a message to a session, which may be there for it alone
    stopping.py  cancel, and wait for the end
    permissions.py  what waits for a person's permission, and the answers
    agents.py    the agents
    mcp.py       its MCP servers
    reload.py    its configuration, read again
    console.py   the link to the page

The commands use the client, and know nothing of HTTP. Each is imported when it is called.
"""

from typing import TYPE_CHECKING, Final

from wingman.lazy import lazily

if TYPE_CHECKING:
    from wingman.cli.remote.agents import agents_command
    from wingman.cli.remote.console import console_command
    from wingman.cli.remote.logs import logs_command
    from wingman.cli.remote.mcp import mcp_command
    from wingman.cli.remote.permissions import answer_command, permissions_command
    from wingman.cli.remote.ps import ps_command
    from wingman.cli.remote.reload import reload_command
    from wingman.cli.remote.send import run_on_server, send_command, send_to
    from wingman.cli.remote.server import talk
    from wingman.cli.remote.sessions import sessions_command, show_command
    from wingman.cli.remote.stopping import cancel_command, wait_command

__all__ = [
    "agents_command",
    "answer_command",
    "cancel_command",
    "console_command",
    "logs_command",
    "mcp_command",
    "permissions_command",
    "ps_command",
    "reload_command",
    "run_on_server",
    "send_command",
    "send_to",
    "sessions_command",
    "show_command",
    "talk",
    "wait_command",
]

_HOMES: Final = {
    "agents_command": "wingman.cli.remote.agents",
    "answer_command": "wingman.cli.remote.permissions",
    "cancel_command": "wingman.cli.remote.stopping",
    "console_command": "wingman.cli.remote.console",
    "logs_command": "wingman.cli.remote.logs",
    "mcp_command": "wingman.cli.remote.mcp",
    "permissions_command": "wingman.cli.remote.permissions",
    "ps_command": "wingman.cli.remote.ps",
    "reload_command": "wingman.cli.remote.reload",
    "run_on_server": "wingman.cli.remote.send",
    "send_command": "wingman.cli.remote.send",
    "send_to": "wingman.cli.remote.send",
    "sessions_command": "wingman.cli.remote.sessions",
    "show_command": "wingman.cli.remote.sessions",
    "talk": "wingman.cli.remote.server",
    "wait_command": "wingman.cli.remote.stopping",
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
