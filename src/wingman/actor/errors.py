"""The actor runtime's errors.

    ActorError
    ├── MailboxFull         there is no room; the message was not taken, or has given way
    ├── ActorStopped        the actor has ended, or ended before it came to this message
    ├── DeliveryCancelled   the delivery was cancelled before it was done
    ├── DeliveryPending     the delivery has no reply yet
    ├── Restarted           the actor began again, together with a sibling, during this message
    ├── GroupEmpty          there is nobody in the group
    └── NotAnActor          what the factory made cannot receive messages; a `TypeError` too

What an actor raises is raised to its asker as it is. What is no `Exception`, such as `SystemExit`,
would end the asker, and comes as the cause of a `wingman.foreign.ForeignFailure`.
"""

__all__ = [
    "ActorError",
    "ActorStopped",
    "DeliveryCancelled",
    "DeliveryPending",
    "GroupEmpty",
    "MailboxFull",
    "NotAnActor",
    "Restarted",
]


class ActorError(Exception):
    """The root of the tree."""


class MailboxFull(ActorError):
    """The mailbox has no room: wait with `tell` or `ask`, or tell one's own caller to slow down."""


class ActorStopped(ActorError):
    """The actor has ended; the text says how."""


class DeliveryCancelled(ActorError):
    """The delivery was cancelled before it was done."""


class DeliveryPending(ActorError):
    """The delivery has not ended: `await delivery.wait()` first."""


class Restarted(ActorError):
    """The message was cut off: a sibling crashed, with which the actor is restarted together."""


class GroupEmpty(ActorError):
    """There is nobody in the group that one could send to."""


class NotAnActor(ActorError, TypeError):
    """What the factory made is no actor. No restart mends that, and none is tried."""
