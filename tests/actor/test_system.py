"""ActorSystem: names, snapshots, and every way in which its block ends."""

import ast
import signal
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import wingman.actor
from actor.troupe import Curtain, Performer, hold, raising, unhurried
from wingman.actor import (
    ActorRef,
    ActorStopped,
    ActorSystem,
    Backoff,
    DeliveryState,
    Directory,
    Escalate,
    Restart,
    Stop,
    Termination,
)


async def test_the_end_of_the_block_lets_every_actor_finish_its_message() -> None:
    async with ActorSystem() as system:
        refs = [system.spawn(Performer) for _ in range(3)]
        deliveries = [ref.submit(partial(trio.sleep, 5)) for ref in refs]
        left = refs[0].submit("left")
        await wait_all_tasks_blocked()
    assert {delivery.state for delivery in deliveries} == {DeliveryState.DONE}
    assert left.state is DeliveryState.FAILED
    assert trio.current_time() == 5


async def test_the_end_of_the_block_interrupts_back_offs_and_sweepers() -> None:
    async with ActorSystem() as system:
        slow = Restart(backoff=Backoff(initial=100, maximum=100))
        system.spawn(Performer, supervision=slow).tell_nowait(raising(ValueError("crash")))
        Directory(system, lambda _: Performer(), idle_after=100).ref("idle")
        await wait_all_tasks_blocked()
    assert trio.current_time() == 0


async def test_actors_that_are_spawned_while_the_system_ends_are_ended_too() -> None:
    late: list[ActorRef] = []

    async def leave() -> None:
        late.append(system.spawn(Performer))
        assert await late[0].ask("still here") == "still here"

    async with ActorSystem() as system:
        system.spawn(partial(Curtain, leave=leave))
        await wait_all_tasks_blocked()
    assert await late[0].wait_stopped() == Termination("stopped")
    with pytest.raises(RuntimeError, match="not open"):
        system.spawn(Performer)


async def test_an_error_in_the_block_cancels_every_actor() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(KeyError)):
        async with ActorSystem() as system:
            held = await hold(system.spawn(Performer))
            raise KeyError
    assert held.ended == "cancelled"
    assert system.snapshot() == []


async def test_a_cancel_while_the_system_ends_cancels_every_actor() -> None:
    with trio.move_on_after(1) as scope:
        async with ActorSystem() as system:
            delivery = system.spawn(Performer).submit(unhurried(5))
            await wait_all_tasks_blocked()
    assert scope.cancelled_caught
    assert delivery.state is DeliveryState.CANCELLED
    assert trio.current_time() == 1 + 5


async def test_an_error_beside_the_systems_cancellation_stays_in_the_actor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def act() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("unwinding")

    with trio.move_on_after(1):
        async with ActorSystem() as system:
            delivery = system.spawn(Performer).submit(act)
            await trio.sleep_forever()
    assert delivery.state is DeliveryState.FAILED
    assert "unwinding" in caplog.text


@pytest.mark.parametrize("seconds", [0, 5])
async def test_an_interrupt_out_of_receive_ends_the_system_and_settles_every_delivery(
    seconds: float,
) -> None:
    async def act() -> None:
        await trio.sleep(1)
        signal.raise_signal(signal.SIGINT)

    with pytest.RaisesGroup(pytest.RaisesExc(KeyboardInterrupt)):
        async with ActorSystem() as system:
            ref = system.spawn(Performer)
            deliveries = [ref.submit(message) for message in (act, "left")]
            other = system.spawn(Performer).submit(trio.sleep_forever)
            await trio.sleep(seconds)
    assert [d.state.value for d in (*deliveries, other)] == ["cancelled", "failed", "cancelled"]


def test_no_two_modules_of_the_runtime_import_each_other() -> None:
    root = Path(wingman.actor.__file__).parent
    imported: dict[str, set[str]] = {}
    for path in root.glob("[!_]*.py"):
        # What stands under `if TYPE_CHECKING` is no import at run time, and no child of the module.
        nodes = ast.parse(path.read_text()).body
        names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        imported[path.stem] = {n.rpartition(".")[2] for n in names if n.startswith("wingman.actor")}
    # Raises CycleError where there is a cycle.
    order = list(TopologicalSorter(imported).static_order())
    places = [order.index(name) for name in ("queue", "worker", "cell", "context", "system")]
    assert places == sorted(places)


async def test_an_escalation_reaches_its_asker_too() -> None:
    error = ValueError("crash")
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, check=lambda e: e is error)):
        async with ActorSystem() as system:
            delivery = system.spawn(Performer, supervision=Escalate()).submit(raising(error))
            await trio.sleep_forever()
    with pytest.raises(ValueError, match="crash"):
        delivery.reply()


async def test_a_name_is_taken_for_as_long_as_its_actor_lives(system: ActorSystem) -> None:
    ref = system.spawn(Performer, name="one")
    with pytest.raises(ValueError, match="one"):
        system.spawn(Performer, name="one")
    await ref.stop()
    assert await system.spawn(Performer, name="one").ask("again") == "again"
    with pytest.raises(ActorStopped):
        await ref.ask("the old one")


async def test_a_system_that_is_not_open_spawns_nothing() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        ActorSystem().spawn(Performer)


async def test_a_snapshot_shows_every_live_actor(system: ActorSystem) -> None:
    busy = system.spawn(Performer, name="busy")
    idle = system.spawn(Performer, name="idle")
    await idle.ask("word")
    held = await hold(busy)
    busy.tell_nowait("waits")
    by_name = {info.name: info for info in system.snapshot()}
    assert (by_name["idle"].state, by_name["idle"].handled) == ("idle", 1)
    assert by_name["idle"].processing is by_name["idle"].processing_for is None
    assert by_name["busy"].state == "processing"
    assert by_name["busy"].processing is held
    assert by_name["busy"].processing_for is not None
    assert by_name["busy"].mailbox == 1
    held.release()


@pytest.mark.parametrize("keep", ["system", "directory"])
async def test_what_makes_no_actor_is_refused_with_a_sentence(keep: str) -> None:
    class Account:
        def __init__(self, *_: object) -> None:
            pass

        async def receive(self, message: object) -> object:
            return message

    class NoActor:
        pass

    async def make(*_: object) -> Account:
        return Account()

    async with ActorSystem() as system:
        take: Any = system.spawn if keep == "system" else partial(Directory, system)
        for factory, sentence in (
            (Account(), "a factory, such as the class Account itself"),
            ("Account", "give a factory"),
            (None, "give a factory"),
            (make, "is async, and the factory of an actor is not"),
            (NoActor, r"NoActor is no actor: it needs `async def receive"),
        ):
            with pytest.raises(TypeError, match=sentence):
                take(factory)
        assert system.snapshot() == []


async def test_a_factory_that_gives_what_is_no_actor_says_so() -> None:
    async with ActorSystem() as system:
        ref = system.spawn(lambda: "a text", supervision=Stop())
        with pytest.raises(ActorStopped, match="str is no actor: it needs `async def receive"):
            await ref.ask("hello")
