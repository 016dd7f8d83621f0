"""Listening: the sockets of a server, what is said where there can be none, and their addresses."""

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import trio

from wingman.cli.node import Node

if TYPE_CHECKING:
    from wingman.server import ServerConfig

__all__ = ["address_of", "listeners_of"]


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


def address_of(
    config: "ServerConfig", node: Node | None, listeners: Sequence[trio.SocketListener]
) -> str | None:
    """Where other nodes reach this one, if the configuration says: one node of several has the
    address of all, and a port of its own."""
    if node is None or config.node_url is None:
        return config.node_url
    return f"{config.node_url.rstrip('/')}:{listeners[-1].socket.getsockname()[1]}"
