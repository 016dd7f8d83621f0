"""A cluster keeps its promises: a short run of the harness (`python -m bench.crash --cluster` is
the long one), and whether its laws find what they are for."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest
import trio

from crash.book import Findings
from crash.cluster.audit import Write, first_move, install, owner, take_writes
from crash.cluster.balancer import Balancer
from crash.cluster.faults import Fault
from crash.cluster.harness import ClusterHarness
from crash.cluster.ownership import Ownership
from crash.cluster.patience import until
from crash.cluster.wire import Wire
from postgres_kit import Cluster, a_cluster


@pytest.fixture(scope="module")
def breakable() -> Iterator[Cluster]:
    """A server of these tests alone, which they stop and kill."""
    with a_cluster("track_commit_timestamp = on") as breakable:
        yield breakable


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_cluster_under_faults_keeps_its_promises(
    tmp_path: Path, breakable: Cluster
) -> None:
    harness = ClusterHarness(tmp_path, breakable, seed=1, clients=6, together=1.0)
    faults = (
        Fault("killed", 0.1),
        Fault("stopped", 1.0),
        Fault("cut off", 0.3),
        Fault("silent", 0.5),
        Fault("PostgreSQL killed", 0.1),
        Fault("drained", 0.1),
    )
    await harness.run(faults)
    assert harness.findings.wrong == []
    done = harness.findings.done
    assert sum(times for what, times in done.items() if what.startswith("faults: ")) == len(faults)
    assert done["acknowledgements"] > 10
    assert done["sessions taken"] > 0
    assert done["followers that saw all"] > 0


# --- the laws, and the record that they go by -----------------------------------------------------


def replayed(*rows: tuple[int, str, int | None, int | None, bool]) -> list[str]:
    """What is found in commits of one write each: the node, what, and whose the session was."""
    findings = Findings()
    start = datetime.now(UTC)
    writes = [
        Write(
            str(number),
            start + timedelta(seconds=number),
            node,
            what,
            "S",
            "R",
            before,
            after,
            held,
        )
        for number, (node, what, before, after, held) in enumerate(rows)
    ]
    Ownership(findings).replay(writes)
    return findings.wrong


CREATED = (1, "session created", None, 1, False)
TAKEN = (2, "session moved", 1, 2, False)


def test_a_session_that_goes_from_a_dead_node_to_another_one_is_no_finding() -> None:
    released = (2, "session moved", 2, None, True)
    claimed = (3, "session moved", None, 3, False)
    message = (3, "message", None, None, False)
    assert replayed(CREATED, TAKEN, released, claimed, message) == []


def test_two_owners_at_once_are_found() -> None:
    assert "after its sessions were taken" in str(
        replayed(CREATED, TAKEN, (1, "message", None, None, False))
    )
    assert "lock was held" in str(replayed(CREATED, (2, "session moved", 1, 2, True)))
    assert "and it is that of" in str(replayed(CREATED, (2, "message", None, None, False)))
    assert "for others to do" in str(replayed(CREATED, (2, "session moved", 1, None, False)))
    started = (1, "run started", None, None, False)
    assert "started twice" in str(replayed(CREATED, started, started))


def test_the_record_tells_which_node_has_written_and_whether_the_former_owner_lived(
    breakable: Cluster,
) -> None:
    url = breakable.database("record")
    with psycopg.connect(url, autocommit=True) as first:
        first.execute(
            "CREATE TABLE nodes (seq bigint); CREATE TABLE sessions (id text, node bigint);"
            "CREATE TABLE runs (id text, session_id text, started_at text, ended_at text);"
            "CREATE TABLE history (session_id text, run_id text);"
            "CREATE TABLE pending (run_id text)"
        )
        first.execute("SELECT pg_advisory_lock(7, 1)")
        first.execute("INSERT INTO nodes VALUES (1)")
        install(url)
        first.execute("INSERT INTO sessions VALUES ('S', 1)")
        with psycopg.connect(url, autocommit=True) as second:
            second.execute("SELECT pg_advisory_lock(7, 2)")
            second.execute("INSERT INTO nodes VALUES (2)")
            second.execute("UPDATE sessions SET node = 2 WHERE id = 'S'")
            first.execute("INSERT INTO history VALUES ('S', 'R')")
            assert owner(url, "S") == 2
            assert first_move(url, "S", 1) is not None
    writes = take_writes(url)
    assert [(each.node, each.what) for each in writes] == [
        (1, "session created"),
        (2, "session moved"),
        (1, "message"),
    ]
    assert [each.held for each in writes] == [False, True, False]
    assert take_writes(url) == []


async def test_a_wire_falls_silent_and_carries_on_and_is_cut() -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, _echo, 0, host="127.0.0.1")
        (echo,) = await nursery.start(serve)
        wire = Wire(echo.socket.getsockname()[1])
        await nursery.start(wire.serve)
        stream = await trio.open_tcp_stream("127.0.0.1", wire.port)
        await stream.send_all(b"one")
        assert await stream.receive_some() == b"one"
        wire.silence()
        await stream.send_all(b"two")
        with trio.move_on_after(0.05) as waited:
            await stream.receive_some()
        assert waited.cancelled_caught
        wire.mend()
        assert await stream.receive_some() == b"two"
        wire.cut()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        await stream.aclose()
        nursery.cancel_scope.cancel()


async def test_a_balancer_sends_to_nodes_that_are_ready_and_cuts_off_those_that_do_not_answer() -> (
    None
):
    balancer = Balancer()
    hangs = trio.Event()

    async def node(name: str, status: int, stream: trio.SocketStream) -> None:
        asked = await stream.receive_some()
        if b"/ready" not in asked:
            await stream.send_all(name.encode())
            with suppress(trio.BrokenResourceError):
                await stream.receive_some()
        elif not hangs.is_set():
            await stream.send_all(b"HTTP/1.1 %d \r\nContent-Length: 0\r\n\r\n" % status)
        else:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for name, status in (("one", 200), ("two", 503), ("three", 200)):
            serve = partial(trio.serve_tcp, partial(node, name, status), 0, host="127.0.0.1")
            (listener,) = await nursery.start(serve)
            balancer.add(name, listener.socket.getsockname()[1])
        await nursery.start(balancer.serve)
        assert await until(lambda: balancer.ready() == {"one", "three"}, 5)
        streams = [await trio.open_tcp_stream("127.0.0.1", balancer.port) for _ in range(4)]
        for stream in streams:
            await stream.send_all(b"GET /")
        assert sorted([await stream.receive_some() for stream in streams]) == [
            *(b"one", b"one"),
            *(b"three", b"three"),
        ]
        hangs.set()
        for stream in streams:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
            await stream.aclose()
        assert balancer.ready() == set()
        nursery.cancel_scope.cancel()


async def _echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)
