"""A thousand runs that wait for people: they hold no place and no thread, and outlive a restart."""

import threading
from pathlib import Path
from typing import Final

import pytest
import trio

from permission_kit import Hand, at_rest, pending
from session_kit import opened
from wingman import Limits, PermissionRequest, Runtime, Session
from wingman.store import MemoryStore, Store, open_store

_COUNT: Final = 1000
_LIMITS: Final = Limits(runs=1, waiting=_COUNT + 10)


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


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_thousand_runs_that_wait_hold_no_place_and_no_thread(
    kind: str, tmp_path: Path
) -> None:
    def store() -> Store:
        return open_store(f"sqlite:///{tmp_path}/wingman.db")

    memory = MemoryStore()
    asking, free = hands()
    ids: list[tuple[str, str]] = []
    async with opened(
        asking.agent(), free.agent(), store=memory if kind == "memory" else store(), limits=_LIMITS
    ) as runtime:
        sessions = [await runtime.create_session("hand") for _ in range(_COUNT)]
        await go_beside(runtime)
        threads = threading.active_count()

        async def go(session: Session) -> None:
            run = await session.submit("go")
            ids.append((session.id, run.id))

        async with trio.open_nursery() as nursery:
            for session in sessions:
                nursery.start_soon(go, session)
        with trio.fail_after(60):
            while runtime.status().asking < _COUNT:  # noqa: ASYNC110 it is no event
                await trio.sleep(0.01)
        requests = await pending(runtime)
        status = runtime.status()
        assert (status.in_flight, status.asking, status.waiting) == (0, _COUNT, 0)
        assert threading.active_count() <= threads
        await go_beside(runtime)
        await runtime.drain(60)
    async with opened(
        asking.agent(), free.agent(), store=memory if kind == "memory" else store(), limits=_LIMITS
    ) as runtime:
        assert await pending(runtime) == requests
        await go_beside(runtime)
        await answer(runtime, requests)
        for session_id, run_id in ids:
            run = await runtime.run(session_id, run_id)
            await run.wait()
            assert run.status == "completed"
        assert asking.ran == ["a"] * _COUNT
        assert await pending(runtime) == []
        assert at_rest(runtime)
