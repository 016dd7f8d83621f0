"""Directory: activation, passivation, quarantine."""

from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actor.troupe import AT_ONCE, Curtain, Performer, hold, raising, unhurried
from wingman.actor import (
    ActorStopped,
    ActorSystem,
    Backoff,
    Directory,
    Restart,
    Stop,
    Termination,
)


class House:
    """A directory's factory and hooks, and what they have seen."""

    def __init__(self) -> None:
        self.lives: list[Performer] = []
        self.ended: list[tuple[str, str]] = []
        self.asked: list[object] = []
        self.agrees = True

    def factory(self, key: str) -> Performer:
        self.lives.append(Performer())
        return self.lives[-1]

    def on_ended(self, key: str, termination: Termination) -> None:
        self.ended.append((key, termination.cause))

    def may_passivate(self, actor: object) -> bool:
        assert isinstance(actor, Performer)
        self.asked.append(actor)
        return self.agrees


async def test_an_idle_actor_passivates_after_its_time_and_costs_nothing(
    system: ActorSystem,
) -> None:
    house = House()
    directory = Directory(system, house.factory, idle_after=10, on_ended=house.on_ended)
    await directory.ref("a").ask("word")
    await trio.sleep(7)
    await directory.ref("b").ask("word")
    await trio.sleep(4)
    assert list(directory) == ["b"]
    assert "a" not in directory
    assert directory.find("a") is None
    assert len(system.snapshot()) == len(directory) == 1
    await trio.sleep(7)
    assert house.ended == [("a", "passivated"), ("b", "passivated")]


async def test_a_busy_actor_never_passivates_and_its_idle_time_begins_when_it_is_done(
    system: ActorSystem,
) -> None:
    house = House()
    directory = Directory(system, house.factory, idle_after=10)
    held = await hold(directory.ref("a"))
    await trio.sleep(100)
    assert "a" in directory
    held.release()
    await trio.sleep(9)
    assert "a" in directory
    await trio.sleep(2)
    assert "a" not in directory


async def test_who_may_not_passivate_is_asked_again_later(system: ActorSystem) -> None:
    house = House()
    directory = Directory(system, house.factory, idle_after=10, may_passivate=house.may_passivate)
    house.agrees = False
    await directory.ref("a").ask("word")
    await trio.sleep(35)
    assert len(house.asked) == 3
    assert "a" in directory
    house.agrees = True
    await trio.sleep(10)
    assert "a" not in directory


async def test_an_actor_between_two_lives_is_not_asked_whether_it_may_passivate(
    system: ActorSystem,
) -> None:
    house = House()
    restart = Restart(backoff=Backoff(initial=100, maximum=100, jitter=0))
    directory = Directory(
        system,
        house.factory,
        idle_after=10,
        may_passivate=house.may_passivate,
        supervision=restart,
    )
    ref = directory.ref("a")
    await ref.ask("word")
    ref.tell_nowait(raising(ValueError("crash")))
    await trio.sleep(99)
    assert house.asked == []
    await trio.sleep(1 + 10 + 1)
    assert house.asked == house.lives[1:]
    assert "a" not in directory


async def test_a_message_in_the_tick_of_the_passivation_keeps_the_actor_alive(
    system: ActorSystem,
) -> None:
    house = House()

    def write(actor: object) -> bool:
        if house.asked == house.lives[:1]:  # the one before was told to go
            directory.ref("a").tell_nowait("just in time")
        return house.may_passivate(actor)

    directory = Directory(system, house.factory, idle_after=10, may_passivate=write)
    await directory.ref("a").ask("first")
    await directory.ref("b").ask("first")
    await trio.sleep(15)
    assert [life.seen for life in house.lives] == [["first", "just in time"], ["first"]]
    assert list(directory) == ["a"]


async def test_the_one_that_was_used_last_passivates_last(system: ActorSystem) -> None:
    directory = Directory(system, lambda _: Performer(), idle_after=10)
    await directory.ref("a").ask("word")
    await trio.sleep(1)
    await directory.ref("b").ask("word")
    await trio.sleep(7)
    await directory.ref("a").ask("word")
    await trio.sleep(4)
    assert list(directory) == ["a"]


