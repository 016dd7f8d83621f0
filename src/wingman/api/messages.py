"""Messages as the contract has them: what is sent, and what is answered at once."""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from wingman.api.frames import RUN_STREAM
from wingman.api.permissions import OnAsk, PermissionForm
from wingman.api.route import LOCATION, WRITE, Answer, Body, Header, Route
from wingman.api.runs import Status
from wingman.conversation import ImageBlock
from wingman.events import Result

__all__ = ["ROUTES", "Accepted", "MessageBody", "OnBusy", "OnDisconnect", "StreamQuery"]

OnBusy: TypeAlias = Literal["queue", "reject", "interrupt"]
"""What a message does where a run is in flight."""

OnDisconnect: TypeAlias = Literal["continue", "cancel"]
"""What becomes of a run whose client leaves before the answer is complete."""


class MessageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message, and how it is to be run.

    `permissions` are rules for this message alone, after all others. A call that needs a person's
    answer waits for one, `ask_timeout` seconds at most; with `on_ask` `reject` it does not run, and
    the model is told that nobody can be asked.
    """

    message: Annotated[str, msgspec.Meta(min_length=1)]
    agent_id: str | None = None
    images: tuple[ImageBlock, ...] = ()
    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    max_steps: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    on_busy: OnBusy = "queue"
    on_disconnect: OnDisconnect = "continue"
    permissions: PermissionForm | None = None
    on_ask: OnAsk | None = None
    ask_timeout: Annotated[float, msgspec.Meta(gt=0, le=31_536_000)] | None = None


class Accepted(msgspec.Struct, frozen=True):
    """The run of a message that is answered at once."""

    run_id: str
    status: Status


class StreamQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events are wanted beside the usual ones: as in `EventsQuery`."""

    include: str | None = None


_IDEMPOTENCY_KEY: Final = Header(
    "Idempotency-Key",
    "A message with this key is run once in its session; the same as `request_id` in the body.",
    {"type": "string", "minLength": 1, "maxLength": 255},
)
_PREFER: Final = Header(
    "Prefer", "`respond-async`: answer at once, with 202 and the run's id, and do not wait."
)
_APPLIED: Final = Header("Preference-Applied", "`respond-async`.")
_MESSAGE: Final = (
    "session_not_found",
    "agent_not_found",
    "session_deleted",
    "provider_not_configured",
    "session_busy",
    "request_id_conflict",
    "waits_for_itself",
    "mailbox_full",
    "overloaded",
    "session_quarantined",
    *WRITE,
)
_RUN: Final = (
    "context_too_long",
    "provider_error",
    "provider_auth",
    "provider_timeout",
    "output_invalid",
)
_EXAMPLE: Final = {"message": "What is here?"}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="send_message",
        method="POST",
        path="/sessions/{session_id}/message",
        section="messages",
        summary="Send a message; the answer is the result",
        body=Body(MessageBody, _EXAMPLE),
        headers=(_IDEMPOTENCY_KEY, _PREFER),
        answers=(
            Answer(200, "The run has ended.", Result, headers=(LOCATION,)),
            Answer(
                202,
                "The run is admitted; the answer to `Prefer: respond-async`.",
                Accepted,
                headers=(LOCATION, _APPLIED),
            ),
        ),
        errors=(*_MESSAGE, *_RUN),
        error_headers=(LOCATION,),
    ),
    Route(
        name="stream_message",
        method="POST",
        path="/sessions/{session_id}/message/stream",
        section="messages",
        summary="Send a message; the answer is its events",
        body=Body(MessageBody, _EXAMPLE),
        query=StreamQuery,
        headers=(_IDEMPOTENCY_KEY,),
        answers=(
            Answer(
                200,
                "The run's events, from its admission to its end.",
                media_types=("text/event-stream",),
                frames=RUN_STREAM,
                headers=(LOCATION,),
            ),
        ),
        errors=_MESSAGE,
    ),
)
