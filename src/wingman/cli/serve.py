"""`wingman serve`: the server, until a signal."""

import errno
import gc
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import click
import trio

from wingman.agent import LEAST_THRESHOLD, Compaction
from wingman.cli.environment import FromEnvironment, HostNames, Seconds
from wingman.cli.launch import launch
from wingman.cli.limits import limit_options, limits_from
from wingman.cli.prices import prices_from
from wingman.cli.rules import permissions_option, told
from wingman.errors import InvalidRequest
from wingman.permissions import Rules
from wingman.processes import raise_limit
from wingman.run import Prices
from wingman.runtime import Runtime
from wingman.telemetry import (
    FORMATS,
    LEVELS,
    Format,
    configure_logging,
    flush_logs,
    notice,
)

if TYPE_CHECKING:
    from wingman.server import ServerConfig

__all__ = ["collect_seldom", "default_database", "serve_command"]

# What asks for an orderly end: Ctrl-C, a supervisor, a terminal that goes away.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# A second, less what it takes to tell that it is over.
_LEAVE_SECONDS: Final = 0.95
_LAST_WORDS_SECONDS: Final = 0.02


@click.command("serve", cls=FromEnvironment)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=2323,
    show_default=True,
    help="The port to listen on; 0: any that is free.",
)
@click.option(
    "--db",
    metavar="PATH",
    help="The SQLite file, a path or a URL; or postgresql://user@host/database; or memory.  "
    "[default: wingman/wingman.db in $XDG_DATA_HOME or ~/.local/share]",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="info",
    show_default=True,
    help="What is logged, to standard error.",
)
@click.option(
    "--log-format",
    type=click.Choice(FORMATS, case_sensitive=False),
    default="text",
    show_default=True,
    help="How it is logged: as text, or as a JSON object a line.",
)
@click.option(
    "--token",
    show_envvar=True,
    help="What clients must send as `Authorization: Bearer …`; needed beyond this machine. "
    "The environment hides it from other users, an option does not.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    type=HostNames(),
    multiple=True,
    help="A name that clients may know this server by, beside localhost. May be repeated.",
)
@click.option(
    "--grace",
    type=Seconds(min=0),
    metavar="SECONDS",
    default=30.0,
    show_default=True,
    help="How long runs in flight may go on after the first signal.",
)
@click.option(
    "--idle-after",
    type=Seconds(min=0, min_open=True),
    metavar="SECONDS",
    default=300.0,
    show_default=True,
    help="How long a session without a message or a reader stays in memory.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(min=1),
    default=4096,
    show_default=True,
    help="Connections at once; fewer where the process may not have as many descriptors.",
)
@click.option(
    "--max-body-memory",
    type=click.IntRange(min=1),
    metavar="BYTES",
    default=268435456,
    show_default=True,
    help="Bytes of requests' bodies that are held at once.",
)
@click.option(
    "--prices",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    callback=prices_from,
    help="A JSON file of what models' tokens cost, per million: results then have their cost.",
)
@permissions_option(
    "Which tool calls need a person's answer: all of them (ask), none (allow), or what a JSON FILE "
    "of rules says. What these rules deny is denied for good.",
    default="allow",
    show_default=True,
)
@click.option(
    "--compact-at",
    type=click.FloatRange(0.0, 1.0),
    metavar="PART",
    default=0.8,
    show_default=True,
    help="The part of a model's window above which a history is compacted, where its agent does "
    "not say; 0: never.",
)
@limit_options
def serve_command(
    host: str,
    port: int,
    db: str | None,
    log_level: str,
    log_format: Format,
    token: str | None,
    allowed_hosts: tuple[str, ...],
    grace: float,
    idle_after: float,
    max_connections: int,
    max_body_memory: int,
    prices: Prices,
    permissions: Rules,
    compact_at: float,
    **limits: Any,
) -> None:
    """Serve sessions over HTTP, until SIGINT, SIGTERM or SIGHUP.

    The first signal takes no more work and lets what runs have its grace; the second interrupts it.
    Either way the process is gone a second later, whatever will not stop, and nothing that was
    acknowledged is lost: queued runs go on at the next start.

    Without --permissions every tool call of every agent runs unasked, with the rights of this
    process, where no agent, session or message has rules of its own.

    Each option is also an environment variable, such as WINGMAN_PORT or WINGMAN_MAX_STEPS; the
    command line goes before the environment.
    """
    # Quart and Hypercorn: heavy, and no other command's matter.
    from wingman.server import ServerConfig  # noqa: PLC0415

    configure_logging(log_level, log_format)
    collect_seldom()
    raise_limit()
    config = ServerConfig(host, port, token, allowed_hosts, grace, max_connections, max_body_memory)
    try:
        config.check()
    except InvalidRequest as error:
        raise click.UsageError(error.message) from error
    runtime = partial(
        Runtime,
        limits=limits_from(limits),
        prices=prices,
        idle_after=idle_after,
        permissions=permissions.rules,
        compaction=_compaction(compact_at),
    )
    launch(partial(_serve, config, db or str(default_database()), runtime, permissions))


