"""/openapi.json and /docs: the contract itself, as a document and as a page.

The page is Swagger UI's, with the files of the package `swagger-ui-py`. Nothing of it comes from
elsewhere.
"""

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import trio
from quart import Response

from wingman.api import document
from wingman.errors import NotFound
from wingman.server.exchange import json_response
from wingman.server.handlers import Handlers

__all__ = ["contract_handlers"]

_DISTRIBUTION: Final = "wingman-runtime"

_TYPES: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_HEADERS: Final = {
    # Swagger UI writes styles into the page, and has its icons in `data:` URLs.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Wingman: the HTTP contract</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
<div id="contract"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""
_START: Final = """\
SwaggerUIBundle({url: "/openapi.json", dom_id: "#contract", deepLinking: true});
"""


def contract_handlers() -> Handlers:
    """The contract as an OpenAPI document, and as a page."""
    handlers = Handlers()

    @handlers.add
    async def openapi() -> Response:
        return json_response(document(version(_DISTRIBUTION)))

    @handlers.add
    async def docs() -> Response:
        return Response(_PAGE, headers=_HEADERS, content_type="text/html; charset=utf-8")

    @handlers.add
    async def docs_asset(asset: str) -> Response:
        if asset == "start.js":
            return Response(_START, headers=_HEADERS, content_type="text/javascript")
        if asset not in _TYPES:
            raise NotFound("asset", asset)
        content = await trio.Path(_assets() / asset).read_bytes()
        return Response(content, headers=_HEADERS, content_type=_TYPES[asset])

    return handlers


@cache
def _assets() -> Path:
    """The directory of Swagger UI's files. The package itself is not imported."""
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("asset", "swagger_ui")
    return Path(spec.submodule_search_locations[0]) / "static"
