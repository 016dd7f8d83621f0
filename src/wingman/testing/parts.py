"""What the parts of one inference must be like: pure rules."""

from collections.abc import Sequence
from typing import get_args

import msgspec

from wingman.conversation import NO_USAGE, TextBlock, ThinkingBlock, ToolUseBlock, Usage
from wingman.providers import Finished, Part, TextDelta, ThinkingDelta, UsageUpdate

__all__ = ["check_parts", "demand"]


def check_parts(parts: Sequence[Part]) -> None:
    """Hold the parts of one whole inference to the protocol; raises `AssertionError`."""
    for part in parts:
        demand(isinstance(part, get_args(Part)), f"{part!r} is no part of the protocol")
    ends = [number for number, part in enumerate(parts) if isinstance(part, Finished)]
    demand(len(ends) == 1, f"Finished came {len(ends)} times, and must come once")
    demand(ends[0] == len(parts) - 1, "Finished must be the last part")
    _check_usage([part.usage for part in parts if isinstance(part, UsageUpdate)])
    _check_calls([part for part in parts if isinstance(part, ToolUseBlock)])
    _check_closings(parts)


def _check_usage(usages: Sequence[Usage]) -> None:
    before = NO_USAGE
    for usage in usages:
        for name in ("input_tokens", "output_tokens"):
            counted, now = getattr(before, name), getattr(usage, name)
            demand(now >= counted, f"usage is cumulative: {name} went from {counted} to {now}")
        cached = usage.cache_read_tokens + usage.cache_write_tokens
        demand(
            cached <= usage.input_tokens, f"input_tokens counts what was cached as well: {usage}"
        )
        before = usage


def _check_calls(calls: Sequence[ToolUseBlock]) -> None:
    for call in calls:
        demand(bool(call.name), f"a tool call names its tool: {call!r}")
        demand(isinstance(call.input, dict), f"a tool call's input is an object: {call!r}")
        msgspec.json.encode(call.input)
        demand(
            call.malformed is None or not call.input,
            f"a malformed call has no input, lest it be executed: {call!r}",
        )
    ids = [call.id for call in calls if call.id]
    demand(len(set(ids)) == len(ids), f"two tool calls have the same id: {ids}")


def _check_closings(parts: Sequence[Part]) -> None:
    """A block that closes deltas is what the history keeps of them: they must say the same."""
    text = thinking = ""
    for part in parts:
        match part:
            case TextDelta(text=piece):
                text += piece
            case ThinkingDelta(text=piece):
                thinking += piece
            case TextBlock(text=whole):
                demand(text == whole, f"a TextBlock is the deltas before it, joined: {part!r}")
                text = ""
            case ThinkingBlock(thinking=whole):
                demand(
                    thinking in ("", whole),
                    f"a ThinkingBlock is the deltas before it, joined: {part!r}",
                )
                thinking = ""
            case ToolUseBlock():
                text = ""
            case _:
                pass


def demand(fulfilled: bool, sentence: str) -> None:
    """Raise `AssertionError` with this sentence if it is not so."""
    if not fulfilled:
        raise AssertionError(sentence)
