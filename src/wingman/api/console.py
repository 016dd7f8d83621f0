"""The console as the contract has it: its page, and how people log in to it."""

from typing import Final, Literal

import msgspec

from wingman.api.route import Answer, Body, Header, Route, Time

__all__ = ["ROUTES", "LoggedOut", "Login", "LoginBody", "LoginLink"]


class LoginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With what one logs in: the secret of a `link`, or the server's `token`. Its `repr` has
    neither."""

    link: str | None = None
    token: str | None = None

    def __repr__(self) -> str:
        return f"LoginBody({'token' if self.link is None else 'link'}='…')"


class Login(msgspec.Struct, frozen=True):
    """Whether one has to log in at all, and until when one is; null where one is not."""

    needed: bool
    expires_at: Time | None = None


class LoginLink(msgspec.Struct, frozen=True):
    """The secret of a link to the console: `/#link=` and the secret is the link's end. It works
    once, until it expires. Null where the server has no token, and the console is open."""

    link: str | None = None
    expires_at: Time | None = None

    def __repr__(self) -> str:
        return f"LoginLink(expires_at={self.expires_at!r})"


class LoggedOut(msgspec.Struct, frozen=True):
    """The cookie opens nothing any more."""

    status: Literal["logged_out"] = "logged_out"


_IF_NONE_MATCH: Final = Header("If-None-Match", "The `ETag` of the file that the client has.")
_SET_COOKIE: Final = Header("Set-Cookie", "The cookie, which scripts cannot read.")
_ETAG: Final = Header("ETag", "What the file has in it, as a hash.")
_MODULES: Final = Header("Link", "`<path>; rel=modulepreload`: the scripts that the page needs.")


def _unchanged(*headers: Header) -> Answer:
    return Answer(304, "The client has it already.", media_types=(), headers=(_ETAG, *headers))


_FILE: Final = Answer(
    200,
    "The file.",
    media_types=("text/css", "text/javascript", "text/html", "image/svg+xml"),
    headers=(_ETAG,),
)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="console",
        method="GET",
        path="/",
        section="console",
        summary="The console: sessions, approvals and the runtime, as a page",
        headers=(_IF_NONE_MATCH,),
        answers=(
            Answer(200, "A page.", media_types=("text/html",), headers=(_ETAG, _MODULES)),
            _unchanged(_MODULES),
        ),
        needs_token=False,
        ignores_query=True,
    ),
    Route(
        name="console_file",
        method="GET",
        path="/console/{file}",
        section="console",
        summary="A file of that page",
        headers=(_IF_NONE_MATCH,),
        answers=(_FILE, _unchanged()),
        errors=("asset_not_found",),
        needs_token=False,
    ),
    Route(
        name="console_view",
        method="GET",
        path="/console/views/{file}",
        section="console",
        summary="A file of a part of that page",
        headers=(_IF_NONE_MATCH,),
        answers=(_FILE, _unchanged()),
        errors=("asset_not_found",),
        needs_token=False,
    ),
    Route(
        name="read_login",
        method="GET",
        path="/console/login",
        section="console",
        summary="Whether one has to log in, and is logged in",
        answers=(Answer(200, "How it stands.", Login),),
        needs_token=False,
    ),
    Route(
        name="log_in",
        method="POST",
        path="/console/login",
        section="console",
        summary="Exchange a link or the token for a cookie",
        description="For pages of this server, the cookie then stands for the token.",
        body=Body(LoginBody, {"link": "aSecretThatWorksOnce"}),
        answers=(Answer(200, "One is logged in.", Login, headers=(_SET_COOKIE,)),),
        errors=("unauthorized", "too_many_logins"),
        needs_token=False,
    ),
    Route(
        name="log_out",
        method="POST",
        path="/console/logout",
        section="console",
        summary="Make the cookie worthless",
        answers=(Answer(200, "It is.", LoggedOut, headers=(_SET_COOKIE,)),),
        needs_token=False,
    ),
    Route(
        name="create_login_link",
        method="POST",
        path="/console/login/link",
        section="console",
        summary="Make a link with which one person may log in once",
        answers=(Answer(200, "The link's secret.", LoginLink),),
    ),
)
