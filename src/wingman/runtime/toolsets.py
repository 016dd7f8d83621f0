"""Toolsets: those that agents can name. What a name stands for may change while agents use it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from wingman.errors import InvalidRequest, ToolsetUnavailable
from wingman.tools import Tool, Toolset, toolsets_of

__all__ = ["Toolsets"]


class Toolsets:
    """Toolsets by name. Whoever has one by its name is given what the name stands for at each step
    of a run."""

    def __init__(self, given: Iterable[Toolset] = ()) -> None:
        self._of_code: Mapping[str, Toolset] = {each.name: each for each in toolsets_of(given)}
        self._of_settings: Mapping[str, Toolset] = {}
        self._of_store: dict[str, Toolset] = {}

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    @property
    def names(self) -> Sequence[str]:
        """All names, sorted."""
        return sorted({*self.own, *self._of_settings})

    def is_of_settings(self, name: str) -> bool:
        """Whether it is of the settings."""
        return name in self._of_settings

    @property
    def own(self) -> Sequence[str]:
        """The names of those that are there whatever the settings are."""
        return sorted({*self._of_code, *self._of_store})

    def checked(self, given: Iterable[Toolset]) -> Mapping[str, Toolset]:
        """The toolsets of other settings by name. Raises `InvalidRequest` where a name is taken."""
        found: dict[str, Toolset] = {}
        for toolset in given:
            if toolset.name in found or toolset.name in self._of_code:
                raise InvalidRequest(f"There are two toolsets named {toolset.name!r}.")
            found[toolset.name] = toolset
        return found

    def give(self, given: Mapping[str, Toolset]) -> None:
        """Let these take the place of those of the former settings. One of the store that has the
        same name stands behind it, and is there again when the settings have it no more."""
        self._of_settings = given

    def find(self, name: str) -> Toolset | None:
        """What a name stands for now."""
        for known in (self._of_settings, self._of_code, self._of_store):
            if name in known:
                return known[name]
        return None

    def put(self, name: str, toolset: Toolset) -> None:
        """Let a name stand for this toolset of the store from now on."""
        self._of_store[name] = toolset

    def remove(self, name: str) -> None:
        """Let a name stand for nothing of the store; its absence is no error."""
        self._of_store.pop(name, None)

    def named(self, name: str) -> Toolset:
        """What the name stands for whenever it is opened."""
        return _Named(name, self)


@attrs.frozen(eq=False)
class _Named(Toolset):
    """A toolset by its name. It is never opened itself: each directory has the real one."""

    name: str
    _toolsets: Toolsets = attrs.field(repr=False)

    def within(self, work_dir: Path) -> Toolset:
        """The toolset that goes by this name now. Raises `ToolsetUnavailable` for none."""
        found = self._toolsets.find(self.name)
        if found is None:
            raise ToolsetUnavailable(f"There is no toolset named {self.name!r} any more.")
        return found.within(work_dir)

    async def tools(self) -> Sequence[Tool]:
        """None of its own."""
        return ()
