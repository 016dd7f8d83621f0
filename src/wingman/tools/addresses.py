"""Which addresses a model may fetch from: those of the public internet, unless it is allowed more.

A model does what a page tells it; the cloud's metadata service, a router, the database next door
and Wingman itself answer whoever asks from this machine. So a name is resolved first, and the
connection is made to the very address that was looked at: no second resolution can change it.

What is public is read from the registries of the IANA, as of 2025-10, and an address that no
registry calls public is not:

    https://www.iana.org/assignments/iana-ipv4-special-registry
    https://www.iana.org/assignments/iana-ipv6-special-registry
    https://www.iana.org/assignments/ipv6-address-space
"""

import os
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import trio

from wingman.errors import ToolError
from wingman.tools.threads import no_thread

__all__ = ["addresses_of", "is_public"]

_LONGEST_HOST = 255  # characters
_MOST_SHOWN = 5

_NOT_PUBLIC_4: Final = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
    224.0.0.0/4 240.0.0.0/4
"""
_PUBLIC_WITHIN_4: Final = "192.0.0.9/32 192.0.0.10/32"

_UNICAST_6: Final = IPv6Network("2000::/3")  # the rest is reserved, or for use within a site
# 6to4 (2002::) and Teredo (2001::) are among them: the registry does not call them public.
_NOT_PUBLIC_6: Final = "2001::/23 2001:db8::/32 2002::/16 3fff::/20"
_PUBLIC_WITHIN_6: Final = """
    2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48 2001:20::/28 2001:30::/28
"""

# IPv6 addresses that stand for an IPv4 one, in their last 32 bits.
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
_ISATAP: Final = 0x0000_5EFE  # RFC 5214: the third quarter, but for the bit "universal"
_ISATAP_MASK: Final = 0xFDFF_FFFF


def _networks_4(listed: str) -> tuple[IPv4Network, ...]:
    return tuple(map(IPv4Network, listed.split()))


def _networks_6(listed: str) -> tuple[IPv6Network, ...]:
    return tuple(map(IPv6Network, listed.split()))


_REFUSED_4, _TAKEN_4 = _networks_4(_NOT_PUBLIC_4), _networks_4(_PUBLIC_WITHIN_4)
_REFUSED_6, _TAKEN_6 = _networks_6(_NOT_PUBLIC_6), _networks_6(_PUBLIC_WITHIN_6)


async def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host that may be connected to, in the order to try them; at least one.

    Those that are not public are left out unless the environment has `WINGMAN_WEBFETCH_PRIVATE=1`.
    Raises `ToolError` if nothing remains.
    """
    if len(host) > _LONGEST_HOST:
        raise ToolError(f"{host[:50]}… is too long for the name of a host. Check the URL.")
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ToolError(f"{host} has no address: {error}. Check the URL.") from error
    except RuntimeError as error:  # a name is looked up in a thread
        raise no_thread(error) from error
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if os.environ.get("WINGMAN_WEBFETCH_PRIVATE") == "1":
        return addresses
    if allowed := [address for address in addresses if is_public(ip_address(address))]:
        return allowed
    raise ToolError(
        f"{host} is not on the public internet ({', '.join(addresses[:_MOST_SHOWN])}), and "
        "webfetch is not allowed to fetch from private addresses."
    )


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the registries call an address globally reachable, also one within another."""
    if isinstance(address, IPv4Address):
        return _is_in(address, _TAKEN_4) or not _is_in(address, _REFUSED_4)
    if address.scope_id is not None:  # it is of one of this machine's networks
        return False
    inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _MAPPED or address in _NAT64:
        return is_public(inner)
    if (int(address) >> 32) & _ISATAP_MASK == _ISATAP and not is_public(inner):
        return False
    if address not in _UNICAST_6:
        return False
    return _is_in(address, _TAKEN_6) or not _is_in(address, _REFUSED_6)


def _is_in(
    address: IPv4Address | IPv6Address, networks: tuple[IPv4Network, ...] | tuple[IPv6Network, ...]
) -> bool:
    return any(address in network for network in networks)
