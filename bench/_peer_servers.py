"""Turns over HTTP, by other servers and by `wingman serve`: one model for all, over HTTP as well.

Each server is a process of its own, over its own database, set as it sets itself; the model is a
process that says what it has ready. Each round has new sessions. A session is made, and has its
first turn, before the clock starts: agno makes a session within its first turn, and OpenCode makes
a title in it, which asks the model once more. So no peer pays for what belongs to a session.
"""

import json
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import attrs
import trio

from bench._clients import Connection, ask, ask_all, messages, request, sessions
from bench._environments import NotThere, with_npm, with_pip
from bench._machine import memory
from bench._report import Row
from bench._rounds import Comparison, Contender, Stopwatch, Took, compare
from bench._servers import Started, free_port, running, started, wingman_serve

__all__ = ["rows"]

CLIENTS: Final = 16
GOAL: Final = "≥ 8"
RATE: Final = f"turns a second, {CLIENTS} clients"

_PIECES: Final = 3
_PATIENCE: Final = 120
"""Seconds until a server has taken its first turn."""

_SAID: Final = b"word word word"


@attrs.frozen
class Peer:
    """A server, and the way to a new session: the request that is a turn in it."""

    server: Started
    new: Callable[[], Awaitable[bytes]]


Run: TypeAlias = Callable[[str, Path], AbstractAsyncContextManager[Peer]]
"""Runs a server, given the model's URL and an empty directory."""


@asynccontextmanager
async def wingman(url: str, directory: Path) -> AsyncIterator[Peer]:
    """`wingman serve`."""
    environment = {"OPENAI_COMPATIBLE_BASE_URL": url}
    async with wingman_serve(directory / "wingman.db", environment=environment) as server:
        agent = {"name": "text", "provider": {"id": "openai-compatible", "model": "m"}}
        agent_id = (await ask(server, "POST", "/agents", agent))["id"]

        async def new() -> bytes:
            return messages(await sessions(server, agent_id, 1))[0]

        yield Peer(server, new)


@asynccontextmanager
async def agno(python: Path, url: str, directory: Path) -> AsyncIterator[Peer]:
    """agno's AgentOS, over SQLite."""
    program, port = Path(__file__).with_name("_agno.py"), free_port()
    command = [str(python), "-P", str(program), url, str(directory), str(port)]
    async with started(command, port) as server:

        async def new() -> bytes:
            form = f"message=go&stream=false&session_id={uuid.uuid4()}".encode()
            head = (
                "POST /agents/text/runs HTTP/1.1\r\nHost: localhost\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n"
                f"Content-Length: {len(form)}\r\n\r\n"
            )
            return head.encode() + form

        yield Peer(server, new)


@asynccontextmanager
async def opencode(program: Path, url: str, directory: Path) -> AsyncIterator[Peer]:
    """`opencode serve`, with its own agent; all that it keeps is in the directory."""
    port = free_port()
    options = {"baseURL": url, "apiKey": "none"}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "stand-in",
        "options": options,
        "models": {"m": {"name": "m"}},
    }
    config = {
        "provider": {"standin": provider},
        "model": "standin/m",
        "small_model": "standin/m",
        "autoupdate": False,
        "share": "disabled",
    }
    (directory / "config.json").write_text(json.dumps(config))
    work, home = directory / "work", directory / "home"
    work.mkdir()
    home.mkdir()
    environment = {
        "HOME": str(home),
        **{f"XDG_{kind}_HOME": str(home / kind) for kind in ("CACHE", "CONFIG", "DATA", "STATE")},
        "OPENCODE_CONFIG": str(directory / "config.json"),
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
    }
    command = [str(program), "serve", "--pure", "--port", str(port)]
    async with started(
        command, port, health="/session", directory=work, environment=environment
    ) as server:

        async def new() -> bytes:
            session_id = (await ask(server, "POST", "/session", {}))["id"]
            body = {"parts": [{"type": "text", "text": "go"}]}
            return request("POST", f"/session/{session_id}/message", body)

        yield Peer(server, new)


def _peers(*, install: bool) -> dict[str, Callable[[], Run]]:
    """By name: what finds or installs a server, and gives the way to run it."""
    packages = ["agno[os,openai,sqlite]"]
    return {
        "agno": lambda: partial(agno, with_pip("agno-server", packages, install=install)),
        "OpenCode": lambda: partial(opencode, with_npm("opencode", "opencode-ai", install=install)),
    }


# --- turns ----------------------------------------------------------------------------------------


