"""Actors, from threads in which no Trio runs."""

import threading
from typing import Any

import pytest
import trio

from actor.troupe import Stage, raising
from wingman.actor import ActorRef, ActorStopped, ActorSystem

guarantee = pytest.mark.guarantee


def real_time(main: Any) -> None:
    trio.run(main)


@guarantee(35)
def test_threads_tell_and_ask_and_each_ones_order_is_kept() -> None:
    stage = Stage()

    async def main() -> None:
        async with ActorSystem() as system:
            ref = system.spawn(stage, mailbox=3)

            def send(sender: int) -> None:
                for number in range(20):
                    ref.from_thread.tell((sender, number))
                assert ref.from_thread.ask((sender, 20)) == (sender, 20)

            threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, send, 4)
                for thread in threads:
                    nursery.start_soon(trio.to_thread.run_sync, thread.join)

    real_time(main)
    for sender in range(5):
        assert [n for who, n in stage.seen if who == sender] == list(range(21))


@guarantee(35)
def test_what_the_actor_raises_reaches_the_thread() -> None:
    async def main() -> None:
        async with ActorSystem() as system:
            ref = system.spawn(Stage(), expected=(KeyError,))

            def ask() -> None:
                with pytest.raises(KeyError, match="missing"):
                    ref.from_thread.ask(raising(KeyError("missing")))

            await trio.to_thread.run_sync(ask)

    real_time(main)


@guarantee(35)
def test_a_thread_is_refused_when_the_run_is_over() -> None:
    refs: list[ActorRef] = []

    async def main() -> None:
        async with ActorSystem() as system:
            refs.append(system.spawn(Stage()))

    real_time(main)
    for send in (refs[0].from_thread.tell, refs[0].from_thread.ask):
        with pytest.raises(ActorStopped, match="has ended"):
            send("late")


async def test_trios_own_thread_is_refused(system: ActorSystem) -> None:
    ref = system.spawn(Stage())
    with pytest.raises(RuntimeError, match="thread"):
        ref.from_thread.ask("here")
