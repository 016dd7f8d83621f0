"""What all tests share: how they are collected, and the state of the process that runs them."""

import gc
import os
import signal
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from postgres_kit import Cluster, a_cluster, emptied

# Each program that the tests start would compile all of Wingman again, which takes longer than to
# run it. The compiled files stand in `__pycache__`, which Git ignores.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect without collections of garbage: what is made here stays to the end.

    It is frozen then, so that no collection looks at it again. A full one, of which some tests ask
    for hundreds, would take a third of a second, and so takes a few milliseconds.
    """
    gc.disable()
    try:
        result = yield
    finally:
        gc.enable()
    gc.collect()
    gc.freeze()
    return result


LONG = Path(__file__).with_name("long.txt")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`: also the tests that take long."""
    parser.addoption("--long", action="store_true", help=f"also the tests that {LONG.name} names")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out, unless they are asked for: by `--long`, or one by its name.

    Each is the long form of what others look at in short, or one of many of its kind.
    """
    if config.getoption("--long") or any("::" in argument for argument in config.args):
        return
    long = set(LONG.read_text().splitlines())
    if len(config.args) == 1 and config.args[0].rstrip("/").endswith("tests"):
        known = {item.nodeid.partition("[")[0] for item in items}
        gone = sorted(name for name in long if name.partition("[")[0] not in known)
        if gone:
            raise pytest.UsageError(f"{LONG.name} names a test that is not there: {gone[0]}")
    left_out = [item for item in items if item.nodeid in long]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item.nodeid not in long]


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts tests and what they start, also where a shell has had it ignored.

    It does so for what is started in the background by `&` or `nohup`: then Python does not handle
    the signal, nor do programs that inherit this.
    """
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server, which is left running: who wants to stop one makes it."""
    with a_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_database(cluster: Cluster) -> str:
    """The URL of a database that many tests use, one after the other: `emptied` empties it."""
    return cluster.database("shared")


@pytest.fixture
def clean_database(cluster: Cluster, postgres_database: str) -> str:
    """The name of that database, in which Wingman's tables have no rows."""
    cluster.end_backends("datname = 'shared'")
    emptied(postgres_database)
    return "shared"


@pytest.fixture
def fresh_database(cluster: Cluster, postgres_database: str) -> Iterator[str]:
    """The name of that database, in which nothing is, and which a test may change as it likes."""
    cluster.clear("shared")
    yield "shared"
    cluster.clear("shared")
