"""Resources: what a tool call is about, read off its input, in the form that rules are held
against."""

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import httpx

from wingman.permissions.command_line import CommandLine
from wingman.permissions.patterns import HOLE
from wingman.permissions.rules import Resource

__all__ = ["resources_of"]

# Actions whose resources are paths; `*` in a rule for one stays within a name.
_OF_PATHS: Final = frozenset({"read", "edit", "write"})
_LONGEST_PATH: Final = 4096
_HIDDEN: Final = re.compile(r"(^|/)\.")
_MOST: Final = 100  # things of one call that rules are held against one by one


def _parse_here(line: str) -> CommandLine:
    from wingman.permissions.shell import parse  # noqa: PLC0415  (most parse apart, and not here)

    return parse(line)


def resources_of(
    action: str,
    given: Iterable[Any],
    work_dir: Path,
    parse: Callable[[str], CommandLine] = _parse_here,
) -> tuple[Resource, ...]:
    """The resources of a call of this action, whose input names these. `parse` is how command
    lines are parsed.

    Files are looked for on the way: call it in a thread. What is not known, or is too much to look
    at, is one resource that may be anything.
    """
    found = tuple(_each(action, given, work_dir, parse))
    return found if len(found) <= _MOST else (_unknown(f"{len(found)} resources"),)


def _each(
    action: str, given: Iterable[Any], work_dir: Path, parse: Callable[[str], CommandLine]
) -> Iterator[Resource]:
    for value in given:
        if isinstance(value, list | tuple):
            yield from _each(action, value, work_dir, parse)
        elif not isinstance(value, str):
            yield _unknown(repr(value))
        elif action == "bash":
            yield from _commands(value, parse(value), work_dir)
        elif action in _OF_PATHS:
            yield _path(value, work_dir)
        elif action == "webfetch":
            yield _url(value)
        else:
            yield Resource(value, value)


def _url(text: str) -> Resource:
    """A URL as it is fetched, and its variants: a host's last dot gone and its name as people write
    it; percent signs resolved, and then `..` as well, as many servers do it."""
    try:
        url = httpx.URL(text.strip())
        address = f"{url.scheme}://{url.netloc.decode()}"
        target = url.raw_path.decode()
    except (httpx.InvalidURL, ValueError, TypeError):
        return _unknown(text)  # it is none, and the tool says so
    named = f"{address}{target}"
    plain = unquote(target)
    path, mark, query = plain.partition("?")
    resolved = posixpath.normpath(path).rstrip("/") + "/" * path.endswith("/") + mark + query
    hosts = dict.fromkeys(_hosts(url))
    texts = dict.fromkeys(
        f"{url.scheme}://{host}{each}" for host in hosts for each in (target, plain, resolved)
    )
    texts.pop(named, None)
    return Resource(named, named, tuple(texts))


def _hosts(url: httpx.URL) -> Iterator[str]:
    host = url.netloc.decode()
    yield host.rstrip(".").replace(".:", ":")
    yield host.replace(url.raw_host.decode(), url.host, 1).rstrip(".").replace(".:", ":")


def _unknown(shown: str) -> Resource:
    """Something that may be anything."""
    return Resource(shown, HOLE)


def _path(path: str, work_dir: Path) -> Resource:
    """A file, by the path that is given and by the one that it leads to."""
    try:
        # As the system goes it: `..` after a symbolic link is above of what that leads to.
        real = os.path.realpath(work_dir / path)
        named = os.path.normpath(work_dir / path)
        is_directory = os.path.isdir(real)  # noqa: PTH112 - a path of bytes or of text, as it came
    except (OSError, ValueError):
        return _unknown(path)
    if len(named) > _LONGEST_PATH or HOLE in path:
        return _unknown(path)
    texts = [_relative(each, work_dir) for each in dict.fromkeys((real, named))]
    if is_directory:  # what is in it is meant as well
        texts = [HOLE if text == "." else f"{text}/{HOLE}" for text in texts]
    return Resource(texts[0].replace(HOLE, "**"), texts[0], tuple(texts[1:]), is_path=True)


def _relative(path: str, work_dir: Path) -> str:
    """A path within the working directory relative to that; any other one as it is."""
    relative = os.path.relpath(path, work_dir)
    outside = relative == os.pardir or relative.startswith(os.pardir + os.sep)
    return path if outside else relative


def _commands(line: str, parsed: CommandLine, work_dir: Path) -> Iterator[Resource]:
    complete = parsed.complete
    commands: list[Resource] = []
    for command in parsed.commands:
        within: list[tuple[str, Resource]] = []
        for action, paths in (("read", command.reads), ("edit", command.writes)):
            for path in paths:
                file = _path(path, work_dir)
                within.append((action, file))
                if parsed.moves or any(text.startswith("/") for text in file.texts):
                    complete = False  # it is outside of the working directory, or may be
                if action == "edit" and any(map(_HIDDEN.search, file.texts)):
                    complete = False  # programs do what `.git/config` or `.bashrc` says
        commands.append(Resource(command.shown, command.text, command.also, within=tuple(within)))
    if complete:
        yield from commands
        return
    # It may do anything, and does at least what could be told.
    yield Resource(
        line,
        HOLE,
        tuple(text for each in commands for text in each.texts),
        within=tuple(thing for each in commands for thing in each.within),
    )
