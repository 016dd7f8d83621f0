"""Cancelled at any checkpoint of asking, answering, waiting for a place and running, a run that
needs answers leaves nothing behind: a valid history, one end, no request that waits."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from journal_kit import Journal
from permission_kit import AtStep, Hand, answer_all, at_rest, pending, results_of
from session_kit import assert_ends, assert_sendable, assert_valid, live_of, opened
from wingman import Limits, Runtime, Session
from wingman.session import Run

PLANS: Final[dict[str, list[Sequence[tuple[str, str]]]]] = {
    "go": [
        [("free", "a"), ("guarded", "b"), ("guarded", "c"), ("forbidden", "d")],
        [("guarded", "e")],
    ],
    "again": [[("free", "again")]],
}
Cut = Callable[[Runtime, Session, Run, trio.Nursery], None]


def hand() -> Hand:
    return Hand(PLANS, seconds=0.2)


def cut_call(runtime: Runtime, session: Session, run: Run, nursery: trio.Nursery) -> None:
    """Cancel the first call of the step under way that needs an answer."""
    live = run._live
    assert live is not None
    for call in () if live.state.calls is None else live.state.calls.calls.values():
        if call.block.name == "guarded" and not call.ended.is_set():
            nursery.start_soon(runtime.cancel_tool, session.id, run.id, call.block.id)
            return


def cut_run(runtime: Runtime, session: Session, run: Run, nursery: trio.Nursery) -> None:
    run.request_cancel()


def cut_all(runtime: Runtime, session: Session, run: Run, nursery: trio.Nursery) -> None:
    nursery.start_soon(partial(session.cancel, queued=True))


def expire(runtime: Runtime, session: Session, run: Run, nursery: trio.Nursery) -> None:
    """Its time is over."""
    assert run._live is not None
    run._live.expire()


class AnswererGone:
    """Whoever answers goes away, and another one comes later."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()

    async def answer(self, runtime: Runtime) -> None:
        with self.scope:
            await answer_all(runtime)
        await trio.sleep(1)
        await answer_all(runtime)

    def __call__(self, *_: object) -> None:
        self.scope.cancel()


async def play(step: int, cut: Cut, delay: float | None) -> bool:
    """Play the program, and cut it at a step of the scheduler; whether it was still running."""
    helper, gone = hand(), AnswererGone()
    cut = gone if cut is AnswererGone else cut
    store = Journal(delay)
    async with opened(
        helper.agent(),
        Hand(name="other", seconds=0.3, plans=PLANS).agent(None),
        store=store,
        limits=Limits(runs=1),
    ) as runtime:
        session = await runtime.create_session("hand")
        other = await runtime.create_session("other")
        live = live_of(runtime, session.id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gone.answer, runtime)
            run = await session.submit("go")
            queued = await session.submit("again")
            beside = await other.submit("go")
            at = AtStep(step, lambda: cut(runtime, session, run, nursery))
            trio.lowlevel.add_instrument(at)
            with trio.fail_after(100):
                await run.wait()
                was_running = at.left <= 0
                trio.lowlevel.remove_instrument(at)
                await queued.wait()
                await beside.wait()
            nursery.cancel_scope.cancel()
        assert at_rest(runtime)
        assert await pending(runtime) == []
        await check(runtime, session, helper)
        assert beside.status == "completed"
        assert (live.runs, live.current) == ({}, None)
        assert runtime._root.services.system.dead_letters == 0
        assert [info.restarts for info in runtime._root.services.system.snapshot()] == [0, 0]
    return was_running


async def check(runtime: Runtime, session: Session, helper: Hand) -> None:
    """The history is valid, each run has its one end, and nothing has run twice."""
    live = live_of(runtime, session.id)
    assert_valid(await session.history())
    for request in helper.requests:
        assert_sendable(request.messages)
    assert_ends(live.channel.read(0), [r.id for r in await runtime.store.runs(session.id)])
    assert len(set(helper.ran)) == len(helper.ran), "ran twice"
    assert "d" not in helper.ran
    requests = await runtime.permissions(session.id, ())
    assert all(request.resolved_at is not None for request in requests)
    assert not await unfinished(runtime)


