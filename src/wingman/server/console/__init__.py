"""The console, `GET /`: the page that people look at, over the public API and nothing else.

    page/      the page itself: HTML, CSS and ES modules, sent as they stand
    files.py   which files there are, and the headers that they are sent with
    logins.py  who is logged in, by the token or by a link that works once
    cookie.py  how a browser keeps the secret of its login

It knows no session and no run: what the page shows, it asks the API for, as any client does.
"""

from wingman.server.console.cookie import cookie_set, cookies_of
from wingman.server.console.files import Files
from wingman.server.console.logins import LINK_SECONDS, LOGIN_SECONDS, Logins

__all__ = ["LINK_SECONDS", "LOGIN_SECONDS", "Files", "Logins", "cookie_set", "cookies_of"]
