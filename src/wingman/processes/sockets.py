"""Sockets: which TCP socket of this machine is at one end of a connection, by its inode. Linux.

The kernel is asked for the one socket, over netlink: that takes some microseconds. Its list of all
sockets, which takes milliseconds where there are many, is read where the kernel cannot be asked.
"""

import ipaddress
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["ORPHANED", "Address", "inode_of", "is_loopback"]

Address: TypeAlias = tuple[str, int]
"""A host and a port."""

ORPHANED: Final = 0
"""The inode of a socket that no process has any more."""

_LISTS: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_MAPPED: Final = ("0000000000000000FFFF0000", "00000000000000000000FFFF")

# https://man7.org/linux/man-pages/man7/sock_diag.7.html
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLMSG_ERROR: Final = 2
_NLM_F_REQUEST: Final = 1
_ALL_STATES: Final = 0xFFFFFFFF
_LISTENING: Final = 10
_NO_COOKIE: Final = b"\xff" * 8
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST: Final = struct.Struct("=BBBxI")  # family, protocol, extensions, states
_ERROR: Final = struct.Struct("=i")
_ID: Final = struct.Struct("!HH16s16s4x8s")  # ports, addresses, interface, cookie
_STATE: Final = _HEADER.size + 1
_INODE: Final = _HEADER.size + 4 + _ID.size + 4 * 4


def inode_of(own: Address, peer: Address) -> int | None:
    """The inode of the socket at `own` that is connected to `peer`; None where there is none.

    Raises OSError or ValueError where that cannot be known.
    """
    ends = _host(own), _host(peer)
    if not any(end.is_link_local for end in ends):  # these are known by their interface as well
        try:
            return _asked(ends, own[1], peer[1])
        except (OSError, AttributeError):  # no netlink here
            pass
    return _listed(own, peer)


def is_loopback(address: Address) -> bool:
    """Whether an address is this machine's alone."""
    return _host(address).is_loopback


def _host(address: Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The host; an IPv4 address that is written as an IPv6 one is what it is."""
    host = ipaddress.ip_address(address[0].partition("%")[0])
    return getattr(host, "ipv4_mapped", None) or host


# --- the kernel is asked --------------------------------------------------------------------------


def _asked(
    ends: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...], port: int, peer_port: int
) -> int | None:
    own, peer = ends
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    wanted = _ID.pack(
        port, peer_port, own.packed.ljust(16, b"\0"), peer.packed.ljust(16, b"\0"), _NO_COOKIE
    )
    asked = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ALL_STATES) + wanted
    head = _HEADER.pack(_HEADER.size + len(asked), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.sendto(head + asked, (0, 0))
        answer = kernel.recv(4096, socket.MSG_DONTWAIT)
    if _HEADER.unpack_from(answer)[1] == _NLMSG_ERROR:
        (number,) = _ERROR.unpack_from(answer, _HEADER.size)
        error = OSError(-number, os.strerror(-number))
        if isinstance(error, FileNotFoundError):
            return None
        raise error
    if answer[_STATE] == _LISTENING:  # it is told of where there is no connection
        return None
    return int.from_bytes(answer[_INODE : _INODE + 4], sys.byteorder)


# --- its list is read -----------------------------------------------------------------------------


def _listed(own: Address, peer: Address) -> int | None:
    """The columns are those of https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html."""
    wanted = [_as_listed(own), _as_listed(peer)]
    for table in _LISTS:
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if [_without_mapping(field) for field in fields[1:3]] == wanted:
                return int(fields[9])
    return None


def _as_listed(address: Address) -> str:
    """An address as the kernel lists it: 32-bit words in the machine's own order, in hex."""
    packed = _host(address).packed
    words = (packed[i : i + 4] for i in range(0, len(packed), 4))
    listed = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{listed}:{address[1]:04X}"


def _without_mapping(listed: str) -> str:
    """An IPv4 address that is listed among IPv6 ones, as IPv4."""
    return listed[-13:] if listed[:-13] in _MAPPED else listed
