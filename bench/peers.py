"""Peers: other agent libraries in process, and other servers, beside Wingman.

The bench installs them, each in an environment of its own in the cache directory, when it runs for
the first time; that takes some minutes. With `--quick` it installs nothing, and only those take
part that are there. Who cannot take part has a row that says why.
"""

from bench import _libraries, _peer_servers
from bench._report import Row


def measure(quick: bool) -> list[Row]:
    """Measure all of it; some minutes."""
    return [*_libraries.rows(quick), *_peer_servers.rows(quick)]
