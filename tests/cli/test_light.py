"""What a command loads: what it uses. All of Wingman takes a second, and a help text no tenth."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cli.terminal import Command, wingman
from wingman.cli.commands import COMMANDS

CLIENT = {"wingman.client", "httpx", "httpcore"}
RUNTIME = {f"wingman.{name}" for name in ("config", "providers", "run", "runtime", "session")} | {
    "wingman.store",
    "wingman.tools",
}
SERVER = {"wingman.server", "quart", "hypercorn", "prometheus_client"}
# Who prints a table, fetches a page, looks at a picture or opens a database loads it then.
SELDOM = {"rich", "pygments", "PIL", "tree_sitter", "mcp", "pydantic", "sqlite3", "psycopg"}


def test_the_help_has_for_each_command_what_that_says_of_itself() -> None:
    for name, later in COMMANDS.items():
        command = later.load()
        assert command.name == name
        assert later.get_short_help_str(500) == command.get_short_help_str(500)


def loaded(command: Command) -> set[str]:
    """The modules that a command has loaded: Python tells of each."""
    return set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", command.err, re.MULTILINE))


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (["--help"], CLIENT | RUNTIME | SERVER | SELDOM | {"trio", "msgspec", "attrs"}),
        (["--version"], CLIENT | RUNTIME | SERVER | SELDOM | {"trio", "msgspec", "attrs"}),
        (["ps", "--help"], RUNTIME | SERVER | SELDOM | {"httpx", "httpcore"}),
        (["serve", "--help"], SERVER | SELDOM | {"wingman.client", "httpcore"}),
        (["config", "--help"], SERVER | SELDOM | {"wingman.client", "httpcore"}),
    ],
    ids=["all", "version", "ps", "serve", "config"],
)
async def test_a_help_text_loads_no_more_than_it_says(
    arguments: list[str], unused: set[str], tmp_path: Path
) -> None:
    async with wingman(*arguments, home=tmp_path, PYTHONPROFILEIMPORTTIME="1") as command:
        assert await command.ended() == 0
    names = loaded(command)
    assert "wingman.cli" in names
    assert not unused & names


@contextmanager
def a_server_that_knows_nobody() -> Iterator[str]:
    """Its URL."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_about: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_command_that_talks_to_a_server_loads_no_part_of_one(tmp_path: Path) -> None:
    with a_server_that_knows_nobody() as url:
        ps = wingman("ps", "--server", url, home=tmp_path, PYTHONPROFILEIMPORTTIME="1")
        async with ps as command:
            assert await command.ended() == 1
    names = loaded(command)
    assert "httpcore" in names  # it has asked
    assert not (RUNTIME | SERVER | SELDOM | {"h2"}) & names


async def test_a_server_that_listens_has_not_loaded_what_nobody_has_asked_for(
    tmp_path: Path,
) -> None:
    serve = wingman(
        *("serve", "--port", "0", "--db", "memory"), home=tmp_path, PYTHONPROFILEIMPORTTIME="1"
    )
    async with serve as command:
        await command.says("Wingman listens")
        command.process.terminate()
        assert await command.ended() == 0
    names = loaded(command)
    assert "hypercorn" in names
    parts = {"wingman.permissions.shell", "wingman.tools.fetching", "wingman.api.openapi"}
    assert not (SELDOM | parts | {"wingman.client", "httpcore"}) & names
