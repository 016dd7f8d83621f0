"""The files of the page, and the headers that they are sent with."""

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

import trio
from quart import Response, request

from wingman.errors import NotFound

__all__ = ["page_file"]

_FOLDER: Final = Path(__file__).with_name("page")
_PAGE: Final = "index.html"
_NAME: Final = re.compile(r"(views/)?[a-z0-9][a-z0-9_-]*\.(css|html|js|svg)")
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS: Final = {
    # No script and no style in the page, no `eval`, nothing from elsewhere, no frame around it.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # A browser may keep a file, and asks each time whether it is still the same.
    "Cache-Control": "no-cache",
}


async def page_file(name: str = _PAGE) -> Response:
    """A file of the page; 304 without it where the client has it already.

    Raises `NotFound` for any other file.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise NotFound("asset", name)
    try:
        content = await trio.Path(_FOLDER / name).read_bytes()
    except FileNotFoundError:
        raise NotFound("asset", name) from None
    response = Response(content, headers=_HEADERS, content_type=_TYPES[match[2]])
    response.set_etag(sha256(content).hexdigest()[:32])
    await response.make_conditional(request)
    if response.status_code == 304:
        del response.headers["Content-Type"]
    return response
