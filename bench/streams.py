"""Streams: many at once, many readers of one session, and readers that stop reading.

The server is a process of its own. A paced model says a piece 20 times a second, which carries the
time when it was said; one reader, a process beside it, has a connection for each stream and takes
the time again when it has the piece. For the fan-out a model says megabytes at once in one session,
which others follow: none, many that read, and many that asked and then read nothing.
"""

import re
import selectors
import socket
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from bench._clients import Connection, messages, request, sessions
from bench._machine import cpu_seconds, memory, peak_memory
from bench._models import text
from bench._report import Row
from bench._servers import Server, as_served, listens, running
from wingman import Agent, Limits, Runtime
from wingman.processes import raise_limit
from wingman.providers import Part, Request, TextDelta, Transport
from wingman.server import serve

A_SECOND: Final = 20
LATEST: Final = 0.1
"""Seconds: what the 99th percentile of the delays must stay below."""

MEGABYTE: Final = 1024 * 1024

MOST: Final = (1_500, 2_000)
"""How many streams are tried where fewer are no trouble."""

_BEGUN_WITHIN: Final = 60
"""Seconds for all streams to begin."""

_SAID: Final = re.compile(rb"@(\d+);")


class Paced:
    """Says the time, for ever."""

    id = "paced"
    model = "none"

    async def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        at = trio.current_time()
        while True:
            yield TextDelta(f"@{time.monotonic_ns()};")
            at += 1 / A_SECOND
            await trio.sleep_until(at)


async def server(directory: Path, megabytes: int) -> None:
    """Wingman's server, with the two models; it takes as many runs as there are."""
    flood = text("flood", *["x" * 1024] * 1024 * megabytes)
    limits = Limits(runs=10_000)
    async with (
        Runtime(
            directory / "bench.db", agents=[Agent("paced", provider=Paced()), flood], limits=limits
        ) as runtime,
        trio.open_nursery() as nursery,
    ):
        listens(await nursery.start(partial(serve, runtime, port=0)))


# --- many streams ---------------------------------------------------------------------------------


@attrs.frozen
class Delays:
    """How late pieces were, in seconds, and how much of a CPU the server took meanwhile."""

    p50: float
    p99: float
    cpu: float
    complete: bool
    """Whether as many pieces came as were due; some of a second's may be on their way."""


def read_streams(server: Server, requests: Sequence[bytes], seconds: float) -> Delays:
    """Open a stream for each request; when all have begun, take the times for so many seconds.

    Raises `TimeoutError` if some do not begin, or say nothing then.
    """
    delays: list[int] = []
    waiting = set()
    with selectors.DefaultSelector() as selector:
        for content in requests:
            connection = socket.create_connection((server.host, server.port))
            connection.sendall(content)
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
            waiting.add(connection)
        opened = time.perf_counter()
        begin = cpu = 0.0
        while not begin or time.perf_counter() < begin + seconds:
            for key, _ in selector.select(0.1):
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                now = time.monotonic_ns()
                said = [now - int(at) for at in _SAID.findall(data)]
                if begin:
                    delays += said
                elif said:
                    waiting.discard(key.fileobj)
            if not begin and not waiting:
                begin, cpu = time.perf_counter(), cpu_seconds(server.pid)
            if not begin and time.perf_counter() > opened + _BEGUN_WITHIN:
                raise TimeoutError(f"{len(waiting)} did not begin within {_BEGUN_WITHIN} s.")
        taken = time.perf_counter() - begin
        cpu = (cpu_seconds(server.pid) - cpu) / taken
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    if not delays:
        raise TimeoutError(f"They said nothing for {seconds} s.")
    delays.sort()
    due = len(requests) * A_SECOND * seconds
    p50, p99 = (delays[int(len(delays) * part)] / 1e9 for part in (0.5, 0.99))
    return Delays(p50, p99, cpu, len(delays) > 0.9 * due)


