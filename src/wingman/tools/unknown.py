"""Unknown arguments: which of an input's arguments are no parameters, and what they may have meant.

A model sends arguments that nobody has declared. Most say something about the call (`description`)
and can be left out. Some mean a parameter under another name (`timeout_ms`), or something that
changes what the call does (`cwd`): without them another call would run than was meant.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

__all__ = ["hints", "left_out_note", "unknown_in"]

_MOST_HINTS: Final = 5
_MOST_NAMED: Final = 3
_LONGEST_SHOWN: Final = 40  # characters of a name
_LONGEST_COMPARED: Final = 64
# A model that sends more has lost its way, and each comparison takes some microseconds.
_MOST_COMPARED: Final = 50
_CLOSE: Final = 0.8  # `comand` and `command` are, `comment` and `command` are not
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")


def unknown_in(input: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """The arguments of an input that are none of the parameters."""
    return [name for name in input if name not in parameters]


def hints(
    unknown: Sequence[str],
    input: Mapping[str, Any],
    schema: Mapping[str, Any],
    instead: Mapping[str, str],
) -> str:
    """What the model is told of unknown arguments without which the call would be another one; ""
    where there are none of these.

    They are: one in `instead`, with what that says; one that is named nearly as a parameter that is
    not given; and any, where a required parameter is missing. An argument that is null asks for
    nothing, nor does one in `instead` that is false or empty.
    """
    absent = [name for name in schema.get("properties", {}) if name not in input]
    told = [
        f"{_shown(name)} is no parameter of this tool: {said}"
        for name in unknown
        if input[name] and (said := _said(name, instead))
    ]
    told += [
        f"{_shown(name)} is no parameter of this tool. Did you mean `{near}`?"
        for name in unknown[:_MOST_COMPARED]
        if input[name] is not None and not _said(name, instead) and (near := _nearest(name, absent))
    ]
    missing = [name for name in schema.get("required", ()) if name not in input]
    if missing and not told:
        are = "is no parameter" if len(unknown) == 1 else "are no parameters"
        told.append(f"{_listed(unknown)} {are} of this tool. Did you mean `{missing[0]}`?")
    return "\n".join(told[:_MOST_HINTS])


def left_out_note(unknown: Sequence[str]) -> str:
    """What the model is told of arguments that a call has left out."""
    if len(unknown) == 1:
        return f"[{_listed(unknown)} is no parameter of this tool: it was left out.]"
    return f"[{_listed(unknown)} are no parameters of this tool: they were left out.]"


def _listed(names: Sequence[str]) -> str:
    """The first of these names, in quotes, and how many more there are."""
    shown = [_shown(name) for name in names[:_MOST_NAMED]]
    if (more := len(names) - len(shown)) > 0:
        return f"{', '.join(shown)} and {more:,} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _shown(name: str) -> str:
    """A name that a model has made up: on one line, and not too much of it."""
    return repr(name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…")


def _said(name: object, instead: Mapping[str, str]) -> str | None:
    """What is said of a name, also where it is written in another way (`workDir`, `work_dir`)."""
    if not instead or not isinstance(name, str) or len(name) > _LONGEST_COMPARED:
        return None
    return instead.get(name) or instead.get("_".join(_words(name)))


def _nearest(name: object, parameters: Iterable[str]) -> str | None:
    """The parameter whose words are among the name's (`file_path`, `filePath`: `path`), or of which
    it is a misspelling."""
    if not isinstance(name, str) or len(name) > _LONGEST_COMPARED:
        return None
    words = _words(name)
    named = {tuple(own): parameter for parameter in parameters if (own := _words(parameter))}
    within = [parameter for own, parameter in named.items() if set(own) <= set(words)]
    if within:
        return max(within, key=len)
    by_spelling = {"".join(own): parameter for own, parameter in named.items()}
    close = difflib.get_close_matches("".join(words), by_spelling, n=1, cutoff=_CLOSE)
    return by_spelling[close[0]] if close else None


def _words(name: str) -> list[str]:
    parts = _BETWEEN_WORDS.split(_HUMP.sub("_", name).lower())
    return [part for part in parts if part]
