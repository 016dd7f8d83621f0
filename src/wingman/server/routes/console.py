"""/ and /console: the page that people look at."""

from quart import Response

from wingman.server.console import page_file
from wingman.server.handlers import Handlers

__all__ = ["console_handlers"]


def console_handlers() -> Handlers:
    """The console's page and its files."""
    handlers = Handlers()

    @handlers.add
    async def console() -> Response:
        return await page_file()

    @handlers.add
    async def console_file(file: str) -> Response:
        return await page_file(file)

    @handlers.add
    async def console_view(file: str) -> Response:
        return await page_file(f"views/{file}")

    return handlers
