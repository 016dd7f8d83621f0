"""What a Responses API's output consists of: its text said once, its calls, its end. Pure.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Hashable
from typing import Any, Final

from wingman.conversation import ToolUseBlock, Usage
from wingman.providers.base import FinishReason, UsageUpdate
from wingman.providers.wire import (
    Characters,
    Json,
    arguments_text,
    count,
    fields,
    finish_reason,
    index,
    reason_word,
    reported,
    text,
    tool_use,
    word,
)
from wingman.sse import Fault

__all__ = ["SaidOnce", "ended", "function_call", "used"]

_WHAT: Final = "the response"


class SaidOnce:
    """The text of a response as it comes, each part of it once.

    A part is told in deltas, and then as a whole: by itself, with its content part, with its item.
    Servers leave out some of these; what the whole has more than the deltas is taken from it.
    """

    def __init__(self) -> None:
        self._told: dict[Hashable, int] = {}  # of each part: how many characters
        self._characters = Characters()

    def begin(self, event: Json, item: Json) -> None:
        """An item begins: nothing of it is told."""
        place = self._item(event, item)
        self._told = {key: told for key, told in self._told.items() if key[0] != place}  # type: ignore[index]

    def piece(self, event: Json, delta: str) -> str:
        """Take a delta; return what is to be told."""
        key = self._key(event)
        self._told[key] = self._told.get(key, 0) + len(delta)
        return self._characters.feed(delta)

    def all(self, event: Json, said: Any) -> str:
        """Take a part as a whole; return what of it has not been told."""
        said = text(said, "a part's text")
        key = self._key(event)
        told = self._told.get(key, 0)
        self._told[key] = max(told, len(said))
        return self._characters.feed(said[told:]) + self._characters.end()

    def end(self, _event: Json | None = None) -> str:
        """Return what was held back of a character."""
        return self._characters.end()

    def _key(self, event: Json) -> tuple[Hashable, int]:
        return self._item(event, fields(event.get("item"))), index(event.get("content_index")) or 0

    def _item(self, event: Json, item: Json) -> Hashable:
        at = index(event.get("output_index"))
        return at if at is not None else word(event.get("item_id")) or word(item.get("id"))


def function_call(id: str, name: str, item: Json, pieces: str) -> ToolUseBlock:
    """The call that an item is. `pieces` are its arguments, where the item lacks them."""
    arguments = arguments_text(item.get("arguments")) or pieces
    return tool_use(id, name, arguments, cut=word(item.get("status")) == "incomplete")


def ended(kind: str, response: Json) -> FinishReason:
    """Why a response ended; raises `Fault` if it failed. `kind` is the event's."""
    status = word(response.get("status"))
    if kind in ("response.done", "response.completed") and status:
        kind = f"response.{status}"
    match kind:
        case "response.completed" | "response.done":
            return "end_turn"
        case "response.incomplete":
            reason = reason_word(fields(response.get("incomplete_details")).get("reason"))
            return "max_tokens" if reason is None else finish_reason(reason, _WHAT)
        case _:
            given = response.get("error") or {}
            fault = reported({"error": given})
            if given and fault is not None:
                raise fault
            state = kind.removeprefix("response.")
            raise Fault(f"it reports an error: {_WHAT} is {state}")


def used(usage: Json) -> UsageUpdate:
    """What a response has used."""
    read, thought = (
        fields(usage.get("input_tokens_details")),
        fields(usage.get("output_tokens_details")),
    )
    return UsageUpdate(
        Usage(
            count(usage.get("input_tokens")) or 0,
            count(usage.get("output_tokens")) or 0,
            cache_read_tokens=count(read.get("cached_tokens")) or 0,
            reasoning_tokens=count(thought.get("reasoning_tokens")) or 0,
        )
    )
