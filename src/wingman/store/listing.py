"""What a list shows of a run, and of a permission request: little of it, however long it is.

A page of a thousand runs is then bounded, whatever their messages and results are.
"""

from typing import Final

import msgspec

from wingman.api import PermissionRequest, RunFailure
from wingman.conversation import NO_USAGE, Usage
from wingman.events import Result, StopReason
from wingman.store.records import ListedRun, RunRecord
from wingman.store.results import MOST_CHARS

__all__ = [
    "CUT_OFF_CHARS",
    "INPUT_BYTES",
    "MESSAGE_BYTES",
    "PAGE_CHARS",
    "listed",
    "listed_request",
]

MESSAGE_BYTES: Final = 4 * MOST_CHARS + 4
"""Bytes of UTF-8 that have one character more, whatever they are."""

PAGE_CHARS: Final = 1_000_000
"""Characters of JSON after which a page of a history ends."""

CUT_OFF_CHARS: Final = 8 * PAGE_CHARS
"""Characters of messages' JSON after which no more runs that were cut off are read at once."""

INPUT_BYTES: Final = 16 * 1024
"""Bytes of JSON that the input of a permission request may have to be shown in a list."""


class _Outline(msgspec.Struct):
    """What is small in a result, and its response. The rest is skipped as it is read."""

    run_id: str
    response: str
    stop_reason: StopReason
    steps: int
    usage: Usage = NO_USAGE
    detail: str | None = None
    cost: float | None = None

    def shortened(self) -> Result:
        return Result(
            run_id=self.run_id,
            response=self.response[:MOST_CHARS],
            stop_reason=self.stop_reason,
            steps=self.steps,
            tool_calls=(),
            usage=self.usage,
            detail=self.detail,
            cost=self.cost,
        )


_decode_outline: Final = msgspec.json.Decoder(_Outline).decode


def listed(
    record: RunRecord,
    beginning: bytes | None = None,
    long_result: str | bytes | None = None,
    *,
    result_cut: bool = False,
) -> ListedRun:
    """A run as a list has it.

    `beginning` has the first `MESSAGE_BYTES` of a message that is not in the record. `long_result`
    is the JSON of a result that is too long to be shown whole: what is left of it is the beginning
    of its response, and what is small. `result_cut`: the record's result is that already.
    """
    message, error, result = record.message, record.error, record.result
    if beginning is not None:
        message = beginning.decode(errors="ignore")
    cut = result_cut or len(message) > MOST_CHARS
    if error is not None and len(error.message) > MOST_CHARS:
        error, cut = RunFailure(error.code, error.message[:MOST_CHARS]), True
    if long_result is not None:
        result, cut = _decode_outline(long_result).shortened(), True
    shown = msgspec.structs.replace(
        record,
        message=message[:MOST_CHARS],
        error=error,
        result=result,
        agent=None,
        images=None,
        permissions=None,
    )
    return ListedRun(shown, cut)


def listed_request(request: PermissionRequest) -> PermissionRequest:
    """A permission request as a list has it: without an input that is too long."""
    if len(msgspec.json.encode(request.input)) <= INPUT_BYTES:
        return request
    return msgspec.structs.replace(request, input=None, cut=True)
