"""The Quart-Trio app: the routes over one runtime, and how errors are answered."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self, cast

import attrs
import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Request, Response
from quart.ctx import AppContext, RequestContext
from quart.globals import _cv_app, _cv_request
from quart.utils import encode_headers
from quart.wrappers.base import BaseRequestWebsocket
from quart.wrappers.response import DataBody, ResponseBody
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from wingman.api import ROUTES, Route
from wingman.errors import SessionElsewhere, WingmanError
from wingman.runtime import Runtime
from wingman.server.asgi import Inbox
from wingman.server.bodies import DEFAULT_BODY_MEMORY, BodyRoom, CountedRequest
from wingman.server.callers import was_forwarded
from wingman.server.console import Logins
from wingman.server.errors import (
    AnswerCut,
    http_error_response,
    internal_error,
    misdirected,
    wingman_error,
)
from wingman.server.handlers import Handlers, Refresh, serve_contract
from wingman.server.paths import Paths
from wingman.server.relay import Relay, TakenBack
from wingman.server.routes import Reload, handlers_of
from wingman.under_trio import require_trio

__all__ = ["create_app"]

_LARGEST_BODY = 16 * 1024 * 1024
_BODY_SECONDS = 60


class LeanConnection(TrioASGIHTTPConnection):
    """One exchange, which ends if its client leaves.

    Our own server tells that at once; another's `receive` is waited for in a task of its own.
    """

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        app = cast("LeanQuart", self.app)
        request = cast("CountedRequest", self._create_request_from_scope(send))
        request.body.room = app.body_room
        request.keeps = app.relay is not None
        inbox: object = receive
        try:
            if isinstance(inbox, Inbox):
                with trio.CancelScope() as scope, suppress(AnswerCut):
                    inbox.listen(request.body, scope.cancel)
                    await self._answer(request, send)
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.handle_messages, nursery, request, receive)
                with suppress(AnswerCut):
                    await self._answer(request, send)
                nursery.cancel_scope.cancel()
        finally:
            request.body.release()

    async def _answer(self, request: Request, send: ASGISendCallable) -> None:
        response = await self.app.handle_request(request)
        if isinstance(response, Elsewhere):
            await self._have_answered(response.error, request, send)
        else:
            await self._send(response, send)

    async def _have_answered(
        self, elsewhere: SessionElsewhere, request: Request, send: ASGISendCallable
    ) -> None:
        """Have another node answer; or, as soon as the session is this node's, answer."""
        app = cast("LeanQuart", self.app)

        async def again() -> SessionElsewhere | None:
            response = await app.handle_request(request)
            if isinstance(response, Elsewhere):
                return response.error
            await self._send(response, send)
            return None

        relay = cast("Relay", app.relay)
        async with LeanContext(app, request):
            try:
                await relay.answer(request, elsewhere, send, again)
                return
            except TakenBack as taken_back:
                response = taken_back.response
            except WingmanError as error:
                response = await wingman_error(error)
        await self._send(response, send)

    async def _send(self, response: Any, send: ASGISendCallable) -> None:
        status, headers = response.status_code, encode_headers(response.headers)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = cast("ResponseBody", response.response)
        if isinstance(body, DataBody):
            await send({"type": "http.response.body", "body": body.data, "more_body": False})
            return
        async with body as pieces:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@attrs.frozen
class Elsewhere:
    """In the place of a response: another node is to answer."""

    error: SessionElsewhere


class LeanContext(RequestContext):
    """What `request` and `current_app` stand for while a request is answered."""

    def __init__(self, app: "LeanQuart", request: Request) -> None:
        # Quart's would begin with an adapter of Werkzeug's: few requests need one.
        self.app = app
        self.request_websocket = request

    async def __aenter__(self) -> Self:
        app = cast("LeanQuart", self.app)
        self._of_app = _cv_app.set(app.context)
        self._of_request = _cv_request.set(self)
        request = self.request
        found = app.paths.find(request.method, request.path)
        if found is not None:
            request.url_rule, request.view_args = found
        else:
            self.url_adapter = app.create_url_adapter(request)
            self.match_request()
        return self

    async def __aexit__(self, *_: object) -> None:
        _cv_request.reset(self._of_request)
        _cv_app.reset(self._of_app)


class LeanQuart(QuartTrio):
    """Quart without what we do not use: cookies' sessions, signals, hooks, URLs by host.

    They cost as much as the rest of a request, and there is nothing here that listens. Whatever
    answers a request here, a view or an error handler, answers with a `Response`.
    """

    asgi_http_class = LeanConnection
    request_class = CountedRequest
    body_room: BodyRoom
    context: AppContext
    paths: Paths
    relay: Relay | None = None

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Take a connection from an ASGI server, which must be one that runs on Trio."""
        require_trio()
        await self.asgi_app(scope, receive, send)

    async def handle_request(self, request: Request) -> Any:
        """Dispatch to the view; answer what it raises."""
        async with LeanContext(self, request) as context:
            try:
                return await self.dispatch_request(context)
            except SessionElsewhere as error:
                if was_forwarded():
                    return await misdirected(error)
                return await wingman_error(error) if self.relay is None else Elsewhere(error)
            except Exception as error:
                return await self.handle_user_exception(error)

    def ensure_async(self, func: Any) -> Any:
        """All functions here are async: Quart would look each time."""
        return func

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Routes go by path and method; hosts are the guard's affair."""
        if request is None:
            return None
        return MapAdapter(self.url_map, "", "/", None, "http", request.path, request.method)


def create_app(
    runtime: Runtime,
    body_memory: int = DEFAULT_BODY_MEMORY,
    logins: Logins | None = None,
    reload: Reload | None = None,
    relay: Relay | None = None,
) -> QuartTrio:
    """The HTTP face of a runtime, which must be open while the app is served.

    `body_memory` is how many bytes of requests' bodies are held at once. `logins` are those of the
    guard around the app; without one nobody has to log in. `reload` has the program read its
    configuration again. `relay` has other nodes answer for their sessions.
    """
    handlers = handlers_of(runtime, Logins(runtime.passes) if logins is None else logins, reload)
    refresh = None if runtime.member is None else runtime.refresh
    return app_of(handlers, body_memory=body_memory, relay=relay, refresh=refresh)


def app_of(
    handlers: Iterable[Handlers],
    routes: Iterable[Route] = ROUTES,
    body_memory: int = DEFAULT_BODY_MEMORY,
    relay: Relay | None = None,
    refresh: Refresh | None = None,
) -> QuartTrio:
    """The app of these routes, each of which has its handler."""
    app = LeanQuart("wingman", static_folder=None)
    app.body_room = BodyRoom(body_memory)
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.config["BODY_TIMEOUT"] = _BODY_SECONDS
    # A blocking message waits for its run, however long that is.
    app.config["RESPONSE_TIMEOUT"] = None
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.relay = relay
    serve_contract(app, handlers, routes, refresh)
    app.register_error_handler(WingmanError, wingman_error)
    app.register_error_handler(HTTPException, http_error_response)
    app.register_error_handler(Exception, _bug)
    app.context = app.app_context()
    app.paths = Paths(app.url_map)
    return app


async def _bug(error: Exception) -> Response:
    return await internal_error(error)
