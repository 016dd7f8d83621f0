"""The Quart-Trio app: the routes over one runtime, and how errors are answered."""

from typing import Any

from quart import Response
from quart.ctx import RequestContext
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from wingman.errors import WingmanError
from wingman.runtime import Runtime
from wingman.server.errors import http_error_response, internal_error, wingman_error
from wingman.server.routes.agents import agent_routes
from wingman.server.routes.messages import message_routes
from wingman.server.routes.providers import provider_routes
from wingman.server.routes.runs import run_routes
from wingman.server.routes.sessions import session_routes
from wingman.server.routes.system import system_routes

__all__ = ["create_app"]

_LARGEST_BODY = 16 * 1024 * 1024
_BODY_SECONDS = 60


class LeanQuart(QuartTrio):
    """Quart without what we do not use: cookies' sessions, signals, before- and after-hooks.

    They cost as much as the rest of a request, and there is nothing here that listens.
    """

    async def full_dispatch_request(self, request_context: RequestContext | None = None) -> Any:
        """Dispatch to the view; answer what it raises."""
        result: Any
        try:
            result = await self.dispatch_request(request_context)
        except Exception as error:
            result = await self.handle_user_exception(error)
        return await self.make_response(result)


def create_app(runtime: Runtime) -> QuartTrio:
    """The HTTP face of a runtime, which must be open while the app is served."""
    app = LeanQuart("wingman", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.config["BODY_TIMEOUT"] = _BODY_SECONDS
    # A blocking message waits for its run, however long that is.
    app.config["RESPONSE_TIMEOUT"] = None
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    for routes in (
        agent_routes,
        session_routes,
        message_routes,
        run_routes,
        provider_routes,
        system_routes,
    ):
        app.register_blueprint(routes(runtime))
    app.register_error_handler(WingmanError, wingman_error)
    app.register_error_handler(HTTPException, http_error_response)
    app.register_error_handler(Exception, _bug)
    return app


async def _bug(error: Exception) -> Response:
    return await internal_error(error)
