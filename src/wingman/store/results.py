"""What is kept of a long result beside the messages that it is made from.

The history of a run holds its texts, its tools' inputs and what they gave. Of a long result only
what is short is kept beside that, and the rest is read off the history where the whole is wanted.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from wingman.conversation import Message
from wingman.events import Result, summarize

__all__ = ["MOST_CHARS", "WHOLE_RESULT", "is_long", "restored", "shortened"]

MOST_CHARS: Final = 1000
"""Characters of a text that a list shows, and of a response that is kept beside its messages."""

WHOLE_RESULT: Final = 4000
"""Characters of JSON that a result may have to be kept, and shown in a list, whole."""


def is_long(result: Result) -> bool:
    """Whether its JSON has more than `WHOLE_RESULT` characters."""
    texts = len(result.response) + sum(len(call.output) for call in result.tool_calls)
    # JSON has them all and more: what is very long need not be encoded.
    return texts > WHOLE_RESULT or len(msgspec.json.encode(result).decode()) > WHOLE_RESULT


def shortened(result: Result) -> Result:
    """What is short in a result, and the beginning of its response."""
    return msgspec.structs.replace(
        result, response=result.response[:MOST_CHARS], tool_calls=(), output=None
    )


def restored(short: Result, messages: Sequence[Message]) -> Result:
    """The whole result, from what is short in it and all messages of its run.

    If these are not all, and its response is not in them, it stays as short as it is.
    """
    whole = summarize(
        short.run_id,
        messages,
        short.stop_reason,
        short.steps,
        short.usage,
        short.detail,
        cost=short.cost,
    )
    return whole if whole.response.startswith(short.response) else short
