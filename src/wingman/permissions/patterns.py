"""Patterns: which texts and paths a rule's resource matches, in time linear in both.

Of some resources a part is not known before the call runs: a variable in a command, what lies in
a directory. It stands as a `HOLE` in the text. A pattern then matches whatever fills the hole, or
something that might, or nothing that can.
"""

import re
from functools import lru_cache
from typing import Final, Literal, TypeAlias

__all__ = ["HOLE", "Match", "match_path", "match_text"]

HOLE: Final = "\0"
"""What stands in a resource for a part of it that is not known: any text, or none."""

Match: TypeAlias = Literal["yes", "maybe", "no"]


def match_text(pattern: str, text: str) -> Match:
    """Whether a pattern matches a text. `*` stands for any text, and ` *` at the end for none, too:
    `git push *` matches `git push`."""
    if _wild(pattern).fullmatch(text) or (pattern.endswith(" *") and text == pattern[:-2]):
        return "yes"
    return "maybe" if HOLE in text and _may_meet(pattern, text) else "no"


def match_path(pattern: str, path: str) -> Match:
    """Whether a pattern matches a path. `*` stays within a name, `**` crosses directories; the
    pattern `*` alone matches every path.

    A hole in a path is a name of its own, and stands for one or more names.
    """
    if pattern in ("*", "**"):
        return "yes"
    if _names_match(pattern.split("/"), path.split("/")):
        return "yes"
    return "maybe" if HOLE in path and _may_meet(pattern, path) else "no"


@lru_cache(1024)
def _wild(pattern: str) -> re.Pattern[str]:
    """Each piece is taken where it comes first: atomic groups never go back, which is linear."""
    first, *pieces = map(re.escape, re.sub(r"\*+", "*", pattern).split("*"))
    if not pieces:
        return re.compile(first, re.DOTALL)
    *inner, last = pieces
    middle = "".join(f"(?>.*?{piece})" for piece in inner)
    return re.compile(f"{first}{middle}.*{last}", re.DOTALL)


def _names_match(patterns: list[str], names: list[str]) -> bool:
    """Name by name; where that fails, the last `**` takes one name more."""
    p = n = 0
    retry: tuple[int, int] | None = None
    while n < len(names):
        if p < len(patterns) and patterns[p] == "**":
            p, retry = p + 1, (p + 1, n)
        elif p < len(patterns) and names[n] != HOLE and _wild(patterns[p]).fullmatch(names[n]):
            p, n = p + 1, n + 1
        elif retry is not None:
            p, n = retry[0], retry[1] + 1
            retry = p, n
        else:
            return False
    return all(pattern == "**" for pattern in patterns[p:])


def _may_meet(pattern: str, text: str) -> bool:
    """Whether some filling might match: the ends that are known of both have to agree.

    It says yes too often rather than too seldom: then somebody is asked. What fills a hole in a
    command may bring quotes around the word that it is in, so quotes are left out of both.
    """
    pattern, text = (re.sub("['\"]", "", each) for each in (pattern, text))
    beginning = pattern.partition("*")[0].removesuffix(" " if pattern.endswith(" *") else "")
    known = text.partition(HOLE)[0]
    end, known_end = pattern.rpartition("*")[2], text.rpartition(HOLE)[2]
    return (beginning.startswith(known) or known.startswith(beginning)) and (
        end.endswith(known_end) or known_end.endswith(end)
    )
