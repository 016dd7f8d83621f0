"""Mistakes: what is wrong with a file, and where; each is one line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs
import msgspec

__all__ = ["ConfigError", "Keys", "Mistake", "key_path"]

Keys: TypeAlias = tuple[str | int, ...]
"""A place in a file: the keys that lead there, and numbers in lists."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST: Final = 500  # characters of a mistake's text


@attrs.frozen
class Mistake:
    """Something wrong at a key, or with the file as a whole where there are no `keys`.

    `line` counts from 1; None where it is not known.
    """

    text: str
    keys: Keys = ()
    line: int | None = None

    def told(self, path: Path) -> str:
        """The mistake as one line, with the file's name."""
        place = f"{path}" if self.line is None else f"{path}:{self.line}"
        where = f"{key_path(self.keys)}: " if self.keys else ""
        text = " ".join(self.text.split())
        return _printable(f"{place}: {where}{text[:_LONGEST]}{'…' * (len(text) > _LONGEST)}")


class ConfigError(Exception):
    """A file that cannot be used. Its text has a line for each mistake."""

    def __init__(self, path: Path, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(mistake.told(path) for mistake in mistakes))
        self.path = path
        self.mistakes = tuple(mistakes)


def _printable(text: str) -> str:
    """The text as one line that moves no cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def key_path(keys: Keys) -> str:
    """The place as TOML writes it: `agents.helper.tools[1]`."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            bare = key if _BARE.fullmatch(key) else msgspec.json.encode(key).decode()
            text += f".{bare}" if text else bare
    return text
