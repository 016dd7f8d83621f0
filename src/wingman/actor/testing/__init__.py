"""For tests of programs with actors: what they did, and how to have it again.

    from wingman.actor import ActorSystem, Stopped
    from wingman.actor.testing import Probe, Recorder, explore

    async def the_lamp_goes_out_when_it_is_stopped():
        recorder = Recorder()
        async with ActorSystem(instruments=(recorder,)) as system:
            probe = Probe.spawn(system)
            lamp = system.spawn(Lamp)
            probe.watch(lamp)
            await lamp.tell(Switch(reply_to=probe.ref))
            await probe.next(On, within=1)
            await lamp.stop()
            await probe.next(Stopped)
        assert recorder.crashes == []

    def test_the_lamp_goes_out_whatever_the_order_of_things():
        explore(the_lamp_goes_out_when_it_is_stopped, seeds=range(100))

`explore` runs the program in virtual time, once for each seed, and each seed makes the scheduler
choose another order. When a run fails, its error says the seed, and `run(program, seed=that)` does
the same again, step by step.

With pytest-trio, a test that is itself `async def` is run so by its mark:

    @pytest.mark.trio(run=partial(run, seed=7))
    async def test_the_lamp(): ...

This package needs Trio and attrs alone, and knows no test framework: what is wrong is an
`AssertionError` that says so in a sentence.
"""

# The map:
#
#   probe.py     an actor that keeps what it is sent, and answers what it is told to
#   recorder.py  an instrument that keeps what happened, in order
#   seeded.py    runs whose order is chosen by a seed

from wingman.actor.testing.probe import Probe
from wingman.actor.testing.recorder import Record, Recorder
from wingman.actor.testing.seeded import explore, run

__all__ = ["Probe", "Record", "Recorder", "explore", "run"]
