"""Why an answer ended, by the word that a server gives: one table for all of them.

Servers of one protocol use the words of another, and their own. A word that is not known here is
not taken for success: who reads it raises `Fault`, with the word.
"""

import re
from typing import Any, Final

from wingman.providers.base import FinishReason
from wingman.sse import Fault

__all__ = ["finish_reason", "reason_word"]

_REASONS: Final[dict[str, FinishReason]] = {
    # done
    "stop": "end_turn",
    "stopped": "end_turn",
    "end_turn": "end_turn",
    "end_of_turn": "end_turn",
    "end": "end_turn",
    "eos": "end_turn",
    "eos_token": "end_turn",
    "eos_found": "end_turn",
    "eot": "end_turn",
    "stop_sequence": "end_turn",
    "stop_string": "end_turn",
    "stop_string_found": "end_turn",
    "stop_token": "end_turn",
    "stop_word": "end_turn",
    "complete": "end_turn",
    "completed": "end_turn",
    "finish": "end_turn",
    "finished": "end_turn",
    "done": "end_turn",
    "normal": "end_turn",
    "pause_turn": "end_turn",
    # calls
    "tool_calls": "tool_use",
    "tool_call": "tool_use",
    "tool_use": "tool_use",
    "function_call": "tool_use",
    "function_calls": "tool_use",
    # refused
    "refusal": "refusal",
    "content_filter": "refusal",
    "content_filtered": "refusal",
    "guardrail_intervened": "refusal",
    "safety": "refusal",
    "sensitive": "refusal",
    "recitation": "refusal",
    "language": "refusal",
    "blocklist": "refusal",
    "prohibited_content": "refusal",
    "spii": "refusal",
    "model_armor": "refusal",
    "image_safety": "refusal",
    "image_prohibited_content": "refusal",
    "image_recitation": "refusal",
}

_NONE: Final = frozenset({"", "null", "none", "finish_reason_unspecified", "unspecified"})
"""What servers write in place of nothing: the answer goes on."""

# A length by any name: `length`, `max_tokens`, `model_length`, `model_context_window_exceeded`, …
_LENGTH: Final = re.compile(
    r"(max|model|output|context|token|content|sequence|text)?_?(length|len)(_\w+)?"
    r"|max(imum)?(_\w+)?_(tokens?|length|len|reached|context)(_\w+)?|max_?tokens?"
    r"|(\w+_)?tokens?_(limit|budget|quota|max)(_\w+)?"
    r"|(\w+_)?context(_window|_length|_size|_limit)?(_\w+)?_?(exceeded|reached|full|limit|overflow)"
    r"|(\w+_)?(context_window|context_length)|num_predict|output_limit|limit|truncated"
)
_NO_LENGTH: Final = re.compile(r"error|invalid|fail|filter|abort|cancel|rate|time")
_FAILURE: Final = re.compile(
    r"error|fail|abort|cancel|insufficient|malformed|missing|unexpected|too_many|other"
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def reason_word(value: Any) -> str | None:
    """The word for why it ended; None where it has not. SGLang's own API has it in an object."""
    if isinstance(value, dict):
        value = value.get("type") or value.get("reason")
    if value is None or value is False:
        return None
    word = str(value).strip()[:200]
    return None if word.lower() in _NONE else word


def finish_reason(word: str, what: str) -> FinishReason:
    """What a word means; raises `Fault` if it is not known. `what` is what has ended."""
    plain = _CAMEL.sub("_", word).lower().replace("-", "_").replace(" ", "_")
    plain = plain.removeprefix("finish_reason_").removeprefix("reason_")
    kind = plain.partition(":")[0].strip("_")
    if (reason := _REASONS.get(plain) or _REASONS.get(kind)) is not None:
        return reason
    if _LENGTH.fullmatch(kind) and not _NO_LENGTH.search(kind):
        return "max_tokens"
    how = "in an error" if _FAILURE.search(plain) else "for a reason that is not known here"
    raise Fault(f"{what} ended {how}: {word}", word)
