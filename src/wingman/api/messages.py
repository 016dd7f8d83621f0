"""Messages as the contract has them: what is sent, and what is answered at once."""

from typing import Annotated, Literal, TypeAlias

import msgspec

from wingman.api.runs import Status
from wingman.conversation import ImageBlock

__all__ = ["Accepted", "MessageBody", "OnBusy", "OnDisconnect", "StreamQuery"]

OnBusy: TypeAlias = Literal["queue", "reject", "interrupt"]
"""What a message does where a run is in flight."""

OnDisconnect: TypeAlias = Literal["continue", "cancel"]
"""What becomes of a run whose client leaves before the answer is complete."""


class MessageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message, and how it is to be run."""

    message: Annotated[str, msgspec.Meta(min_length=1)]
    agent_id: str | None = None
    images: tuple[ImageBlock, ...] = ()
    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    max_steps: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    on_busy: OnBusy = "queue"
    on_disconnect: OnDisconnect = "continue"


class Accepted(msgspec.Struct, frozen=True):
    """The run of a message that is answered at once."""

    run_id: str
    status: Status


class StreamQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events are wanted beside the usual ones: `thinking`, `step`, `progress`, with commas."""

    include: str | None = None
