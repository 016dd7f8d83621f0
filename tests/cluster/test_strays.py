"""Sessions that are a node's by the store, and of which the node does not know."""

from collections.abc import Collection, Sequence
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from wingman.cluster import ClusterOwners
from wingman.errors import StoreUnavailable
from wingman.store import Change, Nodes, Ownership, SessionClaimed, SessionReleased, Store


class Recorded:
    async def wait(self) -> None:
        await trio.lowlevel.checkpoint()


class Refused:
    async def wait(self) -> None:
        await trio.lowlevel.checkpoint()
        raise StoreUnavailable("The connection was lost.")


class Writes:
    """A store that takes all, and refuses the first ones."""

    def __init__(self, refused: int = 0) -> None:
        self.taken: list[Change] = []
        self._refused = refused

    def write(self, change: Change) -> Any:
        self.taken.append(change)
        self._refused -= 1
        return Recorded() if self._refused < 0 else Refused()


class Slow:
    """Nodes of which nobody owns anything; who owns what is not said before `known`."""

    number = 1

    def __init__(self) -> None:
        self.known = trio.Event()

    async def ownership(self, session_id: str) -> Ownership:
        return Ownership(owner=None, node=None, label=None, work_dir="/")

    async def owned(self, session_ids: Sequence[str]) -> Collection[str]:
        await self.known.wait()
        return session_ids


def owners_over(store: Writes, nodes: Slow, strays: list[str]) -> ClusterOwners:
    owners = ClusterOwners(cast("Store", store), cast("Nodes", nodes))
    owners.on_stray = strays.extend
    return owners


async def test_a_claim_whose_caller_leaves_before_it_is_known_is_let_go_of() -> None:
    store, nodes, strays = Writes(), Slow(), list[str]()
    owners = owners_over(store, nodes, strays)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(owners.claim, "s1")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert strays == ["s1"]
    assert await owners.let_go("s1")
    assert store.taken == [SessionClaimed("s1", None), SessionReleased("s1")]


async def test_a_claim_that_the_database_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wingman.cluster.owners._CLAIM_SECONDS", 0.02)
    strays: list[str] = []
    owners = owners_over(Writes(), Slow(), strays)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await owners.claim("s1")
    assert strays == ["s1"]


async def test_a_claim_that_is_known_is_kept() -> None:
    store, nodes, strays = Writes(), Slow(), list[str]()
    owners = owners_over(store, nodes, strays)
    nodes.known.set()
    await owners.claim("s1")
    assert strays == []
    assert await owners.let_go("s1")  # somebody thought so before
    assert store.taken == [SessionClaimed("s1", None)]


async def test_what_is_owned_after_a_rebirth_and_not_known_is_let_go_of_until_it_is_recorded() -> (
    None
):
    store, nodes, strays = Writes(refused=1), Slow(), list[str]()
    owners = owners_over(store, nodes, strays)
    assert owners.reborn(["s1"]) == set()
    assert strays == ["s1"]
    assert not await owners.let_go("s1")
    assert await owners.let_go("s1")
