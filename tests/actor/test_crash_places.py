"""A crash at every place of a life, under every supervision, in several orders of things."""

from functools import partial
from itertools import product
from typing import Any, Self

import pytest
import trio

from wingman.actor import (
    ActorError,
    ActorRef,
    ActorSystem,
    Backoff,
    Context,
    Escalate,
    Restart,
    Stop,
    Supervision,
    Termination,
)
from wingman.actor.supervision import Strategy
from wingman.actor.testing import explore
from wingman.foreign import ForeignFailure

NAMES = ("first", "second", "third")
SEEDS = range(3)
WITHOUT_END = 10**6

STRATEGIES: dict[Strategy, list[str]] = {
    "one_for_one": ["second"],
    "one_for_all": ["first", "second", "third"],
    "rest_for_one": ["second", "third"],
}
AT_THE_START = ("factory", "aenter", "slow start")
IN_A_MESSAGE = ("receive", "aexit", "child", "grandchild")


class Crash(Exception):
    """Not expected: the actor crashes."""


class Play:
    """What one actor of three does wrong, where and how often; and what was seen of all."""

    def __init__(self, place: str, times: int, policy: Supervision, patience: float = 5.0) -> None:
        self.place = place
        self.left = times
        self.policy = policy
        self.patience = patience
        self.begun: list[str] = []
        self.inside: list[str] = []
        self.parents = 0

    def crash_at(self, name: str, place: str) -> None:
        if name == "second" and place == self.place and self.left:
            self.left -= 1
            raise Crash(place)


class Member:
    """One of three siblings. It asks its play everywhere whether to crash."""

    def __init__(self, play: Play, name: str, context: Context[Any]) -> None:
        play.crash_at(name, "factory")
        self.play = play
        self.name = name
        self.context = context

    async def __aenter__(self) -> Self:
        self.play.begun.append(self.name)
        await trio.lowlevel.checkpoint()
        self.play.crash_at(self.name, "aenter")
        try:
            self.play.crash_at(self.name, "slow start")
        except Crash:
            await trio.sleep_forever()
        self.play.inside.append(self.name)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.play.inside.remove(self.name)
        with trio.CancelScope(shield=True):
            await trio.sleep(0.1)
        self.play.crash_at(self.name, "aexit")

    async def receive(self, message: Any) -> Any:
        match message:
            case "act":
                self.play.crash_at(self.name, "receive")
                if self.name == "second" and self.play.left:
                    if self.play.place == "aexit":
                        raise ValueError("then its __aexit__ raises another")
                    self._let_one_below_crash()
                    await trio.sleep_forever()
            case "shielded":
                with trio.CancelScope(shield=True):
                    await trio.sleep(30)
        return message

    def _let_one_below_crash(self) -> None:
        """A child escalates its crash to this one; or a grandchild, through that child."""
        self.play.left -= 1
        deep = self.play.place == "grandchild"
        self.context.spawn(partial(Below, 2 if deep else 1), supervision=Escalate())


class Below:
    """Crashes as it begins, or lets its child do so."""

    def __init__(self, depth: int, context: Context[Any]) -> None:
        if depth == 1:
            raise Crash("below")
        context.spawn(partial(Below, depth - 1), supervision=Escalate())

    async def receive(self, _: Any) -> None:
        """It gets nothing."""


class Parent:
    """Spawns the three."""

    def __init__(self, play: Play, context: Context[Any]) -> None:
        play.parents += 1
        self.members: dict[str, ActorRef[Any, Any]] = {
            name: context.spawn(
                partial(Member, play, name),
                name=name,
                supervision=play.policy,
                stop_within=play.patience,
                start_within=3.0,
            )
            for name in NAMES
        }

    async def receive(self, _: Any) -> dict[str, ActorRef[Any, Any]]:
        return self.members


class Bystander:
    async def receive(self, message: Any) -> Any:
        return message


AT_ONCE = Backoff(initial=0)


def restart(strategy: Strategy, **more: Any) -> Restart:
    return Restart(backoff=AT_ONCE, strategy=strategy, **more)


async def act(members: dict[str, ActorRef[Any, Any]]) -> None:
    """Let the second one crash in a message, if that is its place."""
    with pytest.raises((ActorError, Crash, ValueError, ForeignFailure)):
        await members["second"].ask("act")


