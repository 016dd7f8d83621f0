"""Text files searched by ripgrep, many at once: https://github.com/BurntSushi/ripgrep.

It decides nothing but whether a line matches. What is said of a file is found out before, and the
patterns that it may read otherwise than Python's `re` does are not given to it.
"""

# ruff: noqa: S603

import os
import re
import subprocess
from collections.abc import Iterator

from wingman.tools.searching.lines import Pattern, around, matching_lines
from wingman.tools.searching.tree import Request, open_text

__all__ = ["Ripgrep", "means_the_same"]

_FIRST_BATCH, _BATCH = 100, 2_000  # files; a few at first, so that something is soon to be seen
_BATCH_BYTES = 500_000  # of paths
_LONG = 2_000  # bytes; of a longer line, what is around the match is read from the file
_WINDOW = 4_000  # bytes before and after a match

# Literal characters, the escapes and sets that both know, plain groups and repetitions.
_IN_A_SET = r"[^]\[\\&~-] | \\[]\[\\^.$*+?(){}|/dwst-] | -(?!-)"
_SAME = re.compile(
    rf"""
    (?:\(\?i\))?
    (?: (?: [^\\\[\](){{}}^$.|?*+\n\r] | \\[]\[\\(){{}}^$.|?*+/#&~"'`@%=:;,!dDwWsSbBt-]
          | \[\^? (?!\^) (?:{_IN_A_SET})+ \]
          | \( (?:\?:|\?P<[A-Za-z_]\w*>)? | \) | [.^$|] )
      (?: (?:[*+?]|\{{\d+(?:,\d*)?\}}) \?? (?![*+?{{]) )?
    )*""",
    re.VERBOSE,
).fullmatch


def means_the_same(pattern: str) -> bool:
    """Whether ripgrep reads a pattern that Python takes as Python does."""
    return _SAME(pattern) is not None


class _NoRipgrep(Exception):
    """Ripgrep cannot be run, or refuses the pattern, and has found nothing."""


class Ripgrep:
    """The files that wait to be searched, in order, and the search."""

    def __init__(self, program: str, request: Request, pattern: Pattern) -> None:
        self._pattern = pattern
        self._between = os.urandom(8).hex()  # stands between fields, and in no text
        self._argv = [program, "--no-config", "--no-messages", "--color=never", "--no-heading"]
        self._argv += ["--with-filename", "--line-number", "--column", "--byte-offset", "--null"]
        # One thread: the files are searched in the order in which they are given.
        self._argv += ["--threads=1", "--no-mmap", "--text", "--crlf", f"--max-columns={_LONG}"]
        self._argv += [
            f"--max-count={request['limit'] + 1}",
            f"--field-match-separator={self._between}",
        ]
        self._argv += ["--ignore-case"] if request["ignore_case"] else []
        self._argv += ["--regexp", request["pattern"], "--"]
        self._waiting: list[str] = []
        self._bytes = 0
        self._batch = _FIRST_BATCH

    def add(self, path: str) -> Iterator[str]:
        """Take one more file; what was found, when there were enough to be searched."""
        self._waiting.append(path)
        self._bytes += len(os.fsencode(path)) + 20  # and its place in the list of arguments
        if len(self._waiting) >= self._batch or self._bytes >= _BATCH_BYTES:
            self._batch = _BATCH
            yield from self.search()

    def search(self) -> Iterator[str]:
        """Search the files that wait."""
        paths, self._waiting, self._bytes = self._waiting, [], 0
        if not paths:
            return
        try:
            yield from self._run(paths)
        except _NoRipgrep:
            for path in paths:
                for number, line in matching_lines(path, self._pattern):
                    yield f"{path}:{number}:{line}"

    def _run(self, paths: list[str]) -> Iterator[str]:
        argv = [*self._argv, *(f"./{path}" for path in paths)]  # `-` alone would be stdin
        try:
            started = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise _NoRipgrep from error
        heard = False
        with started as process:
            try:
                for line in process.stdout or ():
                    heard = True
                    if (shown := self._shown(line)) is not None:
                        yield shown
                code = process.wait()
                # 1: nothing was found. 2: the pattern was refused, or a file has gone meanwhile.
                if code not in (0, 1) and not heard:
                    raise _NoRipgrep
                if code < 0:
                    raise OSError(None, "ripgrep was ended before it had searched all files")
            finally:
                process.kill()

    def _shown(self, line: bytes) -> str | None:
        """`path NUL line column offset text`, where the offset is the line's, as it is shown."""
        name, _, rest = line.partition(b"\0")
        number, *column, offset, text = rest.rstrip(b"\n").split(self._between.encode())
        if not column:
            # Left out, with a carriage return added, where the match is at the end of a file whose
            # last line has no end.
            text = text.removesuffix(b"\r")
        path = os.fsdecode(name.removeprefix(b"./"))
        at = int(column[0]) - 1 if column else len(text)
        if text.startswith(b"[Omitted long"):
            before, after = _near(path, int(offset), at)
        else:
            before, after = text[:at], text[at:]
        start = before.decode(errors="replace")
        shown = start + after.rstrip(b"\r").decode(errors="replace")
        # With `--crlf`, a carriage return may count as the end of the line, or as white space.
        if b"\r" in text and self._pattern.search(shown) is None:
            return None
        return f"{path}:{int(number)}:{around(shown, len(start))}"


def _near(path: str, line: int, match: int) -> tuple[bytes, bytes]:
    """What stands in a long line before a match, and from there on, without its end."""
    begin = max(match - _WINDOW, 0)
    with open_text(path) as file:
        file.seek(line + begin)
        data = file.read(match - begin + _WINDOW).partition(b"\n")[0]
    return _whole(data[: match - begin], begin > 0), data[match - begin :]


def _whole(data: bytes, cut: bool) -> bytes:
    """Without the rest of a character at its beginning."""
    return data.lstrip(bytes(range(0x80, 0xC0))) if cut else data
