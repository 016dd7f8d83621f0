"""Two nodes in one process, each served on its own port, over one database."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from postgres_kit import Cluster, Proxy
from server_kit import Server, Stage, serving


@attrs.define(eq=False)
class Pair:
    """Two nodes. The way of the `first` one to the database is a proxy's."""

    first: Server
    second: Server
    proxy: Proxy
    cluster: Cluster
    database: str

    def cut_off_first(self) -> None:
        """Have the first node lose all its connections, and get no others."""
        self.proxy.shut = True
        self.proxy.cut()

    def let_in_first(self) -> None:
        self.proxy.shut = False


def number_of(server: Server) -> int:
    """The number of the node that this is now."""
    assert server.runtime.member is not None
    return server.runtime.member.nodes.number


async def until(true: Any, seconds: float = 30) -> None:
    """Return when this is so."""
    with trio.fail_after(seconds):
        while not (await found if hasattr(found := true(), "__await__") else found):  # noqa: ASYNC110
            await trio.sleep(0.02)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes look at each other more often than they do in earnest."""
    monkeypatch.setattr("wingman.cluster.member.LOOK_SECONDS", 0.1)
    monkeypatch.setattr("wingman.cluster.member._SELF_SECONDS", 0.05)
    monkeypatch.setattr("wingman.cluster.decisions.LOST_SECONDS", 0.3)
    monkeypatch.setattr("wingman.store.postgres.store._BEAT_EVERY", 0.05)
    monkeypatch.setattr("wingman.store.sql.store.READERS", 2)


@asynccontextmanager
async def a_pair(cluster: Cluster, database: str, **options: Any) -> AsyncIterator[Pair]:
    stage = Stage()
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(Proxy(cluster))
        first = await stack.enter_async_context(
            serving(proxy.url(database), stage=stage, **options)
        )
        second = await stack.enter_async_context(
            serving(cluster.url(database), stage=stage, **options)
        )
        pair = Pair(first, second, proxy, cluster, database)
        try:
            yield pair
        finally:
            pair.let_in_first()


@pytest.fixture
async def pair(cluster: Cluster, clean_database: str) -> AsyncIterator[Pair]:
    async with a_pair(cluster, clean_database) as pair:
        yield pair