def _compaction(part: float) -> Compaction | None:
    """What the option says: 0 is never, and less than the least part is that."""
    return Compaction(threshold=max(part, LEAST_THRESHOLD)) if part else None


def collect_seldom() -> None:
    """Set the garbage collector for a process that serves: it looks for cycles seldom.

    Thousands of small objects live long there, and Python's own thresholds would look through all
    of them over and over. That is the process's matter: no import and no `Runtime` does it.
    """
    gc.set_threshold(50_000, 50, 1000)


def default_database() -> Path:
    """Where the database is if nobody says: https://specifications.freedesktop.org/basedir-spec."""
    home = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not home.is_absolute():  # the specification has it ignored, as if it were not set
        home = Path.home() / ".local" / "share"
    return home / "wingman" / "wingman.db"


async def _serve(
    config: "ServerConfig", db: str, open_runtime: Callable[[str], Runtime], permissions: Rules
) -> int:
    """Open the database, listen, and serve until a signal; return the exit code."""
    shutdown = _Shutdown(config.grace)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shutdown.obey_signals, nursery.cancel_scope)
        async with open_runtime(db) as runtime, trio.open_nursery() as serving:
            url = await _listen(serving, runtime, config, shutdown.requested)
            place = runtime.store.name
            notice(f"Wingman listens on {url} (database {place}); its contract: {url}/docs")
            notice(f"Permissions: {told(permissions)}")
            gc.freeze()  # what start-up has made stays: no collection need look at it again
        nursery.cancel_scope.cancel()
    return shutdown.exit_code


async def _listen(
    nursery: trio.Nursery, runtime: Runtime, config: "ServerConfig", shutdown: trio.Event
) -> str:
    """Start the server and return its base URL, once it listens."""
    from wingman.server import serve  # noqa: PLC0415

    try:
        url: str = await nursery.start(
            partial(serve, runtime, shutdown=shutdown, **attrs.asdict(config))
        )
    except OSError as error:
        place = f"{config.host}:{config.port}"
        if error.errno == errno.EADDRINUSE:
            hint = "stop what listens there, or choose another --port (WINGMAN_PORT)"
            raise click.ClickException(f"{place} is in use: {hint}.") from error
        raise click.ClickException(f"Cannot listen on {place}: {error.strerror}.") from error
    return url


@attrs.define
class _Shutdown:
    """The first signal asks for an orderly end, the second interrupts what runs.

    Either is obeyed in time: `_LEAVE_SECONDS` after the grace, or after the second signal, the
    process leaves, whatever there is that does not stop.
    """

    grace: float
    requested: trio.Event = attrs.field(factory=trio.Event, init=False)
    exit_code: int = attrs.field(default=0, init=False)

    async def obey_signals(self, everything: trio.CancelScope) -> None:
        """Wait for signals. A third one meets the system's own handlers, and ends the process."""
        with trio.open_signal_receiver(*_SIGNALS) as signals:
            await anext(signals)
            say = f"Wingman stops: what runs has {self.grace:g} s. A second signal interrupts it."
            notice(say)
            _leave_after(self.grace + _LEAVE_SECONDS)
            self.requested.set()
            number = await anext(signals)
        _leave_after(_LEAVE_SECONDS)
        self.exit_code = 128 + number
        everything.cancel()


def _leave_after(seconds: float) -> None:
    """End the process then, if it is still there: a thread, as nothing in Trio may be able to."""
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    """Leave as in a crash: what is committed stays, tools die with us, and the next start settles
    the runs that had not ended."""
    try:
        notice("Wingman leaves; what has not stopped ends with it, interrupted.")
        flush_logs(_LAST_WORDS_SECONDS)
    finally:
        os._exit(1)
