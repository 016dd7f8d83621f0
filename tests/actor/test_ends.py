"""Ends that random programs found to take too long, or to come in an order of chance."""

from functools import partial
from typing import Any

import pytest
import trio

from actor.troupe import Performer, raising
from wingman.actor import ActorRef, ActorSystem, Backoff, Context, Directory, Restart
from wingman.actor.testing import run


class Parent(Performer):
    """Spawns performers; told a number, it sleeps for so long."""

    def __init__(self, context: Context[Any]) -> None:
        super().__init__()
        self.context = context
        self.child = context.spawn(Performer, name="child")

    async def receive(self, message: Any) -> Any:
        match message:
            case "child":
                return self.child
            case int():
                await trio.sleep(message)
                return None
        return await super().receive(message)


@pytest.mark.parametrize("end", ["kill", "cancel"])
async def test_a_parent_that_is_killed_as_its_child_waits_for_its_reply_ends_at_once(
    end: str,
) -> None:
    with trio.CancelScope() as scope:
        async with ActorSystem() as system:
            parent = system.spawn(Parent)
            child: ActorRef[Any, Any] = await parent.ask("child")

            child.tell_nowait(partial(parent.ask, 100))
            await trio.sleep(1)
            if end == "kill":
                await parent.kill()
            else:
                scope.cancel()
    assert trio.current_time() == pytest.approx(1)


def test_members_of_a_round_that_end_late_begin_in_the_order_they_were_spawned() -> None:
    async def main() -> list[str]:
        begun: list[str] = []

        class Late(Performer):
            def __init__(self, name: str) -> None:
                super().__init__()
                begun.append(name)

            async def __aenter__(self) -> None:
                await trio.lowlevel.checkpoint()

            async def __aexit__(self, *_: object) -> None:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)

        def company(context: Context[Any]) -> Performer:
            policy = Restart(backoff=Backoff(initial=0), strategy="one_for_all")
            for number in range(12):
                context.spawn(
                    lambda number=number: Late(str(number)),
                    name=str(number),
                    supervision=policy,
                    stop_within=0.1,
                )
            context.spawn(Performer, name="first", supervision=policy, stop_within=0.1)
            return Performer()

        async with ActorSystem() as system:
            system.spawn(company)
            await trio.sleep(1)
            begun.clear()
            first = next(iter(system.family.cells.values())).children
            crashing = next(cell for cell in first if cell.own_name == "first")
            crashing.ref.tell_nowait(raising(LookupError()))
            await trio.sleep(10)
        return begun

    for seed in range(5):
        assert run(main, seed=seed) == [str(number) for number in range(12)]


async def test_an_actor_passivates_when_what_it_has_put_aside_is_cancelled(
    system: ActorSystem,
) -> None:
    class Unready:
        def __init__(self, context: Context[Any]) -> None:
            self.context = context

        async def receive(self, message: Any) -> None:
            self.context.stash()

    directory = Directory(system, lambda _, context: Unready(context), idle_after=3)
    delivery = directory.ref("a").submit("not yet")
    await trio.sleep(20)
    assert "a" in directory  # it has something to do, some time
    delivery.cancel()
    await trio.sleep(7)
    assert "a" not in directory
