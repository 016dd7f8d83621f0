"""The console, `GET /`: the page that people look at, over the public API and nothing else.

    page/     the page itself: HTML, CSS and ES modules, sent as they stand
    files.py  which files there are, and the headers that they are sent with

It knows no session and no run: what the page shows, it asks the API for, as any client does.
"""

from wingman.server.console.files import page_file

__all__ = ["page_file"]
