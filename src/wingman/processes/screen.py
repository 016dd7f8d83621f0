"""What a terminal would show in the end of what is written to it, as text.

Programs show their progress by writing over what they have written: `\\r` and the line anew, a
backspace, or some lines up and those lines anew. Of all these states the last one counts. Colours
and other escape sequences are left out (https://vt100.net/docs/vt510-rm/chapter4.html).

A line that is begun anew replaces the one before as a whole, however long that was. The last 100
lines can be written over, and of a very long line its end.
"""

import re
from typing import Final

__all__ = ["Screen"]

_HELD_ROWS: Final = 100
_HELD: Final = 65_536  # characters of all rows that are held
_HELD_OF_A_ROW: Final = 4_096  # characters that are kept of a row that alone is longer than that
_CHUNK: Final = 1_024  # characters; a backspace copies no more than that

_SPECIAL: Final = re.compile(r"[\r\x08\x1b]")
_TOKEN: Final = re.compile(
    r"(?P<text>[^\r\n\x08\x1b]+)|(?P<feed>\n)|(?P<return>\r+)|(?P<back>\x08+)"
    r"|\x1b\[(?P<numbers>[0-?]*)[ -/]*(?P<command>[@-~])"
    r"|(?P<other>\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|\x1b[ -/]+[0-~]|\x1b[0-LN-Z\\^-~])"
    r"|(?P<up>\x1bM)|(?P<escape>\x1b)"
)
_UNFINISHED: Final = re.compile(
    r"\x1b(?:\[[0-?]{0,100}[ -/]{0,9}|\][^\x07\x1b]{0,2000}\x1b?|[ -/]{0,9})?\Z"
)


class Screen:
    """The rows that may still change. Text goes in; what cannot change any more comes out."""

    def __init__(self) -> None:
        self._rows = [""]
        self._row = 0  # where the cursor is
        self._line: list[str] | None = None  # that row in pieces, if it was written to
        self._anew = False  # whether the next text replaces that row
        self._unfinished = ""  # the beginning of an escape sequence

    @property
    def rest(self) -> str:
        """The text that may still change, as it is now."""
        return "\n".join(self._rows)

    def write(self, text: str) -> str:
        """Take the next text, and return what of all that came is final."""
        if self._unfinished:
            text, self._unfinished = self._unfinished + text, ""
        if _SPECIAL.search(text) or self._anew or self._row < len(self._rows) - 1:
            self._obey(text)
            return self._scrolled()
        *rows, last = (self._rows[-1] + text).rsplit("\n", _HELD_ROWS)
        self._rows[-1:] = [*rows, last]
        self._row = len(self._rows) - 1
        return self._scrolled()

    def _obey(self, text: str) -> None:
        if unfinished := _UNFINISHED.search(text):
            self._unfinished = unfinished[0]
            text = text[: unfinished.start()]
        for token in _TOKEN.finditer(text):
            match token.lastgroup:
                case "text" | "escape":
                    self._add(token[0])
                case "feed":
                    self._feed()
                case "return":
                    self._anew = True
                case "back":
                    self._remove(len(token[0]))
                case "up":
                    self._move(-1)
                case "command":
                    self._command(token["command"], token["numbers"])
        self._store()

    def _command(self, command: str, numbers: str) -> None:
        number = int(numbers[:6]) if numbers.isdecimal() else 0
        match command:
            case "A" | "F":
                self._move(-max(number, 1))
            case "B" | "E":
                self._move(max(number, 1))
            case "G" if number <= 1:
                self._anew = True
            case "K" if number or self._anew:
                self._line = []
            case "J" if number == 0:
                del self._rows[self._row + 1 :]
                if self._anew:
                    self._line = []

    def _add(self, text: str) -> None:
        if self._anew:
            self._line, self._anew = [], False
        line = self._opened()
        line += [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)]

    def _remove(self, count: int) -> None:
        if self._anew:
            return
        line = self._opened()
        while count and line:
            last = line.pop()
            if len(last) > count:
                line.append(last[:-count])
            count -= min(count, len(last))

    def _opened(self) -> list[str]:
        if self._line is None:
            row = self._rows[self._row]
            self._line = [row[start : start + _CHUNK] for start in range(0, len(row), _CHUNK)]
        return self._line

    def _store(self) -> None:
        if self._line is not None:
            self._rows[self._row] = "".join(self._line)
            self._line = None

    def _feed(self) -> None:
        self._store()
        self._row += 1
        self._anew = self._row < len(self._rows)
        if not self._anew:
            self._rows.append("")

    def _move(self, rows: int) -> None:
        self._store()
        self._row = min(max(self._row + rows, 0), len(self._rows) - 1)
        self._anew = True

    def _scrolled(self) -> str:
        """The uppermost rows, where there are too many, or too much is in them."""
        count = max(len(self._rows) - _HELD_ROWS, 0)
        left = sum(map(len, self._rows[count:]))
        while left > _HELD and count < len(self._rows) - 1:
            left -= len(self._rows[count])
            count += 1
        final = "".join(f"{row}\n" for row in self._rows[:count])
        del self._rows[:count]
        self._row = max(self._row - count, 0)
        if left > _HELD:
            final += self._rows[0][:-_HELD_OF_A_ROW]
            self._rows[0] = self._rows[0][-_HELD_OF_A_ROW:]
        return final
