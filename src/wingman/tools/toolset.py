"""Toolset: tools that are there while something is open, and that may change meanwhile.

    Toolset                what a connection, a plugin or a list of tools is to an agent
      Tools                a list of tools, which needs nothing to be open
      Combined             several toolsets as one
      Wrapped              each tool of another, made anew
        Prefixed           … with a prefix before its name
        Asking             … so that a person is asked, where no rule allows it
      Filtered             some tools of another

Whoever opens a toolset decides how long it stays so, and who shares it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from wingman.foreign import shown
from wingman.given import listed, of_kind
from wingman.tools.base import Tool

__all__ = ["Asking", "Combined", "Filtered", "Prefixed", "Tools", "Toolset", "Wrapped"]


class Toolset(ABC):
    """Some tools, and what must be open for them: a connection, a process, a file.

    It is an async context manager: its tools can be called while it is entered, by any task. The
    task that has entered it leaves it. `tools` may have others each time it is asked; an agent asks
    before each inference.

    Toolsets that are equal share what is open, so they are hashable. A toolset is equal to itself
    alone where its class does not say otherwise.

    A toolset that is lost while it is entered, such as a connection that breaks, cancels the block
    that it was entered for, and its `__aexit__` raises why, as a nursery does.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What people know it by."""

    def within(self, work_dir: Path) -> "Toolset":
        """The toolset for sessions of this directory: the same for all, if it does not matter."""
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return None

    @abstractmethod
    async def tools(self) -> Sequence[Tool]:
        """The tools as they are now; no two have one name."""


def _list_of_tools(given: Iterable[Tool]) -> tuple[Tool, ...]:
    return listed("tools", given, Tool)


def _list_of_toolsets(given: "Iterable[Toolset]") -> "tuple[Toolset, ...]":
    toolsets = tuple(given)
    for toolset in toolsets:
        if not isinstance(toolset, Toolset):
            raise TypeError(f"toolsets are a list of Toolset, and {shown(toolset)} is none")
        hash(toolset)  # equal ones are opened once: TypeError where that cannot be told
    return toolsets


@attrs.frozen
class Tools(Toolset):
    """A list of tools under one name."""

    name: str = attrs.field(validator=of_kind(str))
    _tools: tuple[Tool, ...] = attrs.field(converter=_list_of_tools)

    async def tools(self) -> Sequence[Tool]:
        """All of them."""
        return self._tools


@attrs.frozen
class Combined(Toolset):
    """Several toolsets as one. They are entered in order, and left in the opposite one."""

    name: str = attrs.field(validator=of_kind(str))
    toolsets: tuple[Toolset, ...] = attrs.field(converter=_list_of_toolsets)
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False, eq=False, repr=False)

    def within(self, work_dir: Path) -> Toolset:
        """The same of each."""
        inner = tuple(each.within(work_dir) for each in self.toolsets)
        return self if inner == self.toolsets else Combined(self.name, inner)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for toolset in self.toolsets:
                await stack.enter_async_context(toolset)
            self._stack.push_async_exit(stack.pop_all())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._stack.__aexit__(kind, value, traceback)  # noqa: ASYNC102 the toolsets' affair

    async def tools(self) -> Sequence[Tool]:
        """Those of all. Raises `ValueError` where two have one name."""
        found: dict[str, Tool] = {}
        for toolset in self.toolsets:
            for tool in await toolset.tools():
                if tool.name in found:
                    raise ValueError(f"two tools of {self.name!r} have the name {tool.name!r}")
                found[tool.name] = tool
        return tuple(found.values())


@attrs.frozen
class Around(Toolset):
    """Another toolset, seen in some way."""

    inner: Toolset = attrs.field()

    @property
    def name(self) -> str:
        """That of the other."""
        return self.inner.name

    def within(self, work_dir: Path) -> Toolset:
        """The same of the other."""
        inner = self.inner.within(work_dir)
        return self if inner is self.inner else attrs.evolve(self, inner=inner)

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self.inner.__aexit__(kind, value, traceback)  # noqa: ASYNC102 the toolset's affair

    @abstractmethod
    async def tools(self) -> Sequence[Tool]:
        """What is seen of it."""


@attrs.frozen
class Filtered(Around):
    """The tools of another for which `keep` is true."""

    keep: Callable[[Tool], bool]

    async def tools(self) -> Sequence[Tool]:
        """Some of the other's."""
        return tuple(tool for tool in await self.inner.tools() if self.keep(tool))


@attrs.frozen
class Wrapped(Around):
    """The tools of another, each as `wrap` makes it: with another `call`, say, that logs."""

    wrap: Callable[[Tool], Tool]

    async def tools(self) -> Sequence[Tool]:
        """The other's, made anew."""
        return tuple(map(self.wrap, await self.inner.tools()))


@attrs.frozen
class Prefixed(Around):
    """The tools of another, each with a prefix before its name, as in `git_status`."""

    prefix: str = attrs.field(validator=of_kind(str))

    async def tools(self) -> Sequence[Tool]:
        """The other's, by longer names."""
        return tuple(
            attrs.evolve(tool, name=f"{self.prefix}{tool.name}")
            for tool in await self.inner.tools()
        )


@attrs.frozen
class Asking(Around):
    """The tools of another, which a person is asked about where no rule speaks of them."""

    async def tools(self) -> Sequence[Tool]:
        """The other's, with the question before them."""
        return tuple(attrs.evolve(tool, asks=True) for tool in await self.inner.tools())


def toolsets_of(given: Iterable[Toolset]) -> tuple[Toolset, ...]:
    """Toolsets as a program gives them. Raises `ValueError` where two have one name."""
    toolsets = _list_of_toolsets(given)
    names = [each.name for each in toolsets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two toolsets have the same name: {', '.join(twice)}")
    return toolsets
