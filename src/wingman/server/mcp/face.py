"""McpFace: what the server answers to MCP clients."""

from collections.abc import MutableMapping
from typing import Any, Final, TypeGuard

from msgspec import UNSET
from quart import Response, request

from wingman.api import McpMessage
from wingman.errors import InvalidRequest, NotFound, SessionElsewhere, WingmanError
from wingman.runtime import Runtime
from wingman.server.callers import callers_of, was_forwarded
from wingman.server.decoding import read_value
from wingman.server.exchange import release_body
from wingman.server.guard import ON_DISCONNECT
from wingman.server.mcp.answering import CallAnswer, CallFrames, cancelled
from wingman.server.mcp.clients import Call, Client, Clients, Waiting
from wingman.server.mcp.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Id,
    Refused,
    answer,
    read,
    refusal,
)
from wingman.server.mcp.progress import Progress
from wingman.server.mcp.running import failed, run_of, said
from wingman.server.mcp.tools import TOOLS, listed, look
from wingman.server.mcp.values import RunAgent
from wingman.server.mcp.versions import (
    check,
    discovered,
    in_words_of,
    initialized,
    meta_of,
    stands_for_itself,
)
from wingman.server.relay import CallElsewhere, ClientElsewhere
from wingman.server.sse import stream_response

__all__ = ["McpFace"]

_SESSION: Final = "Mcp-Session-Id"
_FRESH_SECONDS: Final = 60
_LONGEST_TOKEN: Final = 1024
# What the older generation answers with 200: there, 404 says that the session is gone.
_NOT_OF_HTTP: Final = frozenset({METHOD_NOT_FOUND, INVALID_PARAMS})


