"""Three nodes over one database, behind nginx with the configuration of `examples/cluster`."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import httpx
import psycopg

from wingman.client import Client, Patience

__all__ = ["Behind", "Node", "behind_nginx", "nginx_program"]

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "cluster"
TOKEN = "open-sesame"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE = 30.0

_MAIN = """
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log notice; {user}
events {{ worker_connections 512; }}
http {{
    access_log {home}/access.log; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    include {home}/wingman.conf;
}}
"""


def nginx_program() -> str | None:
    """Where nginx is."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@attrs.define(eq=False)
class Node:
    """One `wingman serve`, as often as it is started."""

    port: int
    database: str
    home: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `wait` waits until it is ready."""
        arguments = ("--port", str(self.port), "--db", self.database, "--grace", "5")
        with (self.home / f"{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wingman", "serve", *arguments],
                env={**os.environ, "HOME": str(self.home), "WINGMAN_TOKEN": TOKEN},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def wait(self) -> None:
        """Return when it takes messages."""
        deadline = time.monotonic() + PATIENCE
        url = f"http://127.0.0.1:{self.port}/ready"
        while not _is_good(url):
            assert time.monotonic() < deadline, (self.home / f"{self.port}.log").read_text()
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, and wait for its end; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@attrs.frozen(eq=False)
class Behind:
    """What is behind nginx, which listens at `url`."""

    url: str
    nodes: Sequence[Node]
    database: str

    def client(self) -> Client:
        """A client that knows nginx alone; `async with` it."""
        return Client(self.url, TOKEN, patience=Patience(seconds=PATIENCE))

    def http(self) -> httpx.AsyncClient:
        """The same without anything that tries again."""
        return httpx.AsyncClient(
            base_url=self.url, headers=HEADERS, trust_env=False, timeout=PATIENCE
        )

    def owner_of(self, session_id: str) -> Node:
        """The node that owns a session, by the database's own record."""
        query = (
            b"SELECT nodes.url FROM sessions JOIN nodes ON nodes.seq = sessions.node"
            b" WHERE sessions.id = %s"
        )
        with psycopg.connect(self.database) as connection:
            row = connection.execute(query, (session_id,)).fetchone()
        assert row is not None
        return next(node for node in self.nodes if str(row[0]).endswith(f":{node.port}"))


@contextmanager
def behind_nginx(database: str, home: Path, nginx: str) -> Iterator[Behind]:
    """Three nodes that are ready, and nginx before them."""
    front, *ports = _free_ports(4)
    nodes = [Node(port, database, home) for port in ports]
    _configure(home, front, ports)
    balancer = subprocess.Popen([nginx, "-p", str(home), "-c", str(home / "nginx.conf")])
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait()
        yield Behind(f"http://127.0.0.1:{front}", nodes, database)
    finally:
        for node in nodes:
            if node.process is not None:
                node.process.kill()
                node.process.wait()
        balancer.terminate()
        balancer.wait(PATIENCE)


def _configure(home: Path, front: int, ports: Sequence[int]) -> None:
    """Write the example with the addresses of this machine, and what nginx needs around it."""
    text = (EXAMPLES / "nginx.conf").read_text()
    text = _replaced(text, "listen 80;", f"listen 127.0.0.1:{front};")
    for number, port in enumerate(ports, 1):
        text = _replaced(text, f"server node{number}:2323 ", f"server 127.0.0.1:{port} ")
    (home / "wingman.conf").write_text(text)
    user = "user root;" if os.getuid() == 0 else ""  # else it would give its files away
    (home / "nginx.conf").write_text(_MAIN.format(home=home, user=user))


def _replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _is_good(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, verify=False, headers=HEADERS).status_code == 200
    except httpx.HTTPError:
        return False
