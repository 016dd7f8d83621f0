"""A small actor runtime on Trio. It knows nothing of language models, sessions or HTTP.

An actor is an object with `async def receive(self, message)`, a task that feeds it one message at
a time, and a bounded mailbox in between:

    from wingman.actor import ActorSystem

    class Account:
        def __init__(self):
            self.balance = 0

        async def receive(self, message):
            match message:
                case ("deposit", amount):
                    self.balance += amount
                case "balance":
                    return self.balance

    async with ActorSystem() as system:
        account = system.spawn(Account, name="account", mailbox=100)
        await account.tell(("deposit", 5))
        assert await account.ask("balance") == 5

**Sending.** `await ref.tell(m)` waits for room, `ref.tell_nowait(m)` raises `MailboxFull`.
`await ref.ask(m)` waits for the reply; `ref.submit(m)` returns a `Delivery`, a handle on that one
message: its `state`, `cancel()`, `await wait()`, `reply()`.

**State.** An actor that is an async context manager is entered when it starts, and exited when it
stops, restarts or passivates. Its task starts in an empty `contextvars` context.

**What is guaranteed.** Each sentence has a test of its name in `tests/actor/`.

1. Messages of one sender to one actor are processed in the order they were sent.
2. An actor processes one message at a time.
3. A message is processed at most once, also when the actor crashes on it.
4. A full mailbox makes `tell` and `ask` wait, in order, and refuses `tell_nowait` and `submit`.
5. An ask that is cancelled cancels its own delivery, queued or in flight, and no other; it returns
   only when that delivery has ended.
6. `cancel` ends a queued delivery at once; it is never processed.
7. A delivery reaches exactly one final state, and stays in it.
8. `stop` finishes the current message, `kill` cancels it; both return when the task has ended.
9. What is left in a mailbox fails with `ActorStopped` and is counted as a dead letter.
10. A crash fails the delivery with what was raised, and restarts the actor with fresh state and
    the mailbox as it was.
11. Restarts back off, and stop when there are too many in their window.
12. An exception that is declared as expected fails the delivery alone.
13. A directory activates an actor once, however many messages come at once.
14. What is sent to an actor that passivates is processed in its next life; nothing is lost.
15. An actor that waits for itself gets an error, not a deadlock.
16. A crash of one actor does not touch another, unless it escalates.
17. An instrument that raises is removed and logged, and disturbs nobody.
18. Whatever an actor raises, `SystemExit` and asyncio's `CancelledError` too, is a crash of that
    actor alone; who asked gets an `Exception`, with that as its cause.
19. A directory's hook that raises is logged, and ends nothing.
20. An actor's children end before its own `__aexit__` begins.
21. A child has its `stop_within` for its message, and is killed then. One that shields itself is
    left to the system, with a warning in the log.
22. What a life has spawned, watched, set and subscribed ends with it.
23. `Escalate` crashes the parent, and goes no further than the parents pass it.
24. A name is unique among live siblings, and free again after the end.
25. After its life a context spawns, watches and sets nothing, nor does it spawn in `__aexit__`.
26. An actor that was told to stop refuses what is sent to it, and what is queued, as soon as its
    current message is over: before its children end.
27. A strategy restarts those it names, and no other: all of them end, then each begins when the one
    before it is ready.
28. A restart with a sibling fails the message in flight with `Restarted`; what waits stays.
29. Only an actor's own crashes count against its budget.
30. What gives way in a full mailbox is counted as a dead letter, and whoever waits for its reply
    gets `MailboxFull`. What is refused has never been in the mailbox.
31. Urgent messages go before the others and keep their order; as many may wait as the mailbox
    has room for, and one more is refused.
32. Senders that wait for room are served in the order they came, without those that gave up.
33. What an actor puts aside comes back in front of what waits, in its order; no more may be put
    aside than the mailbox has room for.
34. A message on which `receive` raises is not put aside. A restart puts back what is aside; at the
    end of the actor it fails with `ActorStopped` and is counted as a dead letter.
35. What one thread tells and asks is processed in its order, and what the actor raises reaches
    that thread; after the end of `trio.run` it gets `ActorStopped`.
36. What makes no actor is refused by `spawn`, or crashes the actor once: no restart mends it.

Ctrl-C is not the actors': it ends the program, wherever it lands.

**What is not.** Two actors that ask each other wait for ever, as two tasks would, and so does a
`receive` that waits for a child task which asks its own actor: put a cancel scope around an ask
whose answer you can do without. A message is a Python object and is not
copied: do not change what you have sent. Nothing here outlives the process.
"""

# The map:
#
#   errors.py       the errors, drawn
#   protocols.py    what an actor takes and gives, in types
#   mailbox.py      how many messages may wait, and what becomes of one more
#   queue.py        the messages in a mailbox, and who waits in front of it
#   delivery.py     the handle on one message
#   supervision.py  restart, stop, escalate; back-off and intensity
#   instruments.py  what can be observed: hooks, snapshots, why an actor ended
#   factories.py    the check of what makes actors
#   worker.py       takes the messages, one at a time
#   family.py       parents and children, and how children end
#   restarts.py     what crashes lead to: the time between two lives, of one or of siblings
#   watches.py      messages that say that another actor has ended
#   timers.py       messages that come later
#   owner.py        who a cell tells what becomes of it
#   cell.py         the task behind an actor, through all of its lives
#   ref.py          the way to an actor from outside
#   threads.py      the same, from a thread
#   group.py        actors under one name
#   topic.py        what is published reaches every subscriber
#   pool.py         several workers behind one reference
#   spawner.py      how actors are started
#   context.py      what an actor has of the system
#   system.py       the nursery in which actors live
#   directory.py    actors by key: activation and passivation
#   testing/        a probe, a recorder, and runs whose order is chosen by a seed

from wingman.actor.context import Context
from wingman.actor.delivery import Delivery, DeliveryState
from wingman.actor.directory import Directory, Quarantine
from wingman.actor.errors import (
    ActorError,
    ActorStopped,
    DeliveryCancelled,
    DeliveryPending,
    GroupEmpty,
    MailboxFull,
    NotAnActor,
    Restarted,
)
from wingman.actor.group import Group
from wingman.actor.instruments import ActorInfo, ActorState, Instrument, Termination
from wingman.actor.mailbox import Mailbox
from wingman.actor.protocols import Actor, Request
from wingman.actor.ref import ActorRef
from wingman.actor.supervision import Backoff, Escalate, Restart, Stop, Supervision
from wingman.actor.system import ActorSystem
from wingman.actor.timers import Timer
from wingman.actor.topic import Subscription, Topic
from wingman.actor.watches import Stopped

__all__ = [
    "Actor",
    "ActorError",
    "ActorInfo",
    "ActorRef",
    "ActorState",
    "ActorStopped",
    "ActorSystem",
    "Backoff",
    "Context",
    "Delivery",
    "DeliveryCancelled",
    "DeliveryPending",
    "DeliveryState",
    "Directory",
    "Escalate",
    "Group",
    "GroupEmpty",
    "Instrument",
    "Mailbox",
    "MailboxFull",
    "NotAnActor",
    "Quarantine",
    "Request",
    "Restart",
    "Restarted",
    "Stop",
    "Stopped",
    "Subscription",
    "Supervision",
    "Termination",
    "Timer",
    "Topic",
]
