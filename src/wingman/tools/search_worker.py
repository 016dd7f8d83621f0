"""The program behind `glob` and `grep`: it walks a tree and prints what it finds.

Run by path with one argument, a JSON object; on its own, without Wingman and without anything
installed. Exit code 2 says that the pattern is none. Lines are flushed one by one, so that what was
found is there also when the time is up.
"""

# ruff: noqa: PTH112, PTH117, PTH118, PTH123, S603, SIM115, T201
# (a program that prints, and starts `rg`; pathlib is slow here)

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Request = dict[str, Any]

SKIPPED = {".git", ".hg", ".svn", ".jj", "node_modules", ".venv", "venv", ".tox", ".nox"} | {
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
}
SNIFFED_BYTES = 8_192
LONGEST_LINE = 1_000_000  # bytes; a longer one is searched in pieces
LINE_SHOWN = 500  # characters
BRACES = re.compile(r"\{([^{}]*)\}")


def main(request: Request) -> None:
    """Do what is asked, in `path`; results are named relative to `work_dir`."""
    os.chdir(request["work_dir"])
    root = os.path.relpath(request["path"])
    lines = glob(root, request) if request["search"] == "glob" else grep(root, request)
    show(lines, request["limit"], request["room"])


def show(lines: Iterable[str], limit: int, room: int) -> None:
    """Print lines until there are `limit`, or `room` characters."""
    for count, line in enumerate(lines):
        room -= len(line) + 1
        if count == limit or room < 0:
            print(f"[There are more: the first {count} are shown; narrow the search.]")
            return
        print(line, flush=True)


def glob(root: str, request: Request) -> Iterator[str]:
    """The files whose path below `root` matches, the last modified first."""
    pattern = request["pattern"]
    if os.path.isabs(pattern):
        pattern = os.path.relpath(pattern, request["path"])
    matches = re.compile(translate(pattern.removeprefix("./"))).fullmatch
    found = []
    for path in walk(root):
        if matches(os.path.relpath(path, root)):
            try:
                found.append((-os.lstat(path).st_mtime_ns, path))
            except OSError:
                continue  # it is gone already
    return (path for _, path in sorted(found))


def grep(root: str, request: Request) -> Iterator[str]:
    """The matching lines, as `path:line:text`: by ripgrep, where it is and knows the pattern."""
    if program := shutil.which("rg"):
        try:
            yield from by_ripgrep(program, root, request)
        except UnknownToRipgrep:  # look-around, a back reference, or an error that is told below
            pass
        else:
            return
    matches = re.compile(request["pattern"], re.IGNORECASE if request["ignore_case"] else 0).search
    for path in files_to_search(root, request["glob"]):
        for number, text in text_lines(path):
            if matches(text):
                yield f"{path}:{number}:{text[:LINE_SHOWN]}"


class UnknownToRipgrep(Exception):
    """Ripgrep refused the pattern, or could not be run, and has found nothing."""


def by_ripgrep(program: str, root: str, request: Request) -> Iterator[str]:
    """What ripgrep finds, told to look where `walk` does. https://github.com/BurntSushi/ripgrep"""
    directory, target = (root, "./") if os.path.isdir(root) else (".", root)
    argv = [program, "--no-config", "--no-ignore", "--hidden", "--no-messages", "--color=never"]
    argv += ["--no-heading", "--with-filename", "--line-number", "--null", "--sort=path"]
    argv += ["--ignore-case"] if request["ignore_case"] else []
    argv += [f"--glob={request['glob']}"] if request["glob"] else []
    argv += [f"--glob=!{name}" for name in sorted(SKIPPED)]
    argv += ["--regexp", request["pattern"], "--", target]
    try:
        started = subprocess.Popen(
            argv, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:  # it cannot be run, or there are too many processes
        raise UnknownToRipgrep from error
    with started as process:
        try:
            for line in process.stdout or ():
                path, is_match, rest = line.decode(errors="replace").partition("\0")
                number, _, text = rest.rstrip("\r\n").partition(":")
                if is_match:
                    yield f"{named(directory, path)}:{number}:{text[:LINE_SHOWN]}"
            if process.stderr and process.stderr.read():
                raise UnknownToRipgrep
        finally:
            process.kill()


def files_to_search(root: str, glob: str | None) -> Iterator[str]:
    """The regular files below `root`, or itself; with `glob`, those whose path or name matches."""
    if not os.path.isdir(root):
        yield root
        return
    negated = glob is not None and glob.startswith("!")
    pattern = (glob or "**").removeprefix("!")
    anywhere = "" if "/" in pattern else "**/"
    matches = re.compile(translate(anywhere + pattern.removeprefix("/"))).fullmatch
    for path in walk(root):
        mode = os.lstat(path).st_mode  # a symlink could lead out of the working directory
        if stat.S_ISREG(mode) and bool(matches(os.path.relpath(path, root))) != negated:
            yield path


def walk(root: str) -> Iterator[str]:
    """All that is no directory below `root`, by name; symlinks are not followed."""
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        return  # not ours to read, or gone
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            yield named(root, entry.name)
        elif entry.name not in SKIPPED:
            yield from walk(entry.path)


def named(directory: str, path: str) -> str:
    """A path as it is shown, without `./`."""
    return os.path.normpath(os.path.join(directory, path))


def text_lines(path: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file; none of a binary one, which has a NUL at its beginning."""
    try:
        with open(path, "rb") as file:
            if b"\0" in file.read(SNIFFED_BYTES):
                return
            file.seek(0)
            number = 1
            while line := file.readline(LONGEST_LINE):
                yield number, line.rstrip(b"\r\n").decode(errors="replace")
                number += line.endswith(b"\n")
    except OSError:
        return


def translate(pattern: str) -> str:
    """The regular expression of a glob pattern, for a path with `/`.

    Braces are taken apart first, the innermost before the outer: `{a,b{c,d}}`.
    """
    if braces := BRACES.search(pattern):
        head, tail = pattern[: braces.start()], pattern[braces.end() :]
        return "|".join(translate(head + choice + tail) for choice in braces[1].split(","))
    return "".join(TOKENS[token.lastgroup or "literal"](token) for token in TOKEN.finditer(pattern))


TOKEN = re.compile(
    r"(?P<tree>\*\*/)|(?P<all>\*\*)|(?P<some>\*)|(?P<one>\?)"
    r"|(?P<set>\[!?\]?[^\]]*\])|(?P<literal>.)",
    re.DOTALL,
)
TOKENS: dict[str, Callable[[re.Match[str]], str]] = {
    "tree": lambda _: "(?:.*/)?",
    "all": lambda _: ".*",
    "some": lambda _: "[^/]*",
    "one": lambda _: "[^/]",
    "set": lambda token: character_set(token[0][1:-1]),
    "literal": lambda token: re.escape(token[0]),
}


def character_set(content: str) -> str:
    """A glob's `[…]` as a regular expression's."""
    negated = content.startswith("!")
    escaped = re.sub(r"([\\^\[\]&~|])", r"\\\1", content.removeprefix("!"))
    return f"[^/{escaped}]" if negated else f"[{escaped}]"


if __name__ == "__main__":
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape")  # names are bytes
    try:
        main(json.loads(sys.argv[1]))
    except re.error as error:
        print(f"Invalid pattern: {error}")
        sys.exit(2)
