"""Changes: what another configuration changes in a server that runs, and what it cannot."""

from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from wingman.config.form import Configuration
from wingman.config.loading import Loaded
from wingman.config.mistakes import key_path

__all__ = ["changed", "needing_restart"]

_FIXED: Final = ("serve", "limits")


def changed(old: Loaded, new: Loaded) -> list[str]:
    """The keys whose meaning is another one: of agents, prices and MCP servers each by its name."""
    found: list[str] = []
    for section in ("agents", "mcp", "prices"):
        before = getattr(old.configuration, section)
        after = getattr(new.configuration, section)
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        found += (key_path((section, name)) for name in names)
    if old.rules != new.rules:
        found.append("permissions")
    if (old.tools, old.toolsets) != (new.tools, new.toolsets):
        found.append("tools")
    return found


def needing_restart(
    started: Configuration, now: Configuration, overridden: Collection[str]
) -> list[str]:
    """The keys that say something else than when the server started, which reads them only then.

    `overridden` are those that the command line or the environment says: what the file says of
    them counts for nothing.
    """
    return [
        key_path((section, name))
        for section in _FIXED
        for name in _different(getattr(started, section), getattr(now, section))
        if name not in overridden
    ]


def _different(before: msgspec.Struct, after: msgspec.Struct) -> Iterator[str]:
    for name in before.__struct_fields__:
        if getattr(before, name) != getattr(after, name):
            yield name
