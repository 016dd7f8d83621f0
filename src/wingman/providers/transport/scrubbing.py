"""Secrets kept out of texts: a provider may echo a key anywhere, and in any encoding.

A secret is looked for in the text as it stands, and as it reads after escapes are undone once,
twice and three times, in any order: those of URLs, of HTML, of JSON, of Python's `repr` and of
other languages' strings. It is also looked for in base64, wherever it stands within what was
encoded, as in the header of a basic authentication, and in hexadecimal. Of a secret of 16
characters or more, a beginning of 8 is found as well: providers cut what they quote.

What is not found: a secret without its beginning, one in other letters (capitals), one that is
written in pieces, reversed, encrypted, compressed or encoded in another way, and one of less than 4
characters, such as people give to a server that asks for any: it would blank out half of what an
error says.
"""

import html
import re
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec

__all__ = ["is_clean", "scrub", "without"]

_INSTEAD: Final = "…"
_LEVELS: Final = 3
_SHORTEST: Final = 4
_PART: Final = 8
"""Of how many characters a part is that is not to be seen either."""

_ESCAPES: Final = (
    re.compile(r"%[0-9A-Fa-f]{2}|%u[0-9A-Fa-f]{4}"),
    re.compile(r"&(?:(?:\#\d{1,7}|\#[xX][0-9A-Fa-f]{1,6});?|[A-Za-z]{2,8};)"),
    re.compile(
        r"\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}"
        r"|\\[0-3][0-7]{2}|\\.",
        re.DOTALL,
    ),
)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text with `…` in place of each secret, in whatever encoding it stands there."""
    needles = _needles(tuple(secrets))
    if not needles or not text:
        return text
    spans = sorted(_spans(text, needles))
    pieces, end = [], 0
    for begin, stop in spans:
        if begin >= end:
            pieces += [text[end:begin], _INSTEAD]
        end = max(end, stop)
    return "".join([*pieces, text[end:]])


def without(value: Any, secrets: Iterable[str]) -> Any:
    """A JSON value without the secrets in its texts, such as a list of models. It may be large."""
    needles = _needles(tuple(secrets))
    text = msgspec.json.encode(value).decode()
    for needle in needles:
        text = text.replace(msgspec.json.encode(needle).decode()[1:-1], _INSTEAD)
    return msgspec.json.decode(text) if needles else value


def is_clean(error: BaseException, secrets: Iterable[str]) -> bool:
    """Whether neither an exception nor what it came from shows a secret when it is printed."""
    secrets = tuple(secrets)
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        text = f"{each} {each!r}"
        if scrub(text, secrets) != text:
            return False
        waiting += [each.__cause__, each.__context__]
    return True


def _spans(text: str, needles: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where secrets stand in the text: their beginnings and ends."""
    seen = {text}
    level = [(text, list(range(len(text) + 1)))]
    for _ in range(_LEVELS + 1):
        following = []
        for chars, places in level:
            yield from ((places[a], places[b]) for a, b in _found(chars, needles))
            for escapes in _ESCAPES:
                undone = _undone(chars, places, escapes)
                if undone is not None and undone[0] not in seen:
                    seen.add(undone[0])
                    following.append(undone)
        level = following


def _found(chars: str, needles: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    for needle in needles:
        head = needle[:_PART] if len(needle) >= 2 * _PART else needle
        begin = chars.find(head)
        while begin >= 0:
            end = begin + len(head)
            while (
                end < len(chars) and chars[end : end + 1] == needle[end - begin : end - begin + 1]
            ):
                end += 1
            yield begin, end
            begin = chars.find(head, end)


def _undone(
    chars: str, places: list[int], escapes: re.Pattern[str]
) -> tuple[str, list[int]] | None:
    """The text with its escapes of one kind undone; None if it has none.

    `places` says where each of the characters, and their end, stands in the first text; the same is
    returned of those that are.
    """
    undone: list[str] = []
    origins: list[int] = []
    end = 0
    for escape in escapes.finditer(chars):
        undone.append(chars[end : escape.start()])
        origins += places[end : escape.start()]
        undone.append(_meant(escape[0]))
        origins += [places[escape.start()]] * len(undone[-1])
        end = escape.end()
    if not end:
        return None
    undone.append(chars[end:])
    origins += places[end:]
    return "".join(undone), origins


def _meant(escape: str) -> str:
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[0] == "\\" and len(escape) == 2:
        return escape[1]
    if escape[0] == "\\" and escape[1].isdigit():
        return chr(int(escape[1:], base=8))
    number = int(escape[1:].strip("uUx{}"), base=16)
    return chr(number) if number <= sys.maxunicode else "\ufffd"


@lru_cache(maxsize=64)
def _needles(secrets: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            found[secret] = None
            # Escapes of bytes that are not ASCII are undone one by one.
            found[secret.encode(errors="replace").decode("latin-1")] = None
            found.update(dict.fromkeys(_encoded(secret.encode(errors="replace"))))
    return tuple(found)


def _encoded(secret: bytes) -> Iterator[str]:
    """What is seen of a secret where it was encoded, with whatever stood around it."""
    if len(secret) < _PART:
        return  # it would be found where it is not
    yield secret.hex()
    yield secret.hex().upper()
    for before in range(3):
        whole = b64encode(b"\0" * before + secret).decode()
        # The characters at its ends belong to its neighbours as well.
        inner = whole[(0, 2, 3)[before] :].rstrip("=")
        if (before + len(secret)) % 3:
            inner = inner[:-1]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
