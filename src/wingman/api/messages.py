"""Messages as the contract has them: what is sent, and what is answered at once."""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from wingman.api.frames import RUN_STREAM
from wingman.api.permissions import OnAsk, PermissionForm
from wingman.api.route import LOCATION, STORE, WRITE, Answer, Body, Header, Route
from wingman.api.runs import Receipt, Status
from wingman.conversation import ImageBlock
from wingman.events import Result

__all__ = [
    "ROUTES",
    "Accepted",
    "CompactBody",
    "Disposition",
    "MessageBody",
    "OnBusy",
    "OnDisconnect",
    "StreamQuery",
    "WordsBody",
]

OnBusy: TypeAlias = Literal["queue", "reject", "interrupt", "steer"]
"""What a message does where a run is in flight. `steer`: the run reads it at its next step."""

Disposition: TypeAlias = Literal["steered", "started", "queued"]
"""What becomes of a message that is to steer: the run in flight reads it; nothing is in flight, and
it is a run of its own; or the run in flight takes no more words, and it is the next one."""

OnDisconnect: TypeAlias = Literal["continue", "cancel"]
"""What becomes of a run whose client leaves before the answer is complete."""


class MessageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message, and how it is to be run.

    `permissions` are rules for this message alone, after all others. A call that needs a person's
    answer waits for one, `ask_timeout` seconds at most; with `on_ask` `reject` it does not run, and
    the model is told that nobody can be asked.

    With `on_busy` `steer` the run in flight reads the message at its next step, as the user's
    words; where that run ends before, it is a run of its own. `expect_run` names the run that it is
    for: where another one is in flight by now, or none, nothing of the message is kept.
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
    expect_run: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    ask_timeout: Annotated[float, msgspec.Meta(gt=0, le=31_536_000)] | None = None


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The run of a message that is answered at once.

    `disposition` is there where the message was to steer, and `steers` the run that reads it.
    """

    run_id: str
    status: Status
    disposition: Disposition | None = None
    steers: str | None = None


class WordsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run in flight is to read at its next step."""

    message: Annotated[str, msgspec.Meta(min_length=1)]
    images: tuple[ImageBlock, ...] = ()
    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None


class CompactBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the summary should have in it, in words; with an `agent_id`, whose model writes it."""

    instructions: Annotated[str, msgspec.Meta(max_length=10_000)] = ""
    agent_id: str | None = None
    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None


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
    "run_ended",
    "run_queued",
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
    Route(
        name="steer_run",
        method="POST",
        path="/sessions/{session_id}/runs/{run_id}/steer",
        section="messages",
        summary="Have a run in flight read a message at its next step",
        description="The same as a message with `on_busy` `steer` and this run as its "
        "`expect_run`. Where the run ends before it reads it, the message is a run of its own.",
        headers=(_IDEMPOTENCY_KEY,),
        body=Body(WordsBody, {"message": "Leave the tests alone."}),
        answers=(Answer(202, "It is kept.", Accepted, headers=(LOCATION,)),),
        errors=("run_not_found", *_MESSAGE),
    ),
    Route(
        name="compact_session",
        method="POST",
        path="/sessions/{session_id}/compact",
        section="messages",
        summary="Have the history summarised but for its last turn",
        description="It waits its turn as a message does. The history stays as it is; models are "
        "shown the summary, and what comes after it. The result's `detail` says what was done.",
        headers=(_IDEMPOTENCY_KEY, _PREFER),
        body=Body(CompactBody, optional=True),
        answers=(
            Answer(200, "What was done.", Result, headers=(LOCATION,)),
            Answer(202, "It is kept.", Accepted, headers=(LOCATION, _APPLIED)),
        ),
        errors=(*_MESSAGE, *_RUN),
        error_headers=(LOCATION,),
    ),
    Route(
        name="take_back",
        method="DELETE",
        path="/sessions/{session_id}/messages/{run_id}",
        section="messages",
        summary="Take back a message that nobody has read",
        description="One that waits for its turn, or that is to steer a run and was not read yet.",
        answers=(Answer(200, "It is taken back.", Receipt),),
        errors=("session_not_found", "run_not_found", "message_read", *STORE),
    ),
)
