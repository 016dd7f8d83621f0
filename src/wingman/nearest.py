"""Nearest: the known name that somebody may have meant who wrote another."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["nearest"]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence: a question after the known name that is most like this one, or a
    full stop."""
    found = get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else "."
