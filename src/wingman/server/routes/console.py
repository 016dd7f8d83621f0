"""/ and /console: the page that people look at, and how they log in to it."""

from datetime import UTC, datetime, timedelta

from quart import Response, request

from wingman.api import LoggedOut, Login, LoginBody, LoginLink
from wingman.errors import InvalidRequest
from wingman.server.console import (
    LINK_SECONDS,
    LOGIN_SECONDS,
    Files,
    Logins,
    cookie_set,
    cookies_of,
)
from wingman.server.exchange import json_response
from wingman.server.handlers import Handlers

__all__ = ["console_handlers"]


def console_handlers(logins: Logins) -> Handlers:
    """The console's page and its files; the way in, and the way out."""
    handlers = Handlers()
    files = Files()

    @handlers.add
    async def console() -> Response:
        return await files.page()

    @handlers.add
    async def console_file(file: str) -> Response:
        return await files.file(file)

    @handlers.add
    async def console_view(file: str) -> Response:
        return await files.file(f"views/{file}")

    @handlers.add
    async def read_login() -> Login:
        left = max([await logins.left(cookie) for cookie in _cookies()], default=0.0)
        return Login(logins.needed, _in(left) if left else None)

    @handlers.add
    async def log_in(body: LoginBody) -> Response:
        if (body.link is None) == (body.token is None):
            raise InvalidRequest("Give the secret of a link, or the server's token.")
        if not logins.needed:
            return json_response(Login(needed=False))
        if body.link is not None:
            secret = await logins.by_link(body.link)
        else:
            secret = await logins.by_token(body.token or "")
        login = Login(needed=True, expires_at=_in(LOGIN_SECONDS))
        return json_response(login, headers=_keeping(secret, LOGIN_SECONDS))

    @handlers.add
    async def log_out() -> Response:
        for cookie in _cookies():
            await logins.end(cookie)
        return json_response(LoggedOut(), headers=_keeping("", 0))

    @handlers.add
    async def create_login_link() -> LoginLink:
        if not logins.needed:
            return LoginLink()
        return LoginLink(await logins.new_link(), _in(LINK_SECONDS))

    return handlers


def _cookies() -> tuple[str, ...]:
    return tuple(cookies_of(request.headers.get("Host", ""), request.headers.get("Cookie", "")))


def _keeping(secret: str, seconds: float) -> dict[str, str]:
    # A page says where it is from, and so how the browser reached us; TLS may end before us.
    secure = request.headers.get("Origin", "").startswith("https://")
    return {
        "Set-Cookie": cookie_set(request.headers.get("Host", ""), secret, seconds, secure=secure),
        "Cache-Control": "no-store",
    }


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
