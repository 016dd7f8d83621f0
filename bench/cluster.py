"""Cluster: durable turns over HTTP by one, two and three nodes that share a PostgreSQL database.

Each cluster is `wingman serve --nodes N` over a database of its own, in one private server with its
defaults. All of it is on this machine: the nodes, PostgreSQL and the client share its cores, and so
the CPU of the nodes stands beside the clock. A turn is direct where the node that is asked owns the
session, and forwarded where another one does.
"""

import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from bench._clients import Connection, request
from bench._machine import cpu_seconds
from bench._report import Row
from bench._rounds import Comparison, Contender, Figure, Took, compare
from bench._servers import Server, as_served, free_port, started

# The PostgreSQL server belongs to the tests, and pytest finds it there too.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from postgres_kit import Cluster, a_cluster, is_installed

CLIENTS: Final = 32
COUNTS: Final = (1, 2, 3)


@attrs.frozen
class Nodes:
    """A cluster: the port that its nodes share, the ports of each, and their processes."""

    shared: Server
    own: Sequence[Server]
    agent: str
    database: Server
    others: list[tuple[float, float]] = attrs.field(factory=list)
    """CPU seconds of a turn that PostgreSQL and the client took, of each measurement."""

    def cpu(self) -> float:
        """CPU seconds of all nodes so far."""
        return sum(map(cpu_seconds, self._processes()))

    def _processes(self) -> Iterator[int]:
        return iter((self.shared.pid,)) if len(self.own) == 1 else _children(self.shared.pid)

    def of_database(self) -> float:
        """CPU seconds of all PostgreSQL's processes so far."""
        seconds = 0.0
        for pid in _children(self.database.pid):
            with suppress(OSError):  # a worker that has ended meanwhile
                seconds += cpu_seconds(pid)
        return seconds

    @contextmanager
    def timed(self, watch: "Watch") -> Iterator[None]:
        """Time this block, on the clock and in CPU seconds of all nodes."""
        cpu, database, client = self.cpu(), self.of_database(), time.process_time()
        begin = time.perf_counter()
        yield
        watch.seconds = time.perf_counter() - begin
        watch.cpu = self.cpu() - cpu
        watch.database = self.of_database() - database
        watch.client = time.process_time() - client


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


@attrs.define
class Watch:
    """What a block took, of whom."""

    seconds: float = 0.0
    cpu: float = 0.0
    database: float = 0.0
    client: float = 0.0


@asynccontextmanager
async def serving(cluster: Cluster, count: int) -> AsyncIterator[Nodes]:
    """`wingman serve --nodes N`, until the block ends; it begins when all of them serve."""
    name, port = f"nodes{count}", free_port()
    url = cluster.database(name)
    command = [sys.executable, "-m", "wingman", "serve", "--port", str(port), "--db", url]
    async with started([*command, "--nodes", str(count)], port) as shared:
        own: list[str] = []
        with trio.fail_after(60):
            while len(own) < count:
                await trio.sleep(0.1)
                query = "SELECT url FROM nodes WHERE url IS NOT NULL ORDER BY seq"
                own = [url for (url,) in cluster.run(query, name)]
        servers = [Server("127.0.0.1", int(url.rpartition(":")[2]), shared.pid) for url in own]
        connection = await Connection.to(shared)
        about = {"name": "bench", "provider": {"id": "scripted"}}
        agent = json.loads(await connection.ask(request("POST", "/agents", about)))["id"]
        await connection.aclose()
        number = int((cluster.home / "data" / "postmaster.pid").read_text().split()[0])
        yield Nodes(shared, servers, agent, Server("127.0.0.1", cluster.port, number))


async def _session(connection: Connection, nodes: Nodes) -> str:
    """A new session of the node at the other end."""
    content = request("POST", "/sessions", {"agent_id": nodes.agent})
    return str(json.loads(await connection.ask(content))["id"])


