"""Handed over: work that a command gave to a service which ran before, and what is said of it.

Such a service (tmux's server, Docker, systemd, cron, another machine) is nobody's child here. What
it does on a command's behalf cannot be seen from here, and is not stopped with the command. A
receipt says so where the call names a client of one.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["note_of"]

_CLIENTS: Final = (
    "tmux",
    "screen",
    "docker",
    "docker-compose",
    "nerdctl",
    "podman",
    "kubectl",
    "systemd-run",
    "systemctl",
    "service",
    "launchctl",
    "supervisorctl",
    "pm2",
    "at",
    "batch",
    "crontab",
    "ssh",
    "mosh",
    "busctl",
    "dbus-send",
    "gdbus",
)

# Where a command may begin, and what may stand before its name. Each repetition is bounded: the
# time it takes is linear in the text.
_PREFIX: Final = r"(?:sudo|env|exec|nohup|time|xargs|setsid|command)"
_BEFORE: Final = rf"(?:{_PREFIX}\s{{1,9}}|[A-Za-z_]\w{{0,40}}=\S{{0,200}}\s{{1,9}})"
_USE: Final = re.compile(
    rf"(?:^|[;&|(){{}}`\n\"'])\s{{0,9}}{_BEFORE}{{0,4}}(?:[\w.-]{{0,40}}/){{0,9}}"
    rf"({'|'.join(_CLIENTS)})(?![\w./=-])"
)
_LOOKED_AT: Final = 20_000  # characters of an input


def note_of(input: Mapping[str, Any]) -> str | None:
    """What a receipt says of a call with this input, if it names a client of such a service."""
    found = dict.fromkeys(
        match.group(1) for text in _texts(input) for match in _USE.finditer(text[:_LOOKED_AT])
    )
    if not found:
        return None
    return (
        f"The call uses {', '.join(found)}: what it has handed to a service that ran before, or to "
        "another machine, is not stopped with it. Look there, and stop it by its own means."
    )


def _texts(input: Mapping[str, Any]) -> Iterator[str]:
    return (value for value in input.values() if isinstance(value, str))