class McpFace:
    """The face of a runtime towards MCP clients. One message a request, of either generation."""

    def __init__(self, runtime: Runtime, clients: Clients | None = None) -> None:
        self._runtime = runtime
        self._clients = Clients() if clients is None else clients

    async def take(self, data: bytes) -> Response:
        """Answer the message that the current request has."""
        id: Id | None = None
        try:
            message = read(data)
            id = None if message.id is UNSET else message.id
            stateless = stands_for_itself(message, request.headers)
            if stateless:
                check(message, request.headers)
            client = None if stateless else await self._client(message)
            if id is None:
                _notified(message, client)
                return _accepted()
            if stateless:
                return await self._answer_stateless(message, id)
            return await self._answer(message, id, client)
        except Refused as refused:
            response = _json(refusal(id if refused.id is None else refused.id, refused))
            response.status_code = refused.status
            if refused.status == 503:
                response.headers["Retry-After"] = "1"
            return response

    async def end(self) -> None:
        """End the MCP session that the current request names. Raises `NotFound`."""
        id = request.headers.get(_SESSION)
        if id is None:
            raise InvalidRequest(f"The header {_SESSION} names the session that is to end.")
        try:
            self._clients.end(id)
        except NotFound:
            await self._check_elsewhere(id)
            raise

    async def _client(self, message: McpMessage) -> Client | None:
        """Whose message this is. Without a session it is served all the same, for itself; and so is
        one that another node has sent here, which knows the client."""
        id = request.headers.get(_SESSION)
        if id is None or message.method == "initialize":
            return None
        try:
            return self._clients.find(id)
        except NotFound as error:
            if was_forwarded():
                return None
            await self._check_elsewhere(id)
            text = "There is no such MCP session, or no more: begin one by `initialize`"
            raise Refused(INVALID_REQUEST, text, status=404) from error

    async def _check_elsewhere(self, id: str) -> None:
        """Raise `ClientElsewhere` where another node has this session, by the number in its id."""
        member, (number, dash, _) = self._runtime.member, id.partition("-")
        if member is None or not dash or number == str(member.nodes.number):
            return
        if any(str(node.number) == number for node in await member.nodes.living()):
            raise ClientElsewhere("Another node has the MCP session.", int(number))

    async def _answer(self, message: McpMessage, id: Id, client: Client | None) -> Response:
        try:
            match message.method:
                case "initialize":
                    response = _json(answer(id, initialized(_params(message))))
                    member = self._runtime.member
                    node = "" if member is None else f"{member.nodes.number}-"
                    response.headers[_SESSION] = self._clients.begin(node).id
                    return response
                case "ping":
                    return _json(answer(id, {}))
                case "tools/list":
                    return _json(answer(id, self._tools(message)))
                case "tools/call":
                    return await self._call(message, id, client, stateless=False)
            raise _unknown(message)
        except Refused as refused:
            if refused.code in _NOT_OF_HTTP:
                refused.status = 200
            raise

    async def _answer_stateless(self, message: McpMessage, id: Id) -> Response:
        match message.method:
            case "server/discover":
                result = in_words_of(True, discovered(), fresh_seconds=_FRESH_SECONDS)
            case "tools/list":
                result = in_words_of(True, self._tools(message), fresh_seconds=_FRESH_SECONDS)
            case "tools/call":
                return await self._call(message, id, None, stateless=True)
            case _:
                raise _unknown(message)
        return _json(answer(id, result))

    def _tools(self, message: McpMessage) -> dict[str, Any]:
        if _params(message).get("cursor") is not None:
            raise Refused(INVALID_PARAMS, "The list of tools has one page: it takes no cursor")
        return {"tools": listed([agent.name for agent in self._runtime.agents.list()])}

    async def _call(
        self, message: McpMessage, id: Id, client: Client | None, *, stateless: bool
    ) -> Response:
        params = _params(message)
        name, arguments = params.get("name"), params.get("arguments")
        tool = TOOLS.get(name) if isinstance(name, str) else None
        if tool is None:
            raise Refused(INVALID_PARAMS, f"There is no such tool; there are: {', '.join(TOOLS)}")
        if arguments is not None and not isinstance(arguments, dict):
            raise Refused(INVALID_PARAMS, "`params.arguments` is an object")
        try:
            asked = read_value(arguments or {}, tool.takes)
            if isinstance(asked, RunAgent):
                call = Call() if client is None else client.call(id, arguments)
                return await self._run(message, id, asked, call, stateless)
            result = said(await look(self._runtime, asked))
        except SessionElsewhere:
            raise  # another node is to answer
        except WingmanError as error:
            result = failed(error)
        return _json(answer(id, in_words_of(stateless, result)))

    async def _run(
        self, message: McpMessage, id: Id, asked: RunAgent, call: Call, stateless: bool
    ) -> Response:
        waiting = Waiting(call)
        left = waiting.answered if asked.background else waiting.left
        scope: MutableMapping[str, Any] = request.scope  # type: ignore[assignment]
        scope[ON_DISCONNECT] = left
        callers = frozenset[str]() if asked.background else callers_of(self._runtime)
        try:
            started = await run_of(self._runtime, call, asked, callers)
        except WingmanError as error:
            waiting.answered()
            if isinstance(error, SessionElsewhere):
                raise CallElsewhere(error, call.sent_on, lambda: _json(cancelled(id))) from error
            raise
        whole = CallAnswer(id, stateless, call, waiting, started)
        if asked.background or "text/event-stream" not in request.headers.get("Accept", ""):
            return _json(await whole.message())
        release_body()  # its message waits now, and counts as one of those that do
        token = meta_of(message).get("progressToken")
        progress: Progress | None = None
        if _is_id(token) and len(str(token)) <= _LONGEST_TOKEN:  # each notification has it
            progress = Progress(started.run, token)
        return stream_response(CallFrames(whole, progress))


def _params(message: McpMessage) -> dict[str, Any]:
    return {} if message.params is UNSET else message.params


def _notified(message: McpMessage, client: Client | None) -> None:
    """Take a notification. All but a cancel change nothing here."""
    if message.method == "notifications/cancelled" and client is not None:
        id = _params(message).get("requestId")
        if _is_id(id):
            client.cancel(id)


def _is_id(value: object) -> TypeGuard[Id]:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _unknown(message: McpMessage) -> Refused:
    return Refused(METHOD_NOT_FOUND, f"There is no method {message.method[:100]!r} here")


def _json(body: bytes) -> Response:
    return Response(body, content_type="application/json")


def _accepted() -> Response:
    response = Response(b"", status=202)
    del response.headers["Content-Type"]
    return response
