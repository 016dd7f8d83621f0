"""A glob pattern as a regular expression.

Names may hold what patterns are made of: `app/[id]/page.tsx`, `{a,b}.txt`. So a choice also matches
its own text: `[id]` is `i`, `d`, or `[id]`.
"""

import re
from collections.abc import Callable, Iterator

__all__ = ["matcher"]

_TOKEN = re.compile(
    r"(?P<tree>(?:\*\*+/)+)|(?P<all>\*\*+)|(?P<some>\*)|(?P<one>\?)|(?P<escaped>\\.)"
    r"|(?P<set>\[[!^]?\]?[^\]/]*\])|(?P<literal>.)",
    re.DOTALL,
)
_MOST_NESTED = 5  # braces


def matcher(pattern: str) -> Callable[[str], object]:
    """A function that says whether a path with `/` matches, as a whole."""
    return re.compile(_translated(pattern), re.DOTALL).fullmatch


def _translated(pattern: str, depth: int = 0) -> str:
    pieces = []
    while depth < _MOST_NESTED and (braces := _first_braces(pattern)) is not None:
        begin, end = braces
        choices = [_translated(choice, depth + 1) for choice in _choices(pattern[begin + 1 : end])]
        choices.append(re.escape(pattern[begin : end + 1]))
        pieces += [_without_braces(pattern[:begin]), f"(?:{'|'.join(choices)})"]
        pattern = pattern[end + 1 :]
    return "".join([*pieces, _without_braces(pattern)])


def _without_braces(pattern: str) -> str:
    return "".join(map(_token, _TOKEN.finditer(pattern)))


def _first_braces(pattern: str) -> tuple[int, int] | None:
    """Where the first braces that belong together open and close, the outermost of them."""
    opened: list[int] = []
    found: tuple[int, int] | None = None
    for at, character in _characters(pattern):
        if character == "{":
            opened.append(at)
        elif character == "}" and opened:
            found = (opened.pop(), at)
            if not opened:
                break
    return found


def _choices(content: str) -> Iterator[str]:
    """What stands between the commas that are in no braces of their own."""
    depth = start = 0
    for at, character in _characters(content):
        if character == "," and depth == 0:
            yield content[start:at]
            start = at + 1
        depth += (character == "{") - (character == "}" and depth > 0)
    yield content[start:]


def _characters(pattern: str) -> Iterator[tuple[int, str]]:
    """The characters that stand for something, with their places; not those after a backslash."""
    for token in re.finditer(r"\\.|.", pattern, re.DOTALL):
        yield token.start(), token[0]


def _token(token: re.Match[str]) -> str:
    text = token[0]
    match token.lastgroup:
        case "tree":
            return "(?:.*/)?"
        case "all":
            return ".*"
        case "some":
            return "[^/]*"
        case "one":
            return "[^/]"
        case "escaped":
            return f"(?:{re.escape(text[1])}|{re.escape(text)})"
        case "set":
            return _set(text)
        case _:
            return re.escape(text)


def _set(text: str) -> str:
    content = text[1:-1]
    negated = content[:1] in ("!", "^")
    escaped = re.sub(r"([\\^\[\]&~|])", r"\\\1", content[negated:]).replace("--", r"-\-")
    choice = f"(?!/)[{'^' if negated else ''}{escaped}]"
    try:
        re.compile(choice)
    except re.error:  # a range that runs backwards, or nothing at all: it is but a name
        return re.escape(text)
    return f"(?:{choice}|{re.escape(text)})"