def explore_briefly(program: Any) -> None:
    """Run a program in several orders. Nothing in it may wait for ever."""

    async def within_an_hour() -> None:
        with trio.fail_after(3600):
            await program()

    explore(within_an_hour, seeds=SEEDS)


@pytest.mark.parametrize(
    ("place", "strategy"), list(product(AT_THE_START + IN_A_MESSAGE, STRATEGIES))
)
def test_after_one_crash_those_of_the_strategy_begin_in_order_wherever_it_was(
    place: str, strategy: Strategy
) -> None:
    async def program() -> None:
        play = Play(place, 1, restart(strategy))
        async with ActorSystem() as system:
            members = await system.spawn(partial(Parent, play)).ask("members")
            if place in IN_A_MESSAGE:
                await trio.sleep(1)
                play.begun.clear()
                await act(members)
            await trio.sleep(60)
            taken = STRATEGIES[strategy]
            assert play.begun[-len(taken) :] == taken
            if place in IN_A_MESSAGE:
                assert play.begun == taken
            assert sorted(play.inside) == sorted(NAMES)
            for name in NAMES:
                assert await members[name].ask(name) == name
            assert play.parents == 1
        assert not play.inside

    explore_briefly(program)


@pytest.mark.parametrize(
    ("place", "strategy"), list(product((*AT_THE_START, "receive", "aexit"), STRATEGIES))
)
def test_one_that_crashes_without_end_ends_alone_wherever_it_was(
    place: str, strategy: Strategy
) -> None:
    async def program() -> None:
        play = Play(place, WITHOUT_END, restart(strategy, max_restarts=2))
        async with ActorSystem() as system:
            members = await system.spawn(partial(Parent, play)).ask("members")
            if place in IN_A_MESSAGE:
                for _ in range(3):
                    await act(members)
                    await trio.sleep(1)
            termination = await members["second"].wait_stopped()
            assert termination.cause == "crashed"
            await trio.sleep(60)
            for name in ("first", "third"):
                assert await members[name].ask(name) == name
            assert sorted(play.inside) == ["first", "third"]
            assert play.parents == 1
        assert not play.inside

    explore_briefly(program)


@pytest.mark.parametrize(
    ("place", "policy"),
    list(
        product(
            AT_THE_START + IN_A_MESSAGE,
            [Escalate(), *(restart(s, max_restarts=0, exhausted=Escalate()) for s in STRATEGIES)],
        )
    ),
    ids=str,
)
def test_what_escalates_crashes_its_parent_and_nobody_else_wherever_it_was(
    place: str, policy: Supervision
) -> None:
    async def program() -> None:
        play = Play(place, 1, policy)
        async with ActorSystem() as system:
            bystander = system.spawn(Bystander)
            parent = system.spawn(partial(Parent, play), supervision=Restart(backoff=AT_ONCE))
            if place in IN_A_MESSAGE:
                former = await parent.ask("members")
                await act(former)
                assert (await former["third"].wait_stopped()).cause == "stopped"
            await trio.sleep(60)
            assert play.parents == 2
            members = await parent.ask("members")
            for name in NAMES:
                assert await members[name].ask(name) == name
            assert sorted(play.inside) == sorted(NAMES)
            assert await bystander.ask("here") == "here"
        assert not play.inside

    explore_briefly(program)


@pytest.mark.parametrize(
    ("place", "policy"), list(product(AT_THE_START + IN_A_MESSAGE, [Stop(), Escalate()])), ids=str
)
def test_a_crash_of_those_that_are_not_restarted_ends_them_with_what_was_raised(
    place: str, policy: Supervision
) -> None:
    async def program() -> None:
        play = Play(place, 1, policy)
        async with ActorSystem() as system:
            parent = system.spawn(partial(Parent, play), supervision=Stop())
            members = await parent.ask("members")
            if place in IN_A_MESSAGE:
                await act(members)
            termination = await members["second"].wait_stopped()
            assert termination.cause == "crashed"
            slow = place == "slow start"
            assert isinstance(termination.error, ActorError if slow else Crash)
            await trio.sleep(60)
            if isinstance(policy, Escalate):
                assert (await parent.wait_stopped()).cause == "crashed"
                assert not play.inside
            else:
                assert sorted(play.inside) == ["first", "third"]
        assert not play.inside

    explore_briefly(program)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("when", [0.05, 0.15, 5.0, 10.25])
