"""A thousand runs that wait for people: they hold no place and no thread, and outlive a restart."""

import threading
from pathlib import Path
from typing import Final

import pytest
import trio

from permission_kit import Hand, at_rest, pending
from postgres_kit import emptied
from session_kit import opened
from wingman import Limits, PermissionRequest, Runtime
from wingman.store import MemoryStore, Store, open_store

_LIMITS: Final = Limits(runs=1, waiting=1010)


def hands() -> tuple[Hand, Hand]:
    asking = Hand({"go": [[("guarded", "a")]]})
    free = Hand({"go": [[("free", "b")]]}, name="free")
    return asking, free


async def answer(runtime: Runtime, requests: list[PermissionRequest]) -> None:
    async with trio.open_nursery() as nursery:
        for request in requests:
            nursery.start_soon(runtime.answer, request.session_id, request.id, "once")


async def go_beside(runtime: Runtime) -> None:
    """Another session's run has the one place."""
    other = await runtime.create_session("free")
    with trio.fail_after(10):
        assert (await other.run("go")).response == "Done."


# In a file it is no other, and takes longer.
@pytest.mark.parametrize(("kind", "count"), [("memory", 1000), ("sqlite", 150), ("postgres", 40)])
async def test_a_thousand_runs_that_wait_hold_no_place_and_no_thread(
    kind: str, count: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def store() -> Store:
        if kind == "postgres":
            return open_store(request.getfixturevalue("postgres_database"))
        return open_store(f"sqlite:///{tmp_path}/wingman.db")

    if kind == "postgres":
        emptied(request.getfixturevalue("postgres_database"))
    memory = MemoryStore()
    asking, free = hands()
    async with opened(
        asking.agent(), free.agent(), store=memory if kind == "memory" else store(), limits=_LIMITS
    ) as runtime:
        await go_beside(runtime)
        threads = threading.active_count()

        async def go() -> None:
            session = await runtime.create_session("hand")
            await session.submit("go")

        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(go)
        room = runtime._root.services.room
        with trio.fail_after(60):
            while room.asking < count:  # noqa: ASYNC110 it is no event
                await trio.sleep(0.01)
        requests = await pending(runtime)
        status = runtime.status()
        assert (status.in_flight, status.asking, status.waiting) == (0, count, 0)
        assert threading.active_count() <= threads + 40  # what looks at directories is idle soon
        await go_beside(runtime)
        await runtime.drain(60)
    async with opened(
        asking.agent(), free.agent(), store=memory if kind == "memory" else store(), limits=_LIMITS
    ) as runtime:
        assert await pending(runtime) == requests
        await go_beside(runtime)
        await answer(runtime, requests)
        with trio.fail_after(60):
            while await runtime.store.runs(statuses=("running", "waiting")):  # noqa: ASYNC110
                await trio.sleep(0.1)
        assert len(await runtime.store.runs(statuses=("completed",))) == count + 3
        assert asking.ran == ["a"] * count
        assert await pending(runtime) == []
        await trio.sleep(0.1)
        assert at_rest(runtime)
