"""Which socket of this machine is at one end of a connection."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from wingman.processes import sockets
from wingman.processes.sockets import ORPHANED, Address, inode_of, is_loopback

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells")

Pair = tuple[socket.socket, socket.socket]


@contextmanager
def connected(listens: str, connects: str) -> Iterator[Pair]:
    """Both ends of a connection: who connected, and who accepted."""
    family = socket.AF_INET6 if ":" in listens else socket.AF_INET
    dual = listens == "::"
    with socket.create_server((listens, 0), family=family, dualstack_ipv6=dual) as listener:
        client = socket.create_connection((connects, listener.getsockname()[1]))
        accepted, _ = listener.accept()
    with closing(client), closing(accepted):
        yield client, accepted


@pytest.fixture(params=["asked", "listed"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is asked, or its list is read."""

    def no_netlink(*_: object) -> None:
        raise PermissionError

    if request.param == "listed":
        monkeypatch.setattr(sockets, "_asked", no_netlink)


def _ends(pair: Pair) -> tuple[Address, Address]:
    """As the server sees them."""
    _, accepted = pair
    return accepted.getpeername()[:2], accepted.getsockname()[:2]


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(
    ("listens", "connects"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1")],
)
def test_both_ends_of_a_connection_are_found(listens: str, connects: str) -> None:
    with connected(listens, connects) as pair:
        client, accepted = pair
        there, here = _ends(pair)
        assert inode_of(there, here) == os.fstat(client.fileno()).st_ino
        assert inode_of(here, there) == os.fstat(accepted.fileno()).st_ino
        # Another port, of no connection; the port of one that listens.
        assert inode_of((there[0], 1), here) is None
        assert inode_of(here, (there[0], 1)) is None
        assert is_loopback(there)
        client.close()
        assert inode_of(there, here) == ORPHANED


@pytest.mark.usefixtures("_way")
def test_a_socket_of_another_machine_is_none_of_ours() -> None:
    assert inode_of(("192.0.2.1", 4000), ("127.0.0.1", 80)) is None
    assert inode_of(("2001:db8::1", 4000), ("::1", 80)) is None
    assert not is_loopback(("192.0.2.1", 4000))


def test_what_is_no_address_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="pipe"):
        inode_of(("pipe", 0), ("127.0.0.1", 80))