@pytest.mark.parametrize("whom", [*NAMES, "parent"])
def test_one_that_is_ended_while_others_begin_again_holds_up_nobody(
    strategy: Strategy, end: str, when: float, whom: str
) -> None:
    """The round begins at 0: the members leave for 0.1 s, then there is a back-off of 10 s."""

    async def program() -> None:
        slowly = Restart(backoff=Backoff(initial=10, jitter=0), strategy=strategy)
        play = Play("receive", 1, slowly)
        async with ActorSystem() as system:
            parent = system.spawn(partial(Parent, play))
            members = await parent.ask("members")
            await trio.sleep(1)
            crashing = members["second"].submit("act")
            await crashing.wait()
            await trio.sleep(when)
            ended = parent if whom == "parent" else members[whom]
            began = trio.current_time()
            await getattr(ended, end)()
            assert trio.current_time() - began <= 0.3  # all leave for 0.1 s, children first
            termination = ended.cell.termination
            assert termination is not None
            if whom == "second" and when < 0.1:  # it is still leaving, after its crash
                assert termination.cause == "crashed"
            else:
                assert termination == Termination("stopped" if end == "stop" else "killed")
            await trio.sleep(60)
            left = [] if whom == "parent" else [name for name in NAMES if name != whom]
            assert sorted(play.inside) == sorted(left)
            for name in left:
                assert await members[name].ask(name) == name
        assert not play.inside

    explore_briefly(program)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_one_that_is_taken_along_and_shields_itself_is_waited_for_within_a_bound(
    strategy: Strategy,
) -> None:
    async def program() -> None:
        play = Play("receive", 1, restart(strategy), patience=2.0)
        async with ActorSystem() as system:
            members = await system.spawn(partial(Parent, play)).ask("members")
            staying = members["third"].submit("shielded")
            await trio.sleep(1)
            play.begun.clear()
            await act(members)
            await trio.sleep(2.5)
            assert play.begun == STRATEGIES[strategy][:-1]
            assert staying.state.value == "processing"
            await trio.sleep(30)
            assert play.begun == STRATEGIES[strategy]
            assert staying.reply() == "shielded"  # it was done before the cancel could reach it
            assert await members["third"].ask("there") == "there"

    explore_briefly(program)


def test_a_child_that_outlives_its_parents_life_escalates_to_no_later_one() -> None:
    async def program() -> None:
        lives = 0

        class Clinging:
            async def receive(self, _: Any) -> None:
                with trio.CancelScope(shield=True):
                    await trio.sleep(30)
                raise Crash("late")

        class Parent:
            def __init__(self, context: Context[str]) -> None:
                nonlocal lives
                lives += 1
                self.context = context

            async def receive(self, message: str) -> str:
                if message == "crash":
                    child: ActorRef[str, None] = self.context.spawn(
                        Clinging, supervision=Escalate(), stop_within=1.0
                    )
                    await child.tell("cling")
                    await trio.sleep(1)
                    raise Crash(message)
                return message

        async with ActorSystem() as system:
            parent = system.spawn(Parent, supervision=Restart(backoff=AT_ONCE))
            await parent.tell("crash")
            assert await parent.ask("second life") == "second life"
            assert lives == 2
            await trio.sleep(60)
            assert await parent.ask("still the second life") == "still the second life"
            assert lives == 2

    explore_briefly(program)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_siblings_that_crash_in_one_moment_all_begin_again(strategy: Strategy) -> None:
    async def program() -> None:
        play = Play("receive", WITHOUT_END, restart(strategy, max_restarts=50))
        async with ActorSystem() as system:
            members = await system.spawn(partial(Parent, play)).ask("members")
            for _ in range(8):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(act, members)
                    nursery.start_soon(act, members)
                await trio.sleep(1)
            play.left = 0
            await trio.sleep(60)
            for name in NAMES:
                assert await members[name].ask(name) == name
            assert sorted(play.inside) == sorted(NAMES)
        assert not play.inside

    explore_briefly(program)
