"""What `wingman.actor.testing` gives to tests: probes, records, and runs that can be had again."""

import random
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actor.troupe import Performer, raising
from wingman.actor import (
    ActorError,
    ActorStopped,
    ActorSystem,
    Backoff,
    Context,
    Mailbox,
    Restart,
    Stop,
    Stopped,
)
from wingman.actor.testing import Probe, Record, Recorder, explore, run
from wingman.foreign import ForeignFailure

AT_ONCE = Restart(backoff=Backoff(initial=0))


class TestProbe:
    async def test_next_waits_for_a_message_of_a_class_and_leaves_the_others(
        self, system: ActorSystem
    ) -> None:
        probe = Probe.spawn(system)

        async def send() -> None:
            for message in ("a", 1, "b"):
                await trio.sleep(0.3)
                await probe.ref.tell(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            assert await probe.next(int) == 1
            assert trio.current_time() == pytest.approx(0.6)
            assert await probe.next() == "a"
            assert await probe.next(lambda message: message == "b", within=0.4) == "b"
        assert probe.messages == ["a", 1, "b"]

    async def test_next_says_in_words_what_did_not_come_and_what_waits(
        self, system: ActorSystem
    ) -> None:
        probe = Probe.spawn(system, name="lamp-probe")
        for number in range(12):
            await probe.ref.tell(number)
        with pytest.raises(
            AssertionError, match=r"lamp-probe was sent no str within 2 s; what"
        ) as e:
            await probe.next(str, within=2)
        assert trio.current_time() == pytest.approx(2)
        assert "0, 1, 2" in str(e.value)
        assert "and 2 more" in str(e.value)
        with pytest.raises(AssertionError, match="no message that is wanted"):
            await probe.next(lambda message: message == 99, within=0)
        for number in range(12):
            assert await probe.next(within=0) == number
        with pytest.raises(AssertionError, match="no message within 0 s; no message waits"):
            await probe.next(within=0)

    async def test_a_predicate_that_raises_is_seen_and_takes_nothing(
        self, system: ActorSystem
    ) -> None:
        probe = Probe.spawn(system)
        await probe.ref.ask("a")
        with pytest.raises(AttributeError):
            await probe.next(lambda message: message.missing)
        assert await probe.next() == "a"

    async def test_nothing_holds_for_the_whole_time_and_fails_at_once(
        self, system: ActorSystem
    ) -> None:
        probe = Probe.spawn(system)
        await probe.nothing(within=100)
        assert trio.current_time() == pytest.approx(100)
        async with trio.open_nursery() as nursery:

            async def later() -> None:
                await trio.sleep(7)
                await probe.ref.tell("late")

            nursery.start_soon(later)
            with pytest.raises(
                AssertionError, match="was to be sent nothing; what waits is 'late'"
            ):
                await probe.nothing(within=100)
            assert trio.current_time() == pytest.approx(107)
        with pytest.raises(AssertionError, match="late"):  # it was not taken meanwhile
            await probe.nothing(within=0)
        await probe.next()
        await probe.nothing(within=0)

    async def test_it_replies_with_a_value_or_by_a_function_which_may_be_async_or_refuse(
        self, system: ActorSystem
    ) -> None:
        async def slowly(message: int) -> int:
            await trio.sleep(message)
            return message + 1

        def refuse(message: Any) -> None:
            raise LookupError(message)

        probe = Probe.spawn(system, lambda message: message * 2)
        assert await probe.ref.ask(4) == 8
        probe.reply_with("fixed")
        assert await probe.ref.ask(4) == "fixed"
        probe.reply_by(slowly)
        assert await probe.ref.ask(4) == 5
        assert trio.current_time() == pytest.approx(4)
        probe.reply_by(refuse)
        with pytest.raises(LookupError):
            await probe.ref.ask(5)
        probe.reply_with(None)
        assert await probe.ref.ask(6) is None
        assert probe.messages == [4, 4, 4, 5, 6]

    async def test_a_handler_that_raises_no_exception_ends_the_probe(
        self, system: ActorSystem
    ) -> None:
        probe = Probe.spawn(system)

        def leave(_: Any) -> None:
            raise SystemExit

        probe.reply_by(leave)
        with pytest.raises(ForeignFailure):
            await probe.ref.ask(1)
        assert (await probe.ref.wait_stopped()).cause == "crashed"

    async def test_it_watches_before_and_after_it_has_begun_and_what_has_ended(
        self, system: ActorSystem
    ) -> None:
        actors = [system.spawn(Performer) for _ in range(3)]
        await actors[0].stop()
        probe = Probe.spawn(system)
        probe.watch(actors[0])
        probe.watch(actors[1])
        assert (await probe.next(Stopped)).ref is actors[0]
        probe.watch(actors[2])
        await probe.nothing(within=10)
        await actors[1].kill()
        await actors[2].stop()
        assert (await probe.next(Stopped)).termination.cause == "killed"
        assert (await probe.next(Stopped)).ref is actors[2]
        await probe.nothing(within=10)
        with pytest.raises(ActorError, match="cannot watch itself"):
            probe.watch(probe.ref)

    async def test_it_is_a_child_where_a_context_spawns_it(self, system: ActorSystem) -> None:
        class Parent(Performer):
            def __init__(self, context: Context[Any]) -> None:
                super().__init__()
                self.probe = Probe.spawn(context, name="probe")

            async def receive(self, message: Any) -> Any:
                return self.probe

        parent = system.spawn(Parent, name="parent")
        probe = await parent.ask("probe")
        assert probe.ref.name == "parent/probe"
        await parent.stop()
        with pytest.raises(ActorStopped):
            await probe.ref.tell(1)

    async def test_it_keeps_the_newest_messages_and_counts_the_others(
        self, system: ActorSystem
    ) -> None:
        probe = Probe.spawn(system, capacity=3, mailbox=Mailbox(1))
        for number in range(5):
            await probe.ref.ask(number)
        assert probe.messages == [2, 3, 4]
        assert probe.forgotten == 2
        assert await probe.next() == 2
        with pytest.raises(ValueError, match="at least one message"):
            Probe.spawn(system, capacity=0)


class TestRecorder:
    async def test_every_hook_is_a_record_in_order(self) -> None:
        recorder = Recorder()
        async with ActorSystem(instruments=(recorder,)) as system:
            actor = system.spawn(Performer, name="a", supervision=AT_ONCE)
            other = system.spawn(Performer, name="b", supervision=Stop())
            await actor.ask("hello")
            await trio.sleep(1.5)
            crash = KeyError("k")
            with pytest.raises(KeyError):
                await actor.ask(raising(crash))
            actor.tell_nowait("left")
            await actor.kill()
            with pytest.raises(ZeroDivisionError):
                await other.ask(raising(ZeroDivisionError()))
            await other.wait_stopped()
        of_a = [record.hook for record in recorder.of(actor)]
        assert of_a == [
            "actor_started",
            "message_started",
            "message_ended",
            "message_started",
            "message_ended",
            "actor_restarting",
            "dead_letter",
            "actor_stopped",
        ]
        assert [record.ref for record in recorder.restarts] == [actor]
        assert recorder.restarts[0].error is crash
        assert recorder.restarts[0].at == pytest.approx(1.5)
        assert [record.ref for record in recorder.crashes] == [actor, other]
        assert [record.message for record in recorder.dead_letters] == ["left"]
        assert len(recorder.records) == len(recorder.of(actor)) + len(recorder.of(other))
        assert "0 message_started a 'hello'" in recorder.lines
        assert "1.5 actor_restarting a (KeyError: 'k') in 0 s" in recorder.lines
        assert "1.5 dead_letter a 'left' (killed)" in recorder.lines

    async def test_what_gives_way_in_a_full_mailbox_is_a_dead_letter_without_an_end(self) -> None:
        recorder = Recorder()
        async with ActorSystem(instruments=(recorder,)) as system:
            actor = system.spawn(Performer, mailbox=Mailbox(1, when_full="drop_newest"))
            actor.tell_nowait(1)
            actor.tell_nowait(2)
            assert [(r.message, r.termination) for r in recorder.dead_letters] == [(2, None)]

    async def test_it_keeps_the_newest_and_counts_the_others(self) -> None:
        recorder = Recorder(capacity=4)
        async with ActorSystem(instruments=(recorder,)) as system:
            actor = system.spawn(Performer)
            for number in range(10):
                await actor.ask(number)
        assert recorder.forgotten == 1 + 20 + 1 - 4
        assert [record.hook for record in recorder.records] == [
            "message_ended",
            "message_started",
            "message_ended",
            "actor_stopped",
        ]
        recorder.clear()
        assert (recorder.records, recorder.forgotten) == ([], 0)
        with pytest.raises(ValueError, match="at least one record"):
            Recorder(capacity=0)

    async def test_a_message_without_a_repr_spoils_no_line(self) -> None:
        class Rude:
            def __repr__(self) -> str:
                raise SystemExit

        recorder = Recorder()
        async with ActorSystem(instruments=(recorder,)) as system:
            await system.spawn(Performer, name="a").ask(Rude())
        assert recorder.lines[1] == "0 message_started a <Rude>"


@attrs.frozen
class Bid:
    """A message of a race: whose it is, and its number."""

    bidder: int
    number: int


class Auction:
    """An actor that crashes now and then, so that its restarts are in the race, too."""

    async def receive(self, bid: Bid) -> int:
        await trio.sleep(random.choice([0, 0.1, 0.2]))
        if random.random() < 0.1:
            raise LookupError(bid.number)
        return bid.number


async def many_races() -> list[str]:
    """Bidders who ask, give up, tell and cancel; restarts with jitter; full mailboxes."""
    recorder = Recorder()
    async with ActorSystem(instruments=(recorder,)) as system:
        supervision = Restart(max_restarts=1_000, backoff=Backoff(initial=0.1, jitter=1))
        auctions = [
            system.spawn(Auction, mailbox=mailbox, supervision=supervision)
            for mailbox in (1, 2, Mailbox(2, when_full="drop_oldest"))
        ]
        deliveries: list[Any] = []

        async def bid(bidder: int) -> None:
            for number in range(6):
                auction = random.choice(auctions)
                try:
                    with trio.move_on_after(0.3):
                        await auction.ask(Bid(bidder, number))
                    auction.tell_nowait(Bid(bidder, number + 100))
                    deliveries.append(auction.submit(Bid(bidder, number + 200)))
                    random.choice(deliveries).cancel()
                except (LookupError, ActorError):
                    await trio.lowlevel.checkpoint()

        with trio.move_on_after(5):
            async with trio.open_nursery() as nursery:
                for bidder in range(8):
                    nursery.start_soon(bid, bidder)
    return recorder.lines


class TestRun:
    def test_a_seed_gives_the_same_order_of_everything_and_another_seed_another(self) -> None:
        orders = [run(many_races, seed=seed) for seed in range(8)]
        assert len(orders[0]) > 100
        assert [run(many_races, seed=seed) for seed in range(8)] == orders
        assert len({tuple(order) for order in orders}) == len(orders)

    def test_a_seed_gives_the_same_order_in_other_processes(self) -> None:
        program = (
            "import hashlib\n"
            "from actor.test_testing import many_races\n"
            "from wingman.actor.testing import run\n"
            "lines = [line for seed in range(4) for line in run(many_races, seed=seed)]\n"
            "print(hashlib.sha256('\\n'.join(lines).encode()).hexdigest())\n"
        )
        seen = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[1])},
                capture_output=True,
                check=True,
                timeout=60,
            ).stdout
            for hash_seed in ("0", "1", "77")
        }
        assert len(seen) == 1
        assert len(seen.pop()) == 65

    def test_all_is_as_before_when_it_is_over(self) -> None:
        inner: Any = trio._core._run

        async def fail() -> None:
            random.random()
            raise LookupError

        def state() -> tuple[Any, ...]:
            names = (inner._ALLOW_DETERMINISTIC_SCHEDULING, inner._r, vars(inner).get("id"))
            return (
                *names,
                random.getstate(),
                dict(vars(inner.Task)),
                dict(vars(inner.CancelStatus)),
            )

        before = state()
        with pytest.raises(LookupError):
            run(fail, seed=3)
        run(many_races, seed=4)
        assert state() == before

    def test_it_gives_the_result_and_takes_arguments(self) -> None:
        async def add(*numbers: int) -> int:
            await trio.sleep(1_000)
            return sum(numbers)

        assert run(add, 1, 2, seed=9) == 3
        assert run(partial(add, 4), 5) == 9

    def test_orders_come_up_that_no_batch_of_trios_gives(self) -> None:
        async def race() -> str:
            order = []

            async def walk(name: str, steps: int) -> None:
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                order.append(name)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(walk, "short", 1)
                nursery.start_soon(walk, "long", 3)
            return order[0]

        assert {run(race, seed=seed) for seed in range(200)} == {"short", "long"}

    def test_a_program_whose_tasks_wait_for_each_other_ends_with_a_sentence(self) -> None:
        with pytest.raises(trio.TooSlowError, match="has not ended after 50 s of virtual time"):
            run(trio.sleep_forever, within=50)

    def test_what_is_no_async_function_is_refused(self) -> None:
        coroutine = many_races()
        with pytest.raises(TypeError, match=r"run\(main, 1\), and not run\(main\(1\)\)"):
            run(coroutine)  # type: ignore[arg-type]
        coroutine.close()

    def test_a_second_run_at_the_same_time_is_refused(self) -> None:
        async def main() -> list[str]:
            refused: list[str] = []

            def other() -> None:
                try:
                    run(trio.sleep, 0)
                except RuntimeError as error:
                    refused.append(str(error))

            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            return refused

        assert run(main) == ["a seeded run is under way: end it before you begin another"]

    @pytest.mark.parametrize("name", ["_ALLOW_DETERMINISTIC_SCHEDULING", "_r", "Task"])
    def test_a_trio_without_the_private_names_is_refused_in_a_sentence(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(trio._core._run, name)
        with pytest.raises(RuntimeError, match=r"scheduler of Trio .* cannot be seeded"):
            run(trio.sleep, 0)

    def test_a_trio_that_does_not_ask_the_scheduler_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trio, "run", lambda *_, **__: None)
        with pytest.raises(RuntimeError, match=r"scheduler of Trio .* cannot be seeded"):
            run(trio.sleep, 0)

    @pytest.mark.trio(run=partial(run, seed=7))
    async def test_pytest_trio_runs_a_test_by_it(self, system: ActorSystem) -> None:
        inner: Any = trio._core._run
        assert type(inner._r).__name__ == "_Scheduler"
        probe = Probe.spawn(system)
        await probe.nothing(within=1_000)


