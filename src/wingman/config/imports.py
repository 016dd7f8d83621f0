"""Imports: tools and toolsets by import path, and by entry point.

To import is to run foreign code, which may raise anything, `SystemExit` too: each such failure is
a mistake at the key that names the import. What was imported once is kept: it is neither imported
nor made again when the file is read again.
"""

import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from wingman.config.files import refusal_of_directory
from wingman.config.form import ToolSources
from wingman.config.mistakes import Keys, Mistake
from wingman.foreign import reason, shown
from wingman.nearest import nearest
from wingman.tools import Tool, Toolset

__all__ = ["GROUP", "Imported", "Importer"]

GROUP: Final = "wingman.tools"
"""The group of entry points that installed packages offer their tools in."""

_OURS: Final = str(Path(__file__).parents[1])

Made: TypeAlias = tuple[Tool | Toolset, ...]


@attrs.frozen
class Imported:
    """A tool or a toolset, and the place in the file that names it."""

    made: Tool | Toolset
    keys: Keys


class _Unusable(Exception):
    """What was imported is no tool; the text says why."""


@attrs.define(eq=False)
class Importer:
    """Imports what a file names, each thing once in the life of the process."""

    _known: dict[str, Made] = attrs.field(factory=dict, init=False)

    def all(self, sources: ToolSources, directory: Path, mistakes: list[Mistake]) -> list[Imported]:
        """All tools and toolsets of these sources; what is wrong with them is added to `mistakes`.

        `directory` is what the directories of `path` are relative to.
        """
        if not self._extend_path(sources.path, directory, mistakes):
            return []
        found: list[Imported] = []
        for key, keys, load in self._wanted(sources, mistakes):
            try:
                made = self._known.get(key)
                if made is None:
                    made = self._known[key] = _made(key, load)
            except _Unusable as error:
                mistakes.append(Mistake(f"{error}", keys))
            else:
                found += (Imported(each, keys) for each in made)
        return found

    def _extend_path(self, directories: Sequence[str], base: Path, mistakes: list[Mistake]) -> bool:
        """Have Python look in these directories, after its own; False where one may not be used."""
        good = True
        for index, name in enumerate(directories):
            path = base.joinpath(Path(name).expanduser())
            refusal = refusal_of_directory(path)
            if refusal is not None:
                mistakes.append(Mistake(refusal, ("tools", "path", index)))
                good = False
            elif f"{path}" not in sys.path:
                sys.path.append(f"{path}")
        importlib.invalidate_caches()  # a module may have been written a moment ago
        return good

    def _wanted(
        self, sources: ToolSources, mistakes: list[Mistake]
    ) -> Iterator[tuple[str, Keys, Callable[[], Any]]]:
        for index, path in enumerate(sources.imports):
            yield path, ("tools", "import", index), partial(_imported, path)
        if not sources.entry_points:
            return
        points = {point.name: point for point in entry_points(group=GROUP)}
        every = isinstance(sources.entry_points, bool)
        names = sorted(points) if sources.entry_points is True else list(sources.entry_points or ())
        for index, name in enumerate(names):
            keys: Keys = ("tools", "entry_points") if every else ("tools", "entry_points", index)
            if name not in points:
                text = f"No installed package has an entry point {name!r} in {GROUP}"
                mistakes.append(Mistake(text + nearest(name, points), keys))
                continue
            yield f"entry point {name}", keys, points[name].load


def _imported(path: str) -> Any:
    """What stands at `module:name`."""
    module_name, _, names = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise _Unusable(
                f"There is no module {error.name!r} where Python looks; `path` in [tools] names "
                "more directories."
            ) from error
        raise
    for name in names.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            known = nearest(name, [known for known in dir(found) if not known.startswith("_")])
            raise _Unusable(f"{module_name} has no {name!r}{known}") from None
    return found


def _made(what: str, load: Callable[[], Any]) -> Made:
    """The tools that foreign code gives. Raises `_Unusable`, whatever that code raises."""
    try:
        given = load()
        if callable(given) and not isinstance(given, Tool | Toolset):
            given = _called(what, given)
        return tuple(_checked(what, given))
    except _Unusable:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and _interrupted():
            raise
        text = f"Importing {what} failed: {reason(error)}{_where(error)}"
        raise _Unusable(text) from error  # noqa: ASYNC104 no task of Trio's is in here


def _where(error: BaseException) -> str:
    """The line of foreign code that has raised an error, in brackets."""
    traceback, place = error.__traceback__, ""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.startswith(("<", _OURS)):
            place = f" ({file}:{traceback.tb_lineno})"
        traceback = traceback.tb_next
    return f"{place}."


def _called(what: str, function: Callable[..., Any]) -> Any:
    """What a function gives that makes tools: without arguments, at once."""
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise _Unusable(
            f"{what} is a function with parameters, and no tool: decorate it with @tool."
        ) from error
    except ValueError:
        pass  # of a function in C there is none
    return function()


def _checked(what: str, given: Any) -> Iterator[Tool | Toolset]:
    if inspect.iscoroutine(given):
        given.close()
        raise _Unusable(f"{what} is an async function, and no tool: decorate it with @tool.")
    for each in given if isinstance(given, list | tuple) else [given]:
        if not isinstance(each, Tool | Toolset):
            raise _Unusable(
                f"{what} gives {shown(each)}, which is neither a tool nor a toolset: decorate a "
                "function with @tool."
            )
        yield each


def _interrupted() -> bool:
    """Whether Ctrl-C may have interrupted an import: it does so in the main thread alone."""
    return threading.current_thread() is threading.main_thread()