async def _ready(peer: Peer) -> bytes:
    """A new session that has had its first turn: the request that is a further turn."""
    turn = await peer.new()
    connection = await Connection.to(peer.server)
    answer = await connection.ask(turn)
    await connection.aclose()
    if _SAID not in answer:
        raise RuntimeError(f"this is no answer of the model: {answer!r}")
    return turn


async def one_at_a_time(peer: Peer, times: int) -> Took:
    """The median of so many turns of one session."""
    turn = await _ready(peer)
    connection = await Connection.to(peer.server)
    watch, taken = Stopwatch(peer.server.pid), []
    with watch.running():
        for _ in range(times):
            begin = time.perf_counter()
            await connection.ask(turn)
            taken.append(time.perf_counter() - begin)
    await connection.aclose()
    return Took(statistics.median(taken), watch.each(times).cpu)


async def at_once(peer: Peer, times: int) -> Took:
    """So many turns of each client, each with a session of its own."""
    return await ask_all(peer.server, [await _ready(peer) for _ in range(CLIENTS)], times)


@attrs.frozen
class Measured:
    """What was measured; by peer its start and its memory, or why it does not take part."""

    found: Comparison
    present: dict[str, tuple[float, int]]
    missing: dict[str, str]


async def _measured(quick: bool) -> Measured:
    alone, each = (5, 2) if quick else (20, 8)
    missing: dict[str, str] = {}
    peers: dict[str, Peer] = {}
    async with AsyncExitStack() as stack:
        model = running("burst", str(_PIECES), module="bench._apis")
        url = (await stack.enter_async_context(model)).url + "/v1"
        finds = {"Wingman": lambda: wingman, **_peers(install=not quick)}
        for name, find in finds.items():
            directory = stack.enter_context(_directory())
            try:
                run = await trio.to_thread.run_sync(find)
                with trio.fail_after(_PATIENCE):
                    peer = await stack.enter_async_context(run(url, directory))
                    await _ready(peer)
            except (NotThere, RuntimeError, OSError, trio.TooSlowError) as error:
                if name == "Wingman":
                    raise
                missing[name] = str(error) or f"{name} takes no turn within {_PATIENCE} s."
            else:
                peers[name] = peer
        contenders: dict[str, Contender] = {}
        for name, peer in peers.items():
            contenders[f"{name}, alone"] = partial(one_at_a_time, peer, alone)
            contenders[f"{name}, at once"] = partial(at_once, peer, each)
        found = await compare(contenders, rounds=2 if quick else 5)
        present = {
            name: (peer.server.healthy_after, memory(peer.server.pid))
            for name, peer in peers.items()
        }
    return Measured(found, present, missing)


@contextmanager
def _directory() -> Iterator[Path]:
    # A server that was killed may have left a process that still writes.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        yield Path(directory)


# --- the report -----------------------------------------------------------------------------------


def rows(quick: bool) -> list[Row]:
    """Wingman beside the servers that are installed, or, unless it is quick, can be."""
    measured = trio.run(_measured, quick)
    found = measured.found
    reported = [Row.unmeasured(f"{name}'s server", why) for name, why in measured.missing.items()]
    for name, (healthy_after, held) in measured.present.items():
        alone, together = f"{name}, alone", f"{name}, at once"
        reported += [
            Row(f"{name}, healthy after", healthy_after, "s"),
            Row(f"{name}, turn p50, one client", found.each(alone) * 1e3, "ms"),
            Row(f"{name}, {RATE}", found.rate(together), "a second"),
            Row(f"{name}, CPU a turn, {CLIENTS} clients", found.each(together, "cpu") * 1e3, "ms"),
            Row(f"{name}, RSS at the end", held / 1024 / 1024, "MB"),
        ]
    others = [name for name in measured.present if name != "Wingman"]
    if not others:
        missing = Row.unmeasured(f"{RATE} ÷ the fastest server", "No other server is there.", GOAL)
        return [*reported, missing]
    for case, title, goal in (
        ("at once", RATE, GOAL),
        ("alone", "turn p50 (speed), one client", None),
    ):
        fastest = min(others, key=lambda name: found.each(f"{name}, {case}").value)
        mine, theirs = f"Wingman, {case}", f"{fastest}, {case}"
        to = f"the fastest server ({fastest})"
        reported += [
            Row(title, found.speed(mine, theirs), "×", to, goal),
            Row(f"{title}, CPU speed", found.speed(mine, theirs, "cpu"), "×", to),
        ]
    return reported
