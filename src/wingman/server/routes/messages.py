"""/sessions/{id}/message: send a message; blocking, streamed, or answered at once."""

from collections.abc import MutableMapping
from typing import Annotated, Any, Literal

import msgspec
from quart import Blueprint, Response, request

from wingman.conversation import ImageBlock, Message, TextBlock, ToolResultBlock, ToolUseBlock
from wingman.errors import InvalidRequest, WingmanError
from wingman.events import Done, Error, Event, Text, ToolResult, ToolUse
from wingman.runtime import Runtime
from wingman.server.errors import wingman_error
from wingman.server.exchange import body, json_response, preferences, release_body
from wingman.server.guard import ON_DISCONNECT
from wingman.server.sse import RunFrames, included, replay, stream_response
from wingman.session import OnBusy, Run, RunRequest

__all__ = ["message_routes"]


class MessageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message, and how it is to be run."""

    message: Annotated[str, msgspec.Meta(min_length=1)]
    agent_id: str | None = None
    images: tuple[ImageBlock, ...] = ()
    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    max_steps: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    on_busy: OnBusy = "queue"
    on_disconnect: Literal["continue", "cancel"] = "continue"


def message_routes(runtime: Runtime) -> Blueprint:
    """The three forms of one thing: admit a run, then wait for it, follow it, or leave it."""
    routes = Blueprint("messages", __name__)

    @routes.post("/sessions/<session_id>/message")
    async def send(session_id: str) -> Response:
        fields = await body(MessageBody)
        if "respond-async" in preferences(request.headers.getlist("Prefer")):
            run = await _submit(runtime, session_id, fields, stays=False)
            headers = {**_location(run), "Preference-Applied": "respond-async"}
            return json_response({"run_id": run.id, "status": run.status}, 202, headers)
        run = await _submit(runtime, session_id, fields, stays=True)
        try:
            await run.result()
            response = json_response(run.recorded_outcome())
        except WingmanError as error:
            response = await wingman_error(error)
        response.headers.update(_location(run))
        return response

    @routes.post("/sessions/<session_id>/message/stream")
    async def stream(session_id: str) -> Response:
        kinds = included(request.args.get("include"))
        run = await _submit(runtime, session_id, await body(MessageBody), stays=True)
        if run.ended:
            return stream_response(replay(await _events(runtime, run)), _location(run))
        return stream_response(RunFrames(run.reader(), kinds, run.id), _location(run))

    return routes


async def _submit(runtime: Runtime, session_id: str, fields: MessageBody, stays: bool) -> Run:
    """Admit the message's run. From here on it is its session's, not ours.

    Where its client `stays` connected and the message says so, the run ends when it leaves, also
    while it is being admitted: so the run is known before it is durable.
    """
    run = await runtime.admit(
        session_id,
        RunRequest(
            agent_id=fields.agent_id,
            message=fields.message,
            images=fields.images,
            max_steps=fields.max_steps,
            request_id=_request_id(fields),
            on_busy=fields.on_busy,
            callers=_callers(runtime) if stays else frozenset(),
        ),
    )
    if stays and fields.on_disconnect == "cancel":
        scope: MutableMapping[str, Any] = request.scope  # type: ignore[assignment]
        scope[ON_DISCONNECT] = run.request_cancel
    await run.admitted()
    release_body()  # its message waits now, and counts as one of those that do
    return run


def _callers(runtime: Runtime) -> frozenset[str]:
    """The sessions that wait for this request's client, if it is a tool's command."""
    client, server = request.scope.get("client"), request.scope.get("server")
    if client is None or server is None or server[1] is None:
        return frozenset()
    return runtime.callers((client[0], client[1]), (server[0], server[1]))


def _request_id(fields: MessageBody) -> str | None:
    """The idempotency key: of the body, or of the header."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return fields.request_id
    if not 1 <= len(key) <= 255:
        raise InvalidRequest("Idempotency-Key has 1 to 255 characters.")
    if fields.request_id not in (None, key):
        raise InvalidRequest("Idempotency-Key and request_id differ - at `$.request_id`")
    return key


def _location(run: Run) -> dict[str, str]:
    return {"Location": f"/sessions/{run.session_id}/runs/{run.id}"}


async def _events(runtime: Runtime, run: Run) -> list[Event]:
    """The events of a run that is over, from what it has added to the history.

    Raises what ended the waiting for a run that has no end of its own.
    """
    failure = run.record.error
    last: Event
    if failure is None:
        last = Done(run.recorded_outcome())
    else:
        last = Error(failure.code, failure.message, run.id)
    events: list[Event] = []
    for message in await runtime.run_messages(run.id):
        events += _events_of(message)
    return [*events, last]


def _events_of(message: Message) -> list[Event]:
    events: list[Event] = []
    for block in message.content:
        match block:
            case TextBlock(text=text) if message.role == "assistant":
                events.append(Text(text))
            case ToolUseBlock(id=id, name=name, input=input):
                events.append(ToolUse(id, name, input))
            case ToolResultBlock(tool_use_id=id, content=content, is_error=is_error):
                events.append(ToolResult(id, content, is_error))
            case _:
                pass
    return events
