"""The actor runtime's errors.

    ActorError
    ├── MailboxFull         there is no room; the message was not taken
    ├── ActorStopped        the actor has ended, or ended before it came to this message
    ├── DeliveryCancelled   the delivery was cancelled before it was done
    └── DeliveryPending     the delivery has no reply yet

What an actor raises is raised to its asker as it is. What is no `Exception`, such as `SystemExit`,
would end the asker, and comes as the cause of a `wingman.foreign.ForeignFailure`.
"""

__all__ = ["ActorError", "ActorStopped", "DeliveryCancelled", "DeliveryPending", "MailboxFull"]


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
