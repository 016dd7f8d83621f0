"""The rules of a history, as pure functions.

A valid history: each `tool_use` of an assistant's message has exactly one `tool_result`, in the
user's message right after it; there is no other `tool_result`; no message is empty. What the loop
writes is valid by construction; `repair` is for what comes from elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import msgspec

from wingman.conversation import (
    Block,
    CutShort,
    Message,
    ToolResultBlock,
    ToolUseBlock,
)

__all__ = ["alternate", "complete_step", "joined", "repair", "with_left_behind"]

_NOTHING_LEFT: Mapping[str, str] = MappingProxyType({})

_NO_RESULT = "No result: this call was never answered, and may or may not have run."


def complete_step(
    message: Message,
    results: Mapping[str, ToolResultBlock],
    unanswered: str,
    cut_short: CutShort | None = None,
    left_behind: Mapping[str, str] = _NOTHING_LEFT,
) -> tuple[Message, ...]:
    """The messages of one step: the assistant's, and the results of all its calls in call order.

    A call without a result gets the text `unanswered` as an error, marked with `cut_short`, and
    what it has left behind.
    An assistant's message without content makes no message at all.
    """
    if not message.content:
        return ()
    calls = message.tool_uses
    if not calls:
        return (message,)
    blocks: tuple[Block, ...] = tuple(
        results.get(call.id)
        or ToolResultBlock(
            call.id,
            with_left_behind(unanswered, left_behind.get(call.id, "")),
            is_error=True,
            cut_short=cut_short,
        )
        for call in calls
    )
    return message, Message("user", blocks)


def with_left_behind(reason: str, text: str) -> str:
    """Why a call was cut short, and below it what it had to show by then."""
    return f"{reason}\nIts output until then:\n{text}" if text else reason


def repair(messages: Iterable[Message]) -> Iterator[Message]:
    """Make a history valid, changing as little as can be. Idempotent.

    Results are moved to where they belong, the first of several wins; a call without one gets an
    error in its place; results without a call, calls that repeat an id, and empty messages go.
    What is left is given message by message: a history may be long.
    """
    waiting: dict[str, ToolUseBlock] = {}
    seen: set[str] = set()
    for message in messages:
        if message.role == "user":
            content = _answered(message, waiting)
            waiting = {}
        else:
            if waiting:
                yield Message("user", tuple(map(_missing, waiting)))
            content = _new_calls(message, seen)
            waiting = {b.id: b for b in content if isinstance(b, ToolUseBlock)}
        if content:
            same = content == message.content
            yield message if same else msgspec.structs.replace(message, content=content)
    if waiting:
        yield Message("user", tuple(map(_missing, waiting)))


def alternate(messages: Sequence[Message]) -> Sequence[Message]:
    """The same history with neighbours of one role joined, as models' APIs want it.

    Tool results stay in front: they come right after their calls.
    """
    if all(a.role != b.role for a, b in pairwise(messages)):
        return messages
    alternating: list[Message] = []
    for message in messages:
        if alternating and alternating[-1].role == message.role:
            message = joined(alternating.pop(), message)
        alternating.append(message)
    return alternating


def joined(one: Message, other: Message) -> Message:
    """Two neighbours of one role as one."""
    return Message(other.role, one.content + other.content)


def _missing(tool_use_id: str) -> ToolResultBlock:
    return ToolResultBlock(tool_use_id, _NO_RESULT, is_error=True, cut_short="interrupted")


def _answered(message: Message, waiting: Mapping[str, ToolUseBlock]) -> tuple[Block, ...]:
    """A user's message with one result for each waiting call, in call order, and none besides."""
    given: dict[str, ToolResultBlock] = {}
    rest: list[Block] = []
    for block in message.content:
        if isinstance(block, ToolResultBlock):
            given.setdefault(block.tool_use_id, block)
        else:
            rest.append(block)
    return (*(given.get(id) or _missing(id) for id in waiting), *rest)


def _new_calls(message: Message, seen: set[str]) -> tuple[Block, ...]:
    content: list[Block] = []
    for block in message.content:
        if isinstance(block, ToolUseBlock):
            if block.id in seen:
                continue
            seen.add(block.id)
        content.append(block)
    return tuple(content)
