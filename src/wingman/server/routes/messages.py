"""/sessions/{id}/message: send a message; blocking, streamed, or answered at once."""

from collections.abc import MutableMapping
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from quart import Blueprint, Response, request

from wingman.conversation import Message, TextBlock, ToolResultBlock, ToolUseBlock
from wingman.errors import InvalidRequest
from wingman.events import Done, Error, Event, Text, ToolResult, ToolUse
from wingman.runtime import Runtime
from wingman.server.exchange import body, json_response
from wingman.server.guard import ON_CLOSE
from wingman.server.sse import RunFrames, included, stream_response
from wingman.session import OnBusy, Run, RunRequest

__all__ = ["message_routes"]


class MessageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message, and how it is to be run."""

    message: Annotated[str, msgspec.Meta(min_length=1)]
    agent_id: str | None = None
    request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    max_steps: Annotated[int, msgspec.Meta(ge=1)] | None = None
    on_busy: OnBusy = "queue"
    on_disconnect: Literal["continue", "cancel"] = "continue"


def message_routes(runtime: Runtime) -> Blueprint:
    """The three forms of one thing: admit a run, then wait for it, follow it, or leave it."""
    routes = Blueprint("messages", __name__)

    @routes.post("/sessions/<session_id>/message")
    async def send(session_id: str) -> Response:
        run = await _admit(runtime, session_id)
        if "respond-async" in request.headers.get("Prefer", ""):
            headers = {**_location(run), "Preference-Applied": "respond-async"}
            return json_response({"run_id": run.id, "status": run.status}, 202, headers)
        return json_response(await run.result(), headers=_location(run))

    @routes.post("/sessions/<session_id>/message/stream")
    async def stream(session_id: str) -> Response:
        kinds = included(request.args.get("include"))
        run = await _admit(runtime, session_id)
        replay = await _replay(runtime, run) if run.ended else ()
        return stream_response(RunFrames(run.reader(), kinds, run.id, replay), _location(run))

    return routes


async def _admit(runtime: Runtime, session_id: str) -> Run:
    """Decode the message and admit its run. From here on the run is its session's, not ours."""
    fields = await body(MessageBody)
    run_request = RunRequest(
        chosen=await runtime.choose_agent(session_id, fields.agent_id),
        message=fields.message,
        max_steps=fields.max_steps,
        request_id=_request_id(fields),
        on_busy=fields.on_busy,
    )
    run = await runtime.host.submit(session_id, run_request)
    if fields.on_disconnect == "cancel":
        scope: MutableMapping[str, Any] = request.scope  # type: ignore[assignment]
        scope[ON_CLOSE] = partial(_cancel_unless_ended, run)
    return run


def _cancel_unless_ended(run: Run) -> None:
    if not run.ended:
        run.request_cancel()


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


async def _replay(runtime: Runtime, run: Run) -> list[Event]:
    """The events of a run that is over, from what it has added to the history."""
    events: list[Event] = []
    for message in await runtime.store.run_messages(run.id):
        events += _events_of(message)
    record = run.record
    if record.result is not None:
        events.append(Done(record.result))
    elif record.error is not None:
        events.append(Error(record.error.code, record.error.message, run.id))
    return events


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
