"""The environment of a command: no keys, and no terminal with a person before it."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["NO_TERMINAL", "child_environment"]

_SECRETS: Final = ("_API_KEY", "_AUTH_TOKEN")

NO_TERMINAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "TERM": "dumb",
        # What would show a text page by page shows all of it.
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "MANPAGER": "cat",
        "SYSTEMD_PAGER": "cat",
        # What would have a text edited fails; git takes the text that it proposes, if there is one,
        # and says what it misses. A list of commits that nobody edits is not what was wanted.
        "EDITOR": "false",
        "VISUAL": "false",
        "GIT_EDITOR": "true",
        "GIT_SEQUENCE_EDITOR": "false",
        # What would ask does not, or goes by its defaults.
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "SSH_ASKPASS_REQUIRE": "never",
        "DEBIAN_FRONTEND": "noninteractive",
        "PIP_NO_INPUT": "1",
        "POETRY_NO_INTERACTION": "1",
        "COMPOSER_NO_INTERACTION": "1",
        "npm_config_yes": "true",
        "npm_config_progress": "false",
        "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
        "GH_PROMPT_DISABLED": "1",
    }
)
"""What a command finds whatever this process has: that was set for a person at a terminal."""

_DEFAULTS: Final = {
    "GIT_ASKPASS": "",  # git asks no program of the desktop's for a password
    "PYTHONUNBUFFERED": "1",  # what was printed is there also when the command is ended
}


def child_environment() -> dict[str, str]:
    """This process's environment as a command is to have it.

    Left out are Wingman's own settings and the providers' keys: `WINGMAN_*`, `*_API_KEY`,
    `*_AUTH_TOKEN`. It keeps keys out of `env` and out of logs, no more: a process of the same user
    can find them in other ways. `NO_TERMINAL` is on top; a few defaults are where nothing is set.
    """
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WINGMAN_") and not name.endswith(_SECRETS)
    }
    return {**_DEFAULTS, **own, **NO_TERMINAL}
