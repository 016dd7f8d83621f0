"""Listening: the sockets of a server, and what is said where there can be none."""

import errno
from typing import TYPE_CHECKING

import click
import trio

from wingman.cli.node import Node

if TYPE_CHECKING:
    from wingman.server import ServerConfig

__all__ = ["listeners_of"]


async def listeners_of(
    config: "ServerConfig", node: Node | None = None
) -> list[trio.SocketListener]:
    """Listen where the configuration says.

    One node of several has inherited these sockets. It listens on one more, with a port of its own,
    for what is meant for this node alone.
    """
    from wingman.server import open_listeners  # noqa: PLC0415 Quart and Hypercorn: heavy

    port = config.port if node is None else 0
    try:
        listeners = await open_listeners(config.host, port)
    except OSError as error:
        place = f"{config.host}:{port}"
        if error.errno == errno.EADDRINUSE:
            hint = "stop what listens there, or choose another --port (WINGMAN_PORT)"
            raise click.ClickException(f"{place} is in use: {hint}.") from error
        raise click.ClickException(f"Cannot listen on {place}: {error.strerror}.") from error
    return listeners if node is None else [*node.listeners, *listeners]
