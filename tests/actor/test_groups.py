"""Groups: actors under one name, and how one is picked."""

import gc

import pytest
import trio

from actor.troupe import AT_ONCE, Performer, Stage, hold, raising
from wingman.actor import ActorStopped, ActorSystem, GroupEmpty, Mailbox


async def test_a_name_has_one_group(system: ActorSystem) -> None:
    group = system.group("crew")
    group.join(system.spawn(Performer))
    assert system.group("crew") is group
    assert system.group("others") is not group
    del group
    gc.collect()
    assert len(system.group("crew")) == 1, "its members keep it"


async def test_a_group_that_nobody_holds_or_is_in_is_forgotten(system: ActorSystem) -> None:
    member = system.spawn(Performer)
    system.group("crew").join(member)
    await member.stop()
    gc.collect()
    assert "crew" not in system._groups


async def test_a_broadcast_reaches_all_and_names_those_without_room(system: ActorSystem) -> None:
    group = system.group("crew")
    stages = [Stage() for _ in range(3)]
    refs = [system.spawn(stage, mailbox=1) for stage in stages]
    for ref in refs:
        group.join(ref)
    held = await hold(refs[1])
    assert group.broadcast("one") == ()
    assert group.broadcast("two") == (refs[1],) or len(group.broadcast("three")) == 3
    held.release()
    await trio.testing.wait_all_tasks_blocked()
    assert all("one" in stage.seen for stage in stages)


async def test_a_broadcast_obeys_a_mailbox_that_drops(system: ActorSystem) -> None:
    stage = Stage()
    ref = system.spawn(stage, mailbox=Mailbox(1, when_full="drop_oldest"))
    system.group("crew").join(ref)
    held = await hold(ref)
    for number in range(3):
        assert system.group("crew").broadcast(number) == ()
    held.release()
    await trio.testing.wait_all_tasks_blocked()
    assert stage.seen == [2]


async def test_round_robin_takes_each_in_its_turn(system: ActorSystem) -> None:
    group = system.group("crew")
    refs = [system.spawn(Performer) for _ in range(3)]
    for ref in refs:
        group.join(ref)
    assert [group.round_robin() for _ in range(6)] == refs * 2


async def test_equal_keys_go_to_one_member_and_only_those_of_one_that_leaves_move(
    system: ActorSystem,
) -> None:
    group = system.group("crew")
    refs = [system.spawn(Performer) for _ in range(4)]
    for ref in refs:
        group.join(ref)
    before = {key: group.for_key(key) for key in range(400)}
    assert before == {key: group.for_key(key) for key in range(400)}
    shares = [sum(ref is each for each in before.values()) for ref in refs]
    assert min(shares) > 50, shares
    await refs[2].stop()
    after = {key: group.for_key(key) for key in range(400)}
    moved = {key for key in before if before[key] is not after[key]}
    assert moved == {key for key, ref in before.items() if ref is refs[2]}


async def test_the_least_busy_is_picked_and_of_equals_each_in_its_turn(system: ActorSystem) -> None:
    group = system.group("crew")
    refs = [system.spawn(Performer) for _ in range(3)]
    for ref in refs:
        group.join(ref)
    assert {group.least_busy() for _ in range(3)} == set(refs)
    first, second = await hold(refs[0]), await hold(refs[1])
    assert all(group.least_busy() is refs[2] for _ in range(4))
    first.release()
    second.release()


async def test_an_actor_that_ends_leaves_its_groups_and_one_that_restarts_stays(
    system: ActorSystem,
) -> None:
    group = system.group("crew")
    ref = system.spawn(Performer, supervision=AT_ONCE)
    group.join(ref)
    group.join(ref)
    assert len(group) == 1
    with pytest.raises(ValueError, match="crash"):
        await ref.ask(raising(ValueError("crash")))
    await ref.ask("well")
    assert group.members == (ref,)
    await ref.stop()
    assert ref not in group
    with pytest.raises(ActorStopped):
        group.join(ref)


async def test_who_picks_from_an_empty_group_is_told_so(system: ActorSystem) -> None:
    group = system.group("crew")
    for pick in (group.round_robin, group.least_busy, lambda: group.for_key(1)):
        with pytest.raises(GroupEmpty, match="'crew' has no members"):
            pick()
    assert group.broadcast("anybody?") == ()
    group.leave(system.spawn(Performer))