async def turns(
    nodes: Nodes, asked: Sequence[Server], owners: Sequence[Server], times: int
) -> Took:
    """So many turns in each of some new sessions, all sessions at once: of each an owner, which
    makes it, and a server that is asked. What comes before the clock starts is a turn as well."""
    connections = [await Connection.to(server) for server in asked]
    messages: list[bytes] = []
    ids: list[str] = []
    for connection, server, owner in zip(connections, asked, owners, strict=True):
        maker = connection if owner is server else await Connection.to(owner)
        ids.append(await _session(maker, nodes))
        messages.append(request("POST", f"/sessions/{ids[-1]}/message", {"message": "go"}))
        await connection.ask(messages[-1])
        if maker is not connection:
            await maker.aclose()

    async def talk(connection: Connection, content: bytes) -> None:
        for _ in range(times):
            await connection.ask(content)

    watch = Watch()
    with nodes.timed(watch):
        async with trio.open_nursery() as nursery:
            for connection, content in zip(connections, messages, strict=True):
                nursery.start_soon(talk, connection, content)
    for connection, session in zip(connections, ids, strict=True):
        await connection.ask(request("DELETE", f"/sessions/{session}"))
        await connection.aclose()
    count = len(ids) * times
    nodes.others.append((watch.database / count, watch.client / count))
    return Took(watch.seconds / count, watch.cpu / count)


def _many(nodes: Nodes, times: int) -> Contender:
    """Turns over the shared port, where each client's node owns its session."""
    everybody = [nodes.shared] * CLIENTS
    return partial(turns, nodes, everybody, everybody, times)


def _asked_of(nodes: Nodes, clients: int, times: int, *, forwarded: bool) -> Contender:
    """Turns in sessions of the first node, asked of it, or of the second one."""
    first, second = nodes.own[:2]
    return partial(
        turns, nodes, [second if forwarded else first] * clients, [first] * clients, times
    )


async def _measured(
    cluster: Cluster, quick: bool
) -> tuple[Comparison, Sequence[tuple[float, float]]]:
    times = 5 if quick else 20
    async with AsyncExitStack() as stack:
        clusters = {
            count: await stack.enter_async_context(serving(cluster, count)) for count in COUNTS
        }
        two = clusters[2]
        work = {f"{count} nodes": _many(nodes, times) for count, nodes in clusters.items()}
        for clients, name in ((1, "one"), (CLIENTS, "many")):
            count = 3 * times if clients == 1 else times
            work |= {
                f"direct {name}": _asked_of(two, clients, count, forwarded=False),
                f"forwarded {name}": _asked_of(two, clients, count, forwarded=True),
            }
        found = await compare(work, rounds=3 if quick else 9)
        return found, clusters[1].others


def measure(quick: bool) -> list[Row]:
    """Measure all of it; some minutes, or less than one."""
    if not is_installed():
        return [Row.unmeasured("nodes that share a database", "PostgreSQL is not installed")]
    with a_cluster() as cluster, as_served():
        found, others = trio.run(_measured, cluster, quick)
    database, client = zip(*others, strict=True)
    rows = [
        Row("CPUs of this machine", float(len(os.sched_getaffinity(0)))),
        Row("a turn's CPU, of PostgreSQL", Figure.of(database) * 1e6, "µs"),
        Row("a turn's CPU, of the client", Figure.of(client) * 1e6, "µs"),
    ]
    for count in COUNTS:
        name, key = f"turns, {count} node{'s' * (count > 1)}", f"{count} nodes"
        rows.append(Row(name, found.rate(key), "a second"))
        rows.append(Row(f"{name}, CPU of the nodes", found.each(key, "cpu") * 1e6, "µs"))
        if count > 1:
            rows.append(Row(name, found.speed(key, "1 nodes"), "×", "1 node"))
    for key, name in (("one", "one at a time"), ("many", f"{CLIENTS} at once")):
        direct, forwarded = f"direct {key}", f"forwarded {key}"
        dearer = found.dearness(forwarded, direct, by="cpu")
        rows += [
            Row(f"direct turn, {name}", found.each(direct) * 1e3, "ms"),
            Row(f"forwarded turn, {name}", found.each(forwarded) * 1e3, "ms"),
            Row(f"forwarded turn, {name}", found.dearness(forwarded, direct), "×", "direct"),
            Row(f"forwarded turn, {name}, CPU", dearer, "×", "direct"),
        ]
    return rows
