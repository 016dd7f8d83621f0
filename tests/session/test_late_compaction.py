"""A compaction that is being recorded when its run is cancelled counts once it is recorded."""

import trio
from trio.testing import MockClock

from session_kit import LateStore, agent, live_of, opened
from wingman.providers import Request
from wingman.store import HistoryCompacted


async def test_it_is_shown_as_it_is_stored_although_its_run_was_cancelled(
    autojump_clock: MockClock,
) -> None:
    helper = agent(lambda request: said(request))
    store = LateStore(HistoryCompacted)
    async with opened(helper, store=store) as runtime:
        session = await runtime.create_session(helper)
        for number in range(3):
            await session.run(f"turn {number} " + "please " * 200)
        with trio.move_on_after(0.5):
            await session.compact()
        await trio.sleep(2)
        stored = await store.session(session.id)
        assert stored is not None
        assert stored.compacted is not None
        assert live_of(runtime, session.id).view.compacted == stored.compacted
        assert (await session.run("next")).stop_reason == "end_turn"


def said(request: Request) -> str:
    return "a summary" if request.system.startswith("You summarise") else "an answer"