async def many_streams(streams: int, seconds: float) -> Delays:
    """So many streams at once, of as many sessions."""
    async with running("server", "1", module="bench.streams") as ours:
        ids = await sessions(ours, "paced", streams)
        requests = messages(ids, "message/stream")
        return await trio.to_thread.run_sync(read_streams, ours, requests, seconds)


# --- many readers of one session ------------------------------------------------------------------


@attrs.frozen
class FannedOut:
    """The seconds that the run took, and how many bytes the server's memory grew at most."""

    seconds: float
    grown: int


async def fan_out(readers: int, megabytes: int, *, reading: bool) -> FannedOut:
    """So many follow a session; then its model says so much. They read it, or nothing."""
    async with running("server", str(megabytes), module="bench.streams") as ours:
        (session_id,) = await sessions(ours, "flood", 1)
        before = memory(ours.pid)
        async with trio.open_nursery() as nursery:
            for _ in range(readers):
                stream = await trio.open_tcp_stream(ours.host, ours.port)
                await stream.send_all(request("GET", f"/sessions/{session_id}/events"))
                assert b" 200 " in await stream.receive_some(1024)
                nursery.start_soon(_read if reading else _hold, stream)
            connection = await Connection.to(ours)
            begin = time.perf_counter()
            await connection.ask(messages([session_id])[0])
            taken = time.perf_counter() - begin
            await trio.sleep(1)  # what is still being sent
            grown = peak_memory(ours.pid) - before
            await connection.aclose()
            nursery.cancel_scope.cancel()
    return FannedOut(taken, grown)


async def _read(stream: trio.SocketStream) -> None:
    while await stream.receive_some(1 << 20):
        pass


async def _hold(stream: trio.SocketStream) -> None:
    async with stream:
        await trio.sleep_forever()


# --- the report -----------------------------------------------------------------------------------


def measure(quick: bool) -> list[Row]:
    """Measure all of it; a minute, or some seconds."""
    raise_limit()
    readers, megabytes = (20, 1) if quick else (200, 5)
    return [*_many(quick), *_many_readers(readers, megabytes)]


def _many(quick: bool) -> Iterator[Row]:
    title = f"streams × {A_SECOND}/s with p99 < 100 ms"
    counts, seconds = ((20, 100), 1.0) if quick else ((250, 500, 1_000, *MOST), 5.0)
    held = 0
    for count in counts:
        if count in MOST and held < 1_000:
            break
        try:
            found = trio.run(many_streams, count, seconds)
        except TimeoutError as error:
            yield Row.unmeasured(f"{count:,} streams", str(error))
            break
        yield Row(f"{count:,} streams, delay p50", found.p50 * 1e3, "ms")
        yield Row(f"{count:,} streams, delay p99", found.p99 * 1e3, "ms")
        yield Row(f"{count:,} streams, the server takes", found.cpu * 100, "% of a CPU")
        if found.p99 < LATEST and found.complete:
            held = count
    if quick:
        yield Row.unmeasured(title, f"With --quick there are {counts[-1]} at most.", "≥ 1000")
    else:
        yield Row(title, held, "at least", goal="≥ 1000")


def _many_readers(readers: int, megabytes: int) -> Iterator[Row]:
    alone = trio.run(partial(fan_out, 0, megabytes, reading=True))
    yield Row(f"{megabytes} MB, no reader", alone.seconds, "s")
    for who, reading in ((f"{readers} readers", True), (f"{readers} that stop", False)):
        found = trio.run(partial(fan_out, readers, megabytes, reading=reading))
        yield Row(f"{megabytes} MB, {who}", found.seconds, "s")
        yield Row(f"{megabytes} MB, {who}", found.seconds / alone.seconds, "×", "no reader")
        yield Row(f"{megabytes} MB, {who}, RSS grows by", found.grown / MEGABYTE, "MB")


if __name__ == "__main__":
    raise_limit()
    with as_served():
        trio.run(server, Path(sys.argv[2]), int(sys.argv[3]))
