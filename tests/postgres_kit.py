"""A PostgreSQL of the tests' own: a private cluster on loopback and a socket, which they may break.

It is there where PostgreSQL's programs are; otherwise the tests that want it are skipped.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

import attrs
import psycopg
import pytest
import trio

from wingman.store.sql.schema import TABLES

__all__ = ["Cluster", "Proxy", "a_cluster", "emptied", "is_installed"]

_SETTINGS = """
unix_socket_directories = '{home}'
listen_addresses = '127.0.0.1'
port = {port}
max_connections = 60
shared_buffers = 32MB
max_wal_size = 256MB
log_min_messages = fatal
recovery_init_sync_method = syncfs
"""
_HBA = """
local all all trust
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""


def _programs() -> Path | None:
    """Where PostgreSQL's programs are: the newest version's."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    return max(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda path: float(path.parent.name),
        default=None,
    )


def is_installed() -> bool:
    """Whether there can be a cluster."""
    return _programs() is not None


@attrs.define(eq=False)
class Cluster:
    """A server that is running, unless a test has stopped it. Its superuser is `postgres`.

    `owner` is the user that it runs as, and `as_owner` begins a command that does, too.
    """

    home: Path
    port: int
    _programs: Path
    as_owner: Sequence[str]
    owner: str

    def url(self, database: str = "postgres", **options: str) -> str:
        """A database over the socket, as the superuser."""
        query = "&".join(f"{name}={quote(value)}" for name, value in options.items())
        return f"postgresql://postgres@{quote(str(self.home), safe='')}:{self.port}/{database}" + (
            f"?{query}" if query else ""
        )

    def tcp_url(self, database: str = "postgres", user: str = "postgres") -> str:
        """A database over loopback; `user` may have a password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What a statement gives, on a connection of its own."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def database(self, name: str, options: str = "") -> str:
        """The URL of a new database."""
        self.run(f'CREATE DATABASE "{name}" {options}')
        return self.url(name)

    def clear(self, database: str) -> None:
        """Remove all that is in a database, and its settings; its connections are cut."""
        self.end_backends(f"datname = '{database}'")
        self.run(f"ALTER DATABASE {database} RESET ALL")
        self.run(f"ALTER DATABASE {database} OWNER TO postgres")
        self.run("DROP SCHEMA IF EXISTS public, ada CASCADE", database)
        self.run("CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO public", database)

    def start(self) -> None:
        """Start the server, and return when it takes connections."""
        deadline = time.monotonic() + 30
        while not self._control("start", "-w", "-l", str(self.home / "log")):
            # One that was killed leaves processes that have not seen it yet.
            assert time.monotonic() < deadline, (self.home / "log").read_text()
            time.sleep(0.1)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `immediate` is as a crash, `fast` cuts all connections."""
        assert self._control("stop", "-m", mode), (self.home / "log").read_text()

    def kill(self) -> None:
        """Kill the server's first process; the others see it, and end."""
        os.kill(int((self.home / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def end_backends(self, where: str = "true") -> int:
        """Cut connections in the server; how many."""
        return len(
            self.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND {where}"
            )
        )

    def _control(self, *arguments: str) -> bool:
        data = str(self.home / "data")
        command = [*self.as_owner, str(self._programs / "pg_ctl"), "-s", "-D", data, *arguments]
        nothing = subprocess.DEVNULL
        return not subprocess.call(command, stdin=nothing, stdout=nothing, stderr=nothing, cwd="/")


@contextmanager
def a_cluster(settings: str = "") -> Iterator[Cluster]:
    """A new one, for as long as this is entered. Skips where PostgreSQL is not installed.

    `settings` are lines for its configuration.
    """
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's programs (initdb, pg_ctl) are not installed")
    home = Path(tempfile.mkdtemp(prefix="wingman-pg-"))  # short: a socket's path has 107 bytes
    as_whom: list[str] = []
    user = pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:  # PostgreSQL does not run as root
        user = next(name for name in ("postgres", "nobody") if _is_user(name))
        shutil.chown(home, user)
        as_whom = ["setpriv", f"--reuid={user}", "--clear-groups", f"--regid={_group(user)}"]
    cluster = Cluster(home, _free_port(), programs, as_whom, user)
    try:
        initdb = [str(programs / "initdb"), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        subprocess.run(
            [*as_whom, *initdb, "--locale=C", "--no-sync", "-D", str(home / "data")],
            check=True,
            capture_output=True,
            cwd="/",
        )
        with (home / "data" / "postgresql.conf").open("a") as file:
            file.write(_SETTINGS.format(home=home, port=cluster.port) + settings)
        (home / "data" / "pg_hba.conf").write_text(_HBA)
        cluster.start()
        try:
            yield cluster
        finally:
            if (home / "data" / "postmaster.pid").exists():
                cluster.stop("immediate")
    finally:
        shutil.rmtree(home)


@attrs.define(eq=False)
class Proxy:
    """Stands between a store and the server, and loses what goes over it when it is told to.

    An async context manager; the test's event loop does its work.
    """

    cluster: Cluster
    lose: Literal["requests", "answers"] | None = None
    """What is lost next; with it ends its connection, and no other one."""
    shut: bool = False
    """Whether new connections are cut at once."""
    port: int = attrs.field(default=0, init=False)
    _scopes: set[trio.CancelScope] = attrs.field(factory=set, init=False)
    _nursery: trio.Nursery = attrs.field(init=False)
    _manager: AbstractAsyncContextManager[trio.Nursery] = attrs.field(init=False)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    async def __aenter__(self) -> Self:
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        serve = partial(trio.serve_tcp, self._connected, 0, host="127.0.0.1")
        (listener,) = await self._nursery.start(serve)
        self.port = listener.socket.getsockname()[1]
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(*raised)

    def cut(self) -> None:
        """Cut all connections that there are."""
        for scope in self._scopes:
            scope.cancel()

    async def _connected(self, client: trio.SocketStream) -> None:
        async with client:
            if self.shut:
                return
            server = await trio.open_tcp_stream("127.0.0.1", self.cluster.port)
            with trio.CancelScope() as scope:
                self._scopes.add(scope)
                await self._between(client, server)
            self._scopes.discard(scope)

    async def _between(self, client: trio.SocketStream, server: trio.SocketStream) -> None:
        async with server, trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, client, server, "requests", nursery.cancel_scope)
            nursery.start_soon(self._pump, server, client, "answers", nursery.cancel_scope)

    async def _pump(
        self, source: trio.SocketStream, sink: trio.SocketStream, what: str, both: trio.CancelScope
    ) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in source:
                if self.lose == what:
                    self.lose = None
                    break
                await sink.send_all(data)
        both.cancel()


def emptied(url: str) -> str:
    """The same database, if Wingman's tables are in it without their rows."""
    with psycopg.connect(url) as connection:
        tables = b"SELECT count(*) FROM pg_tables WHERE tablename = 'wingman'"
        row = connection.execute(tables).fetchone()
        if row != (0,):
            for table in (*TABLES, "nodes"):
                connection.execute(f'DELETE FROM "{table}"'.encode())
    return url


def _is_user(name: str) -> bool:
    with suppress(KeyError):
        pwd.getpwnam(name)
        return True
    return False


def _group(user: str) -> str:
    return str(pwd.getpwnam(user).pw_gid)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
