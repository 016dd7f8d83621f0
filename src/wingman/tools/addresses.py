"""Which addresses a model may fetch from: those of the public internet, unless it is allowed more.

A model does what a page tells it; the cloud's metadata service, a router, the database next door
and Wingman itself answer whoever asks from this machine. So a name is resolved first, and the
connection is made to the very address that was looked at: no second resolution can change it.
"""

import os
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import trio

from wingman.errors import ToolError
from wingman.tools.threads import no_thread

__all__ = ["addresses_of"]

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits


async def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host that may be connected to, in the order to try them; at least one.

    Private, loopback, link-local, multicast and reserved ones are left out unless the environment
    has `WINGMAN_WEBFETCH_PRIVATE=1`. Raises `ToolError` if nothing remains.
    """
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ToolError(f"{host} has no address: {error}. Check the URL.") from error
    except RuntimeError as error:  # a name is looked up in a thread
        raise no_thread(error) from error
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if os.environ.get("WINGMAN_WEBFETCH_PRIVATE") == "1":
        return addresses
    if allowed := [address for address in addresses if _is_public(ip_address(address))]:
        return allowed
    raise ToolError(
        f"{host} is not on the public internet ({', '.join(addresses)}), and webfetch is not "
        "allowed to fetch from private addresses."
    )


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if inner := address.ipv4_mapped or address.sixtofour:
            return _is_public(inner)
        if address.teredo:
            return False
    return address.is_global and not address.is_multicast
