"""Supervision: what becomes of an actor whose `receive` has raised.

A policy is a value, given at `spawn`. The exception has already been given to whoever waits for
the delivery; what is decided here is the actor's own fate.
"""

import random
from typing import Literal, TypeAlias

import attrs

__all__ = ["Backoff", "Escalate", "Restart", "Stop", "Strategy", "Supervision", "escalates"]

_positive = attrs.validators.gt(0.0)


@attrs.frozen
class Backoff:
    """Delays in seconds before the restarts of a series: `initial`, then `factor` times as long
    each, up to `maximum`; each varied at random by up to `jitter` of itself, so that many actors
    that crashed together do not come back together."""

    initial: float = attrs.field(default=0.1, validator=attrs.validators.ge(0.0))
    factor: float = attrs.field(default=2.0, validator=attrs.validators.ge(1.0))
    maximum: float = attrs.field(default=30.0, validator=attrs.validators.ge(0.0))
    jitter: float = attrs.field(
        default=0.1, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)]
    )

    def delay(self, attempt: int) -> float:
        """The delay before the `attempt`-th restart of a series, counted from 1."""
        # The exponent is capped because a float overflows long before patience does.
        plain = min(self.maximum, self.initial * self.factor ** min(attempt - 1, 64))
        return plain * (1 + self.jitter * random.uniform(-1, 1))  # noqa: S311 not for secrets


@attrs.frozen
class Stop:
    """End the actor; deliveries left in its mailbox fail with `ActorStopped`."""


@attrs.frozen
class Escalate:
    """End the actor, and let its parent crash with the same exception: the parent's own
    supervision says what follows. What has no parent raises it out of the actor system, and
    everything there ends."""


Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]


@attrs.frozen
class Restart:
    """Begin again with fresh state from the factory and the mailbox as it is.

    The delivery that crashed is not repeated. More than `max_restarts` within `within` seconds
    is too many: then `exhausted` holds. Each actor's own crashes count, and those of no other.

    `strategy` says which siblings are restarted with it: none ("one_for_one"), all
    ("one_for_all"), or those that were spawned after it ("rest_for_one"). Their current message is
    cancelled and fails with `Restarted`, unless it ends well all the same; what waits in their
    mailboxes stays there. When all have ended this life, they begin in the order they were spawned,
    each after the one before it has been entered. One that shields itself for longer than its
    `stop_within` begins last. Siblings whose own supervision is `Stop` or `Escalate` end instead.
    """

    max_restarts: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    within: float = attrs.field(default=60.0, validator=_positive)
    backoff: Backoff = attrs.field(factory=Backoff)
    strategy: Strategy = attrs.field(
        default="one_for_one",
        validator=attrs.validators.in_(("one_for_one", "one_for_all", "rest_for_one")),
    )
    exhausted: Stop | Escalate = attrs.field(
        factory=Stop, validator=attrs.validators.instance_of((Stop, Escalate))
    )


Supervision: TypeAlias = Restart | Stop | Escalate


def escalates(policy: Supervision) -> bool:
    """Whether an actor that has crashed for good lets its parent crash."""
    last = policy.exhausted if isinstance(policy, Restart) else policy
    return isinstance(last, Escalate)
