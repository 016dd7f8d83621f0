"""Words: what bash makes of the characters of a line, as far as that is certain.

Only what is positively understood is a token. A line with anything else in it has no tokens. The
text is the bytes of the line, each of them one character (latin-1): a word is made text again when
it is whole.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import attrs

from wingman.permissions.patterns import HOLE

__all__ = ["Token", "Word", "guessed", "joined", "quoted", "tokens_of"]


@attrs.frozen
class Word:
    """A word, unquoted. A `HOLE` in `text` stands for a part that is not known.

    `shown` is the word for a person. `single`: it is exactly one word, and not several or none of
    them. `fixed`: what it becomes are words that each begin as `text` does, so that none of them
    is an option unless this is.
    """

    text: str
    shown: str
    single: bool = True
    fixed: bool = True

    @property
    def literal(self) -> bool:
        """Whether all of it is known."""
        return HOLE not in self.text


@attrs.frozen
class Token:
    """A word, an operator, or a redirection with its target, from `start` to `end` (bytes).

    `source` is the token as it is written; of a redirection it is the operator with the number
    before it. `word` is the word, or the redirection's target: `2>&1` has none.
    """

    kind: Literal["word", "operator", "redirection"]
    start: int
    end: int
    source: str
    word: Word | None = None


_NAME: Final = r"(?:[A-Za-z_][A-Za-z0-9_]*+)"
_VARIABLE: Final = rf"\$(?:{_NAME}|\{{{_NAME}\}}|[?\#$!@*0-9])"
_END: Final = r"(?=[\s;&|()<>]|\Z)"
# Possessive, but for repeated groups, which Python before 3.11.5 gets wrong: of these each way on
# begins with another character, so that none is tried in vain.
_PIECE: Final = re.compile(
    rf"""
      (?P<plain>[A-Za-z0-9_./:@%+,=^!\#\]\-]++)
    | '(?P<raw>[^']*+)'
    | "(?P<double>(?:[^"\\$`]++|(?<![\x80-\xff])\\[^\n]|{_VARIABLE}|\$(?="))*)"
    | \\(?P<escaped>[\x20-\x7e])
    | (?P<number>\$[?\#$])
    | (?P<variable>{_VARIABLE})
    | (?P<glob>[*?\[])
    | (?P<tilde>~)
    | (?P<braces>\{{\}})
    """,
    re.VERBOSE | re.ASCII,
)
_IN_DOUBLE: Final = re.compile(rf"(?P<variable>{_VARIABLE})|\\(?P<escaped>[$`\"\\])", re.ASCII)
_AT_HOME: Final = re.compile(r"~[A-Za-z0-9_.+-]*+(?=[/\s;&|()<>]|\Z)", re.ASCII)
_TOKEN: Final = re.compile(
    rf"""
      (?P<blank>[\x20\t]++)
    | (?P<comment>\#[^\n]*+)
    | (?P<duplicate>[0-9]*+[<>]&(?:[0-9]++|-){_END})
    | (?P<redirection>(?:[0-9]*+(?:>>|>\||>|<)|&>>|&>)(?![<>&|(]))
    | (?P<operator>\n|&&|\|\||\|&|;(?![;&])|&|\||\((?!\()|\))
    | (?P<keyword>[{{}}]){_END}
    """,
    re.VERBOSE | re.ASCII,
)
_BLANKS: Final = re.compile(r"[\x20\t]*+")
_SAFE: Final = re.compile(r"[A-Za-z0-9@%+=:,./_\-]+|[\[\]!]|\{\}")


def tokens_of(text: str) -> list[Token] | None:
    """The tokens of a line, a newline among them as an operator. None: it is not all understood."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        kind = match.lastgroup if match else None
        if match is None:
            word, end = _word(text, at)
            if word is None:
                return None
            found.append(Token("word", at, end, text[at:end], word))
            at = end
            continue
        end = match.end()
        if kind == "comment" and at > 0 and text[at - 1] not in " \t\n":
            return None
        if kind == "operator":
            found.append(Token("operator", at, end, match[0]))
        elif kind == "keyword":
            found.append(Token("word", at, end, match[0], Word(match[0], match[0])))
        elif kind == "duplicate":
            found.append(Token("redirection", at, end, match[0]))
        elif kind == "redirection":
            blanks = _BLANKS.match(text, end)
            start = blanks.end() if blanks else end
            target, end = _word(text, start)
            if target is None:
                return None
            found.append(Token("redirection", at, end, match[0], target))
        at = end
    return found


def guessed(text: str) -> Word:
    """A word of which a part may not be understood: that is a hole."""
    word, _ = _word(text, 0, whole=True)
    return word or Word(HOLE, text, single=False, fixed=False)


def _word(text: str, start: int, *, whole: bool = False) -> tuple[Word | None, int]:
    """The word that begins here, and where it ends. `whole`: it is all of the text."""
    parts: list[str] = []
    single = fixed = True
    globs: list[int] = []  # the places among the parts
    at = start
    if text.startswith("#", start) and not whole:  # a comment, where a redirection's target was due
        return None, at
    while at < len(text) and (whole or text[at] not in " \t\n;&|()<>"):
        match = _PIECE.match(text, at)
        if match is None:
            if not whole:
                return None, at
            parts.append(HOLE)
            single = fixed = False
            break
        kind, piece, at = match.lastgroup or "", match[match.lastgroup or 0], match.end()
        if kind == "double":
            parts.append(_IN_DOUBLE.sub(lambda each: each["escaped"] or HOLE, piece))
            # "$@" is as many words as there are.
            single = single and "$@" not in piece
            fixed = fixed and "$@" not in piece
        elif kind in ("number", "variable"):
            parts.append(HOLE)
            if kind == "variable":
                single = fixed = False
        elif kind == "glob":
            globs.append(len(parts))
            parts.append(piece)
        elif kind == "tilde":
            home = _AT_HOME.match(text, start) if match.start() == start else None
            if home is not None:
                parts.append(HOLE)
                at = home.end()
            elif match.start() > start and text[match.start() - 1].isalnum():
                parts.append("~")
            elif not whole:
                return None, at
            else:
                parts.append(HOLE)
        else:
            parts.append(piece)
    if at == start and not whole:
        return None, at
    if globs and parts != ["["]:
        parts = _without_globs(parts, globs)
        single = False
    value = "".join(parts)
    try:
        value = value.encode("latin-1").decode()
        source = (text if whole else text[start:at]).encode("latin-1").decode()
    except UnicodeError:
        return None, at
    fixed = fixed and not value.startswith(HOLE)
    shown = quoted(value) if HOLE not in value else source
    return Word(value, shown, single, fixed), at


def _without_globs(parts: Sequence[str], globs: Sequence[int]) -> list[str]:
    """One hole from the first character of a pattern to the last one. A bracket closes anywhere."""
    first, last = globs[0], globs[-1]
    head, tail = list(parts[:first]), "".join(parts[last + 1 :])
    if any(parts[each] == "[" for each in globs):
        tail = tail.rpartition("]")[2] if "]" in tail else ""
    return [*head, HOLE, tail]


def quoted(word: str) -> str:
    """A word as a shell takes it, quoted where that is needed. A hole alone needs no quotes."""
    known = word.replace(HOLE, "")
    if _SAFE.fullmatch(known) or (not known and word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def joined(words: Sequence[Word] | Iterator[Word]) -> str:
    """The text of a command."""
    return " ".join(quoted(word.text) for word in words)