async def test_an_actor_that_cannot_passivate_crashes_and_begins_its_next_idle_time(
    system: ActorSystem,
) -> None:
    exits = iter((raising(ValueError("cannot be saved")), trio.lowlevel.checkpoint))
    directory = Directory(
        system, lambda _: Curtain(leave=next(exits)), idle_after=10, supervision=AT_ONCE
    )
    await directory.ref("a").ask("word")
    await trio.sleep(11)
    assert [(info.state, info.restarts) for info in system.snapshot()] == [("idle", 1)]
    await trio.sleep(10)
    assert len(directory) == 0
    assert directory.quarantined() == {}


async def test_stop_overtakes_a_passivation(system: ActorSystem) -> None:
    directory = Directory(system, lambda _: Curtain(leave=partial(trio.sleep, 10)), idle_after=5)
    ref = directory.ref("a")
    await trio.sleep(6)
    left = ref.submit("left")
    await ref.stop()
    with pytest.raises(ActorStopped, match="stopped"):
        left.reply()
    assert await directory.ref("a").ask("next life") == "next life"


async def test_what_is_sent_while_an_actor_is_killed_fails_and_what_comes_after_does_not(
    system: ActorSystem,
) -> None:
    directory = Directory(system, lambda _: Performer())
    ref = directory.ref("a")
    ref.tell_nowait(unhurried(5))
    await wait_all_tasks_blocked()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.kill)
        await wait_all_tasks_blocked()
        with pytest.raises(ActorStopped, match="killed"):
            await directory.ref("a").ask("meanwhile")
    assert await directory.ref("a").ask("after") == "after"


async def test_an_actor_that_crashes_too_often_is_quarantined_for_a_time(
    system: ActorSystem,
) -> None:
    house = House()
    directory = Directory(
        system, house.factory, supervision=Stop(), quarantine=60, on_ended=house.on_ended
    )
    directory.ref("bad").tell_nowait(raising(ValueError("crash")))
    await trio.sleep(1)
    with pytest.raises(ActorStopped, match="ValueError: crash"):
        directory.ref("bad")
    (quarantine,) = directory.quarantined().values()
    assert quarantine.until == 60
    assert await directory.ref("good").ask("well") == "well"
    await trio.sleep(59)
    assert directory.quarantined() == {}
    assert await directory.ref("bad").ask("well again") == "well again"
    assert house.ended == [("bad", "crashed")]


async def test_a_quarantine_can_be_ended(system: ActorSystem) -> None:
    directory = Directory(system, lambda _: Performer(), supervision=Stop())
    directory.ref("bad").tell_nowait(raising(ValueError("crash")))
    await wait_all_tasks_blocked()
    directory.release("bad")
    assert await directory.ref("bad").ask("well again") == "well again"


async def test_whoever_hears_that_an_actor_has_ended_may_activate_it_anew(
    system: ActorSystem,
) -> None:
    def again(key: str, termination: Termination) -> None:
        if termination.cause == "killed":
            directory.ref(key).tell_nowait("next life")

    house = House()
    directory = Directory(system, house.factory, on_ended=again)
    await directory.ref("a").ask("word")
    await directory.ref("a").kill()
    await wait_all_tasks_blocked()
    assert [life.seen for life in house.lives] == [["word"], ["next life"]]


async def test_a_key_whose_name_is_taken_is_refused_and_leaves_no_entry(
    system: ActorSystem,
) -> None:
    system.spawn(Performer, name="taken")
    directory = Directory(system, lambda _: Performer())
    for _ in range(2):
        with pytest.raises(ValueError, match="taken"):
            directory.ref("taken")
    assert len(directory) == 0


async def test_an_idle_time_is_positive(system: ActorSystem) -> None:
    with pytest.raises(ValueError, match="idle_after"):
        Directory(system, lambda _: Performer(), idle_after=0)