# So many steps lie between two cuts; where the first one is differs from test to test.
_STRIDE: Final = 19
CUTS: Final = (cut_call, cut_run, cut_all, expire, AnswererGone)


@pytest.mark.parametrize("delay", [None, 0.01])
@pytest.mark.parametrize("cut", CUTS)
def test_a_run_that_needs_answers_can_be_cut_anywhere(cut: Any, delay: float | None) -> None:
    step = 1 + CUTS.index(cut)
    while trio.run(play, step, cut, delay, clock=MockClock(autojump_threshold=0)):
        step += _STRIDE
    assert step > 50  # it had its answers before it was over


async def close(step: int, grace: float | None, delay: float | None) -> bool:
    """Close the runtime at a step of the scheduler, with a drain before or without, and open it
    again over what was written; whether the run had not ended by then."""
    helper, store, at = hand(), Journal(delay), None
    async with opened(helper.agent(), store=store, limits=Limits(runs=1)) as runtime:
        session = await runtime.create_session("hand")
        closing = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_all, runtime)
            run = await session.submit("go")
            queued = await session.submit("again")
            at = AtStep(step, closing.set)
            trio.lowlevel.add_instrument(at)
            with trio.move_on_after(100):
                async with trio.open_nursery() as inner:

                    async def stop_at_the_end() -> None:
                        await queued.wait()
                        inner.cancel_scope.cancel()

                    inner.start_soon(stop_at_the_end)
                    await closing.wait()
                    inner.cancel_scope.cancel()
            trio.lowlevel.remove_instrument(at)
            was_running = not queued.ended
            if grace is not None:
                with trio.fail_after(grace + 2):
                    await runtime.drain(grace)
            nursery.cancel_scope.cancel()
    ran = list(helper.ran)
    async with opened(helper.agent(), store=Journal(calls=store.written)) as runtime:
        session = await runtime.session(session.id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_all, runtime)
            with trio.fail_after(100):
                while await unfinished(runtime):  # noqa: ASYNC110 it is no event
                    await trio.sleep(0.1)
                assert (await session.run("end")).response == "Done."
            nursery.cancel_scope.cancel()
        assert at_rest(runtime)
        assert await pending(runtime) == []
        assert_valid(await session.history())
        first, second, _ = reversed(await runtime.store.runs(session.id))
        assert second.status in ("completed", "interrupted")
        assert first.status in ("completed", "interrupted")
        results = await results_of(runtime, run)
        check_results(results, helper.ran)
    for request in helper.requests:
        assert_sendable(request.messages)
    assert len(set(helper.ran)) == len(helper.ran), "ran twice"
    assert helper.ran[: len(ran)] == ran
    return was_running


async def unfinished(runtime: Runtime) -> Sequence[object]:
    """The runs that have not ended."""
    return await runtime.store.runs(statuses=("running", "waiting", "queued"))


def check_results(results: Sequence[str], ran: Sequence[str]) -> None:
    """What the model was told of each call is true."""
    for name, result in zip("abcde", results, strict=False):
        if result == f"{name} done":
            assert name in ran
        elif name == "d":
            assert result.startswith("Not allowed")
        else:
            assert "Interrupted" in result, result


@pytest.mark.parametrize("delay", [None, 0.01])
@pytest.mark.parametrize("grace", [None, 0.0, 0.1])
def test_a_run_that_needs_answers_goes_on_after_a_close_anywhere(
    grace: float | None, delay: float | None
) -> None:
    step = 1 + int((grace or 0) * 10)
    while trio.run(close, step, grace, delay, clock=MockClock(autojump_threshold=0)):
        step += _STRIDE
    assert step > 50