class TestExplore:
    def test_the_first_failure_says_its_seed_and_is_had_again_by_it(self) -> None:
        tried: list[int] = []

        async def lucky(number: int) -> None:
            seed = random.Random()
            seed.setstate(random.getstate())
            tried.append(number)
            order: list[str] = []

            async def come(name: str) -> None:
                order.append(name)
                await trio.lowlevel.checkpoint()

            async with trio.open_nursery() as nursery:
                for name in "abc":
                    nursery.start_soon(come, name)
            assert order != ["b", "c", "a"], "lost update"

        with pytest.raises(AssertionError, match="lost update") as failure:
            explore(lucky, 5, seeds=range(100, 200))
        (note,) = failure.value.__notes__
        seed = int(note.rsplit("seed=", 1)[1].rstrip(")"))
        assert seed == 100 + len(tried) - 1
        assert note == f"This was with seed {seed}. To have it again: run(lucky, ..., seed={seed})"
        for _ in range(3):
            with pytest.raises(AssertionError, match="lost update"):
                run(lucky, 5, seed=seed)

    def test_groups_and_what_is_no_exception_say_the_seed_too(self) -> None:
        async def leave() -> None:
            async with trio.open_nursery():
                raise SystemExit(3)

        with pytest.raises(BaseExceptionGroup) as failure:
            explore(leave, seeds=[42])
        assert "seed 42" in failure.value.__notes__[0]

    def test_every_seed_is_run_when_none_fails(self) -> None:
        runs: list[float] = []

        async def count() -> None:
            runs.append(random.random())
            await trio.lowlevel.checkpoint()

        explore(count)
        assert len(set(runs)) == 100
        explore(count, seeds=iter([1, 2]))
        assert len(runs) == 102

    def test_no_seeds_are_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="at least one seed"):
            explore(many_races, seeds=())


def test_a_record_is_a_value() -> None:
    recorder = Recorder()
    assert recorder.records == []
    assert attrs.fields(Record).hook.name == "hook"
