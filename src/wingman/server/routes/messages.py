"""/sessions/{id}/message: send a message; blocking, streamed, or answered at once."""

from collections.abc import MutableMapping
from typing import Any

from quart import Response, request

from wingman.api import Accepted, CompactBody, MessageBody, OnBusy, Receipt, StreamQuery, WordsBody
from wingman.errors import InvalidRequest, WingmanError
from wingman.events import Done, Error, Event, events_of
from wingman.runtime import Runtime
from wingman.server.callers import callers_of
from wingman.server.errors import wingman_error
from wingman.server.exchange import json_response, preferences, release_body
from wingman.server.guard import ON_DISCONNECT
from wingman.server.handlers import Handlers
from wingman.server.sse import RunFrames, included, replay, stream_response
from wingman.session import Run, RunRequest

__all__ = ["message_handlers"]


def message_handlers(runtime: Runtime) -> Handlers:
    """The three forms of one thing: admit a run, then wait for it, follow it, or leave it."""
    handlers = Handlers()

    @handlers.add
    async def send_message(session_id: str, body: MessageBody) -> Response:
        if "respond-async" in preferences(request.headers.getlist("Prefer")):
            run = await _submit(runtime, session_id, body, stays=False)
            headers = {**_location(run), "Preference-Applied": "respond-async"}
            return json_response(accepted(run, body.on_busy), 202, headers)
        return await _result(await _submit(runtime, session_id, body, stays=True))

    @handlers.add
    async def stream_message(session_id: str, query: StreamQuery, body: MessageBody) -> Response:
        kinds = included(query.include)
        if body.on_busy == "steer":
            raise InvalidRequest(
                "A message that steers has no events of its own: follow the session's events, or "
                "the run's - at `$.on_busy`"
            )
        run = await _admit(runtime, session_id, body, stays=True)
        known = run.ended  # its message came before; a new run may be over when it is durable
        # Before anything of the run can be stored: from now on its events are held for it.
        frames = RunFrames(run.reader(), kinds, run.id)
        await _admitted(run)
        if known:
            return stream_response(replay(await _events(runtime, run)), _location(run))
        return stream_response(frames, _location(run))

    @handlers.add
    async def compact_session(session_id: str, body: CompactBody) -> Response:
        asynchronous = "respond-async" in preferences(request.headers.getlist("Prefer"))
        run = await runtime.admit(
            session_id,
            RunRequest(
                message=body.instructions,
                agent_id=body.agent_id,
                request_id=_request_id(body),
                callers=frozenset() if asynchronous else callers_of(runtime),
                compacts=True,
            ),
        )
        await _admitted(run)
        if asynchronous:
            headers = {**_location(run), "Preference-Applied": "respond-async"}
            return json_response(Accepted(run.id, run.status), 202, headers)
        return await _result(run)

    @handlers.add
    async def steer_run(session_id: str, run_id: str, body: WordsBody) -> Response:
        await runtime.describe_run(session_id, run_id)
        fields = MessageBody(
            body.message,
            images=body.images,
            request_id=body.request_id,
            on_busy="steer",
            expect_run=run_id,
        )
        run = await _submit(runtime, session_id, fields, stays=False)
        return json_response(accepted(run, "steer"), 202, _location(run))

    @handlers.add
    async def take_back(session_id: str, run_id: str) -> Receipt:
        return await runtime.take_back(session_id, run_id)

    return handlers


async def _result(run: Run) -> Response:
    """What a run came to, once it has ended."""
    try:
        await run.result()
        response = json_response(run.recorded_outcome())
    except WingmanError as error:
        response = await wingman_error(error)
    response.headers.update(_location(run))
    return response


def accepted(run: Run, on_busy: OnBusy) -> Accepted:
    """What is answered at once of a run, and, of a message that is to steer, what becomes of it."""
    if on_busy != "steer":
        return Accepted(run.id, run.status)
    return Accepted(run.id, run.status, run.disposition, run.record.steers)


async def _submit(runtime: Runtime, session_id: str, fields: MessageBody, stays: bool) -> Run:
    """Admit the message's run, and return when it is durable."""
    run = await _admit(runtime, session_id, fields, stays)
    await _admitted(run)
    return run


async def _admit(runtime: Runtime, session_id: str, fields: MessageBody, stays: bool) -> Run:
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
            callers=callers_of(runtime) if stays else frozenset(),
            permissions=fields.permissions,
            on_ask=fields.on_ask,
            ask_timeout=fields.ask_timeout,
            expect_run=fields.expect_run,
        ),
    )
    if stays and fields.on_disconnect == "cancel":
        scope: MutableMapping[str, Any] = request.scope  # type: ignore[assignment]
        scope[ON_DISCONNECT] = run.request_cancel
    return run


async def _admitted(run: Run) -> None:
    """Return when the run is durable."""
    await run.admitted()
    release_body()  # its message waits now, and counts as one of those that do


def _request_id(fields: MessageBody | CompactBody) -> str | None:
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
    return [*events_of(await runtime.run_messages(run.id)), last]
