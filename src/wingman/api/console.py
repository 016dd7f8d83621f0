"""The console as the contract has it: its page, and how people log in to it."""

from typing import Final

from wingman.api.route import Answer, Header, Route

__all__ = ["ROUTES"]

_IF_NONE_MATCH: Final = Header("If-None-Match", "The `ETag` of the file that the client has.")
_ETAG: Final = Header("ETag", "What the file has in it, as a hash.")
_UNCHANGED: Final = Answer(304, "The client has it already.", media_types=(), headers=(_ETAG,))
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
        answers=(Answer(200, "A page.", media_types=("text/html",), headers=(_ETAG,)), _UNCHANGED),
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
        answers=(_FILE, _UNCHANGED),
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
        answers=(_FILE, _UNCHANGED),
        errors=("asset_not_found",),
        needs_token=False,
    ),
)
