"""`wingman serve`: the server, until a signal."""

import gc
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import attrs
import click
import trio

from wingman.agent import LEAST_THRESHOLD, Compaction
from wingman.api import Reloaded
from wingman.cli.configuration import ConfigFile, config_option, said_elsewhere
from wingman.cli.environment import FromEnvironment, HostNames, Labels, Seconds
from wingman.cli.launch import launch
from wingman.cli.limits import limit_options, limits_from
from wingman.cli.listening import address_of, listeners_of
from wingman.cli.node import READY, RELOADED, Node
from wingman.cli.nodes import Nodes
from wingman.cli.prices import prices_from
from wingman.cli.reloading import Reloader
from wingman.cli.rules import permissions_option, told
from wingman.cli.signals import Signals
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
    notice,
)

if TYPE_CHECKING:
    from wingman.server import Logins, ServerConfig

__all__ = ["default_database", "serve_command"]

# Addresses to listen on that stand for all of the machine's; none of them can be gone to.
_WILDCARDS: Final = {"//0.0.0.0:": "//127.0.0.1:", "//[::]:": "//[::1]:"}

# The databases that several processes may use.
_SHARED: Final = ("postgresql://", "postgres://")


@click.command("serve", cls=FromEnvironment)
@config_option
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
    "--nodes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that serve on the port, each of them a node; several share a PostgreSQL "
    "database.",
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
@click.option(
    "--node-url",
    metavar="URL",
    help="Where other nodes reach this one, if they share a PostgreSQL database; without a port "
    "where there are several --nodes.  [default: where it listens]",
)
@click.option(
    "--label",
    "labels",
    type=Labels(),
    multiple=True,
    help="A label of this node, which sessions may ask for. May be repeated.",
)
@limit_options
def serve_command(
    config: ConfigFile,
    host: str,
    port: int,
    db: str | None,
    nodes: int,
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
    node_url: str | None,
    labels: tuple[str, ...],
    **limits: Any,
) -> None:
    """Serve sessions over HTTP, until SIGINT or SIGTERM, or until its terminal goes away.

    The first signal takes no more work and lets what runs have its grace; the second interrupts it.
    Either way the process is gone a second later, whatever will not stop, and nothing that was
    acknowledged is lost: queued runs go on at the next start. SIGHUP and `wingman reload` have the
    configuration file read again.

    Without --permissions, or [permissions] in the file, every tool call of every agent runs
    unasked, with the rights of this process, where no agent, session or message has rules of its
    own.

    Each option is also an environment variable, such as WINGMAN_PORT or WINGMAN_MAX_STEPS. The
    command line goes before the environment, and that before the configuration file.
    """
    # Quart and Hypercorn: heavy, and no other command's matter.
    from wingman.server import ServerConfig  # noqa: PLC0415

    node = Node.found()
    configure_logging(log_level, log_format, os.getpid() if node else None)
    raise_limit()
    server = ServerConfig(
        host, port, token, allowed_hosts, grace, max_connections, max_body_memory, node_url
    )
    try:
        server.check()
    except InvalidRequest as error:
        raise click.UsageError(error.message) from error
    overridden = said_elsewhere()
    database = db or str(default_database())
    if node is None and nodes > 1:
        _check_several(database, node_url)
        launch(partial(_serve_nodes, server, nodes))
    reloader = Reloader(config, overridden)
    rules = permissions if "permissions" in overridden else config.content.rules
    open_runtime = partial(
        Runtime,
        limits=limits_from(limits),
        prices=prices,
        idle_after=idle_after,
        permissions=permissions.rules,
        compaction=_compaction(compact_at),
        settings=reloader.settings,
        labels=labels,
    )
    lines = (f"Configuration: {config.told}", f"Permissions: {told(rules)}")
    launch(partial(_serve, server, database, open_runtime, reloader, lines, node))


def _check_several(database: str, node_url: str | None) -> None:
    """Raise `click.UsageError` where these options are not for several nodes."""
    if node_url is not None and urlsplit(node_url).port is not None:
        raise click.UsageError(
            "With --nodes, the --node-url has no port, as in http://10.0.0.5: each node has a port "
            "of its own."
        )
    if not database.startswith(_SHARED):
        raise click.UsageError(
            "Several nodes share a database, which only PostgreSQL lets them: give --db "
            "postgresql://user@host/database, or leave out --nodes."
        )


def _compaction(part: float) -> Compaction | None:
    """What the option says: 0 is never, and less than the least part is that."""
    return Compaction(threshold=max(part, LEAST_THRESHOLD)) if part else None


def default_database() -> Path:
    """Where the database is if nobody says: https://specifications.freedesktop.org/basedir-spec."""
    home = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not home.is_absolute():  # the specification has it ignored, as if it were not set
        home = Path.home() / ".local" / "share"
    return home / "wingman" / "wingman.db"


async def _serve_nodes(config: "ServerConfig", count: int) -> int:
    """Listen, and have so many processes serve, until a signal; return the exit code."""
    return await Nodes(count, await listeners_of(config), config.grace).run()


async def _serve(
    config: "ServerConfig",
    database: str,
    open_runtime: Callable[[str], Runtime],
    reloader: Reloader,
    lines: Sequence[str],
    node: Node | None = None,
) -> int:
    """Open the database, listen, and serve until a signal; return the exit code."""
    from wingman.server import Logins, serve  # noqa: PLC0415

    runtime, opened = open_runtime(database), trio.Event()
    logins = Logins(runtime.passes, config.token)

    async def reload() -> Reloaded:
        await opened.wait()
        return await reloader.reload(runtime)

    async def reload_all() -> Reloaded:
        reloaded = await reload()
        if node is not None:
            node.say(RELOADED)
        return reloaded

    passed_on = None if node is None else node.signals()
    signals = Signals(config.grace, reload, passed_on)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(signals.obey, nursery.cancel_scope)
        async with runtime, trio.open_nursery() as serving:
            opened.set()
            listeners = await listeners_of(config, node)
            options = {
                **attrs.asdict(config),
                "logins": logins,
                "shutdown": signals.requested,
                "reload": reload_all,
                "listeners": listeners,
                "node_url": address_of(config, node, listeners),
            }
            url: str = await serving.start(partial(serve, runtime, **options))
            if node is None or node.inherited.tells:
                place = runtime.store.name
                notice(f"Wingman listens on {url} (database {place}); its contract: {url}/docs")
                notice(await _console(url, logins))
                for line in lines:
                    notice(line)
            if node is not None:
                node.say(READY)
            gc.freeze()  # what start-up has made stays: no collection need look at it again
        nursery.cancel_scope.cancel()
    return signals.exit_code


async def _console(url: str, logins: "Logins") -> str:
    """Where the console is; where one has to log in, with a link that does so."""
    for anywhere, here in _WILDCARDS.items():
        url = url.replace(anywhere, here)
    if not logins.needed:
        return f"The console: {url}/"
    link = f"{url}/#link={await logins.new_link()}"
    return f"The console: {link} (works once, for 10 minutes; `wingman console` prints another)"
