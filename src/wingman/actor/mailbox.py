"""Mailbox: how many messages may wait for an actor, and what becomes of one more."""

from functools import lru_cache
from typing import Literal, TypeAlias

import attrs

__all__ = ["Mailbox", "WhenFull", "mailbox_of"]

WhenFull: TypeAlias = Literal["wait", "refuse", "drop_oldest", "drop_newest"]


def _types(_: object, __: object, value: object) -> None:
    if not (isinstance(value, tuple) and all(isinstance(kind, type) for kind in value)):
        raise TypeError(
            f"`urgent` is a tuple of classes of messages, such as (Pause,), not {value!r}"
        )


@attrs.frozen
class Mailbox:
    """What an actor's mailbox is like; an `int` in its place is a `capacity`.

    At most `capacity` messages wait. `when_full` says what becomes of one more:

    - "wait": `tell` and `ask` wait for room, in the order they came; `tell_nowait` and `submit`
      raise `MailboxFull`.
    - "refuse": all four raise `MailboxFull`.
    - "drop_oldest": the message that has waited longest gives way. Who waits for its reply gets
      `MailboxFull`.
    - "drop_newest": what is told is dropped; `ask` and `submit` raise `MailboxFull`.

    What is dropped is counted as a dead letter, and instruments hear of it by `message_dropped`.

    A message whose class is one of `urgent`, or derives from one, goes before those that are not.
    Up to `capacity` of them may wait beside the others, and one more is refused with `MailboxFull`.

    What a context's timers and watches send needs no room: a timer has one message waiting at
    most, a watch has one, and a subscription as many as it says.
    """

    capacity: int = attrs.field(default=100)
    when_full: WhenFull = attrs.field(
        default="wait",
        validator=attrs.validators.in_(("wait", "refuse", "drop_oldest", "drop_newest")),
    )
    urgent: tuple[type, ...] = attrs.field(default=(), validator=_types)

    @capacity.validator
    def _has_room(self, _: object, value: int) -> None:
        if type(value) is not int:
            raise TypeError(f"the capacity of a mailbox is a number of messages, not {value!r}")
        if value < 1:
            raise ValueError(f"a mailbox needs room for at least one message, not {value}")


def mailbox_of(given: "int | Mailbox") -> Mailbox:
    """A mailbox, also where only its capacity was given."""
    return given if isinstance(given, Mailbox) else _of_capacity(given)


@lru_cache(maxsize=64, typed=True)
def _of_capacity(capacity: int) -> Mailbox:
    return Mailbox(capacity)
