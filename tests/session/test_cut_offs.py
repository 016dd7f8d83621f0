"""What another process left running is ended once, however many ask and leave."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from wingman.errors import StoreUnavailable
from wingman.session.cut_offs import CutOffs


async def test_who_leaves_has_it_ended_all_the_same_and_the_next_one_waits_for_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []
    recorded = trio.Event()

    async def end_cut_off(session_id: str, *_: object) -> None:
        ended.append(session_id)
        await recorded.wait()

    monkeypatch.setattr("wingman.session.cut_offs.end_cut_off", end_cut_off)
    async with trio.open_nursery() as runtime:
        cut_offs = over(runtime)
        with trio.move_on_after(0.01):
            await cut_offs.end("s1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut_offs.end, "s1")
            await wait_all_tasks_blocked()
            recorded.set()
    assert ended == ["s1"]


async def test_all_who_wait_are_told_why_it_cannot_be_and_the_next_one_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [StoreUnavailable("The disk is full.")]

    async def end_cut_off(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        if failures:
            raise failures.pop()

    monkeypatch.setattr("wingman.session.cut_offs.end_cut_off", end_cut_off)
    async with trio.open_nursery() as runtime:
        cut_offs = over(runtime)
        with pytest.RaisesGroup(StoreUnavailable, StoreUnavailable):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cut_offs.end, "s1")
                nursery.start_soon(cut_offs.end, "s1")
        await cut_offs.end("s1")


def over(runtime: trio.Nursery) -> CutOffs:
    services: Any = SimpleNamespace(
        store=None,
        model=SimpleNamespace(metrics=None),
        spawn=lambda function, name: runtime.start_soon(function, name=name),
    )
    return CutOffs(services)
