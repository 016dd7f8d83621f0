"""The crash harness on a cluster: several nodes and their database have one fault after another,
while many clients work.

    harness.py    ClusterHarness: rounds of faults; after each all comes to rest
    rest.py       what must hold then
    faults.py     which faults there are
    strikes.py    when they happen, and to whom, and what is measured of each
    node.py       a node: its process and its wire
    wire.py       the way from a node to the database, which can be cut or fall silent
    balancer.py   what clients talk to
    relay.py      bytes both ways, for these two
    patience.py   waiting for what has no event
    probes.py     how long sessions do not answer
    audit.py      what the database records of each write
    ownership.py  what must hold of that
    look.py       what each node says of each session

The clients, their book and the laws are those of the harness for one server.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import attrs
import httpx
import trio

from crash.book import Book, Findings, Known
from crash.clients import Agents, Client, make_agents
from crash.cluster.audit import install, living
from crash.cluster.balancer import Balancer
from crash.cluster.faults import Fault, choose_fault
from crash.cluster.node import Node
from crash.cluster.probes import Probes, Times
from crash.cluster.rest import Rest
from crash.cluster.strikes import Strikes
from crash.cluster.wire import Wire
from crash.follower import Follower
from crash.marks import NAME, definition
from postgres_kit import Cluster

__all__ = ["ClusterHarness"]


@attrs.define(eq=False)
class ClusterHarness:
    """Have faults befall a cluster of `size` nodes; `findings` says what was wrong, and `times` how
    long sessions did not answer.

    `postgres` is a server that it may break, with the setting `track_commit_timestamp`. After each
    `round` of faults all comes to rest, and is looked at. `pause` is the longest rest of a client
    between two things, and `together` how many of all faults may begin beside another one.
    """

    directory: Path
    postgres: Cluster
    seed: int = 0
    size: int = 3
    clients: int = 16
    round: int = 8
    pause: float = 0.4
    together: float = 0.7
    findings: Findings = attrs.field(factory=Findings)
    times: Times = attrs.field(factory=Times)
    nodes: list[Node] = attrs.field(factory=list)
    balancer: Balancer = attrs.field(factory=Balancer)
    book: Book = attrs.field(init=False)
    random: Random = attrs.field(init=False)
    rest: Rest = attrs.field(init=False)
    strikes: Strikes = attrs.field(init=False)
    _followers: dict[str, Follower] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        # Some fault may always just be there: a receipt may say that something still runs.
        self.book = Book(self.directory / "logs", self.findings, store_fails=True)
        self.random = Random(self.seed)
        self.rest = Rest(self.nodes, self._database, self.book, self._followers, self.findings)
        self.strikes = Strikes(
            self.nodes, self.postgres, self.random, self.together, self.findings, self.times
        )
        for path in (self.book.logs, self.work_dir):
            path.mkdir(parents=True, exist_ok=True)

    @property
    def work_dir(self) -> Path:
        """Where sessions are: the same directory for all nodes."""
        return self.directory / "work"

    @property
    def _database(self) -> str:
        return self.postgres.url("crash")

    def choose(self, faults: int) -> Sequence[Fault]:
        """So many at random."""
        return [choose_fault(self.random) for _ in range(faults)]

    async def run(self, faults: Sequence[Fault]) -> None:
        """Start the cluster; let the faults happen, round by round; then stop it."""
        await trio.to_thread.run_sync(self.postgres.database, "crash")
        async with trio.open_nursery() as nursery:
            await nursery.start(self.balancer.serve)
            for number in range(1, self.size + 1):
                wire = Wire(self.postgres.port)
                await nursery.start(wire.serve)
                node = Node(
                    f"node{number}", wire, "crash", self.directory, self.balancer, self.findings
                )
                self.nodes.append(node)
            try:
                await self._begin(nursery)
                for done in range(0, len(faults), self.round):
                    some = faults[done : done + self.round]
                    await self._round(nursery, some)
                    self._say(done + len(some))
                await self._stop_all()
            finally:
                with trio.CancelScope(shield=True):
                    for node in self.nodes:
                        await node.end()
            nursery.cancel_scope.cancel()
        for run in [run for rows in self.rest.before.sessions.values() for run in rows.runs]:
            self.findings.done[f"runs {run.status}"] += 1
        self.findings.done["runs acknowledged"] = len(self.book.by_run)

    async def _begin(self, nursery: trio.Nursery) -> None:
        await self.nodes[0].start(nursery)  # it makes the tables
        await trio.to_thread.run_sync(install, self._database)
        async with trio.open_nursery() as starting:
            for node in self.nodes[1:]:
                starting.start_soon(node.start, nursery)
        for node in self.nodes:
            await node.until_ready()

    # --- a round ---------------------------------------------------------------------------------

    async def _round(self, nursery: trio.Nursery, faults: Sequence[Fault]) -> None:
        # A connection for each request, so that each may go to another node.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with (
            httpx.AsyncClient(base_url=self.balancer.url, timeout=90, limits=limits) as http,
            trio.open_nursery() as readers,
        ):
            agents = await self._agents(http)
            probes = Probes(
                http, self.findings, self.times, agents.plain, self.work_dir, self._database
            )

            def follow(known: Known) -> None:
                if known.followed:
                    readers.start_soon(self._follow, http, known)

            for known in self.book.usable():
                follow(known)
            async with trio.open_nursery() as clients:
                for _ in range(self.clients):
                    random = Random(self.random.random())
                    work_dirs = [self.work_dir]
                    client = Client(http, self.book, random, agents, work_dirs, follow, self.pause)
                    clients.start_soon(client.stay)
                await trio.sleep(0.5)
                await self.strikes.have(nursery, probes, faults)
                clients.cancel_scope.cancel()
            ended = trio.current_time()
            await self.rest.come(http)
            self.times.add("all runs have ended after the last fault", trio.current_time() - ended)
            await self.rest.look()
            readers.cancel_scope.cancel()

    async def _agents(self, http: httpx.AsyncClient) -> Agents:
        found = (await http.get("/agents")).json()
        if not found:
            await http.put(f"/mcp/{NAME}", json=definition("CLUSTER"))
            return await make_agents(http)
        ids = {agent["name"]: str(agent["id"]) for agent in found}
        return Agents(ids["Victim"], ids["Served"])

    async def _follow(self, http: httpx.AsyncClient, known: Known) -> None:
        """Follow it for ever: a reader whose node is gone goes on at another one."""
        if known.id not in self._followers:
            random = Random(self.random.random())
            self._followers[known.id] = Follower(known, self.book, random, moves=True)
        while not known.deleted:
            await self._followers[known.id].follow(http)
            await trio.sleep(0.1)

    async def _stop_all(self) -> None:
        """All are told to stop, and leave by themselves; all that was acknowledged is there."""
        numbers = await trio.to_thread.run_sync(living, self._database)
        self.findings.check(len(numbers) == self.size, f"nodes {numbers} live, of {self.size}")
        async with trio.open_nursery() as nursery:
            for node in self.nodes:
                nursery.start_soon(node.drain)
        await self.rest.look_at_the_database()

    def _say(self, faults: int) -> None:
        done = self.findings.done
        print(
            f"{faults} faults, {done['messages sent']} messages, "
            f"{done['acknowledgements']} acknowledged, {done['events']} events, "
            f"{len(self.findings.wrong)} findings",
            flush=True,
        )
