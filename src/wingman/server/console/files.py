"""The files of the page, and the headers that they are sent with."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import attrs
import trio
from quart import Response, request

from wingman.errors import NotFound

__all__ = ["Files"]

_FOLDER: Final = Path(__file__).with_name("page")
_PAGE: Final = "index.html"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
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


@attrs.frozen
class _File:
    content: bytes = attrs.field(repr=False)
    type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> "_File":
        content = path.read_bytes()
        return cls(content, _TYPES[path.suffix], sha256(content).hexdigest()[:32])


@attrs.define(eq=False)
class Files:
    """The files of the page, by their paths in its folder. They are read when one is asked for, and
    held: a page has many small files, and a browser asks for all of them at once."""

    _held: Mapping[str, _File] = attrs.field(factory=dict, init=False, repr=False)

    async def page(self) -> Response:
        """The page itself. It also names its styles, which the first paint waits for, and then its
        modules: so a browser need not find each of them in the one before."""
        response = await self.file(_PAGE)
        response.headers["Link"] = ", ".join((*self._named(".css"), *self._named(".js")))
        return response

    def _named(self, suffix: str) -> Iterator[str]:
        how = {".css": "preload; as=style", ".js": "modulepreload"}[suffix]
        for name in self._held:
            if name.endswith(suffix):
                yield f"</console/{name}>; rel={how}"

    async def file(self, name: str) -> Response:
        """A file of the page; 304 without it where the client has it already.

        Raises `NotFound` for any other file.
        """
        if not self._held:
            self._held = await trio.to_thread.run_sync(_read_all)
        file = self._held.get(name)
        if file is None:
            raise NotFound("asset", name)
        response = Response(file.content, headers=_HEADERS, content_type=file.type)
        response.set_etag(file.etag)
        await response.make_conditional(request)
        if response.status_code == 304:
            del response.headers["Content-Type"]
        return response


def _read_all() -> Mapping[str, _File]:
    return {
        path.relative_to(_FOLDER).as_posix(): _File.read(path)
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _TYPES
    }
