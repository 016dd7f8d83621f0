"""Names and ids of tool calls, made such as an API accepts, and told apart all the same.

They are the models' own inventions, or another provider's, or those of tools whose names an API
does not take. What is changed is changed in the same way in every request, so that a prompt's
cache holds, and no two become one.
"""

import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final

from wingman.providers.base import Request

__all__ = [
    "CallNumbers",
    "ToolNames",
    "is_mistral",
    "nine_letters",
    "plain_id",
    "safe_name",
    "short_id",
]

_LONGEST_ID: Final = 40
_LONGEST_NAME: Final = 64
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MISTRAL: Final = re.compile(
    r"mi[sx]tral|codestral|ministral|pixtral|magistral|devstral|voxtral|mathstral|leanstral"
)


def short_id(id: str) -> str:
    """The id, or a digest in its place where it is longer than the strictest API takes."""
    return id if len(id) <= _LONGEST_ID else f"call_{sha256(id.encode()).hexdigest()[:24]}"


def plain_id(id: str) -> str:
    """The id with only letters, digits, `_` and `-`."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", id) or "call"


def nine_letters(id: str) -> str:
    """Nine letters and digits, as Mistral's API and templates demand; the id itself if it is so."""
    if re.fullmatch(r"[a-zA-Z0-9]{9}", id):
        return id
    number = int.from_bytes(sha256(id.encode()).digest())
    letters = []
    for _ in range(9):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def is_mistral(model: str, host: str | None = None) -> bool:
    """Whether a model is one of Mistral's, by its name or by the host that serves it."""
    at_home = host is not None and (host == "mistral.ai" or host.endswith(".mistral.ai"))
    return at_home or _MISTRAL.search(model.lower()) is not None


def safe_name(name: str, also: str = "") -> str:
    """The name with only letters, digits, `_` and `-` (and those of `also`), and not too long.

    A model may call what no tool is named; its call stays in the history all the same.
    """
    return re.sub(rf"[^a-zA-Z0-9_{also}-]", "_", name)[:_LONGEST_NAME] or "unnamed"


class CallNumbers:
    """The ids of a request's calls as an API takes them. `form` makes one; they are told apart."""

    def __init__(self, form: Callable[[str], str]) -> None:
        self._form = form
        self._sent: dict[str, str] = {}
        self._taken: set[str] = set()

    def __call__(self, id: str) -> str:
        """The id that is sent for an id: always the same in one history, and for no other."""
        if (sent := self._sent.get(id)) is None:
            sent = self._form(id)
            again = 0
            while sent in self._taken:
                again += 1
                digest = sha256(f"{again} {id}".encode(errors="replace")).hexdigest()[:24]
                sent = self._form(f"call_{digest}")
            self._sent[id] = sent
            self._taken.add(sent)
        return sent


class ToolNames:
    """The names of a request's tools as an API takes them, and the way back.

    A tool whose name the API takes as it is keeps it. Of the others, one whose name would become
    another's gets a digest at its end.
    """

    def __init__(self, names: Iterable[str] = (), also: str = "") -> None:
        self._also = also
        self._sent: dict[str, str] = {}
        self._own: dict[str, str] = {}
        names = list(names)
        for name in sorted(names, key=lambda name: safe_name(name, also) != name):
            self.sent(name)
        self._tools = {self._sent[name]: name for name in names}

    @classmethod
    def of(cls, request: Request, also: str = "") -> "ToolNames":
        """Those of a request's tools."""
        return cls((tool.name for tool in request.tools), also)

    def sent(self, name: str) -> str:
        """The name that is sent for a name, of a tool or of a call in the history."""
        if (sent := self._sent.get(name)) is None:
            sent = safe_name(name, self._also)
            if self._own.get(sent, name) != name:
                digest = sha256(name.encode(errors="replace")).hexdigest()[:8]
                sent = f"{sent[: _LONGEST_NAME - 9]}_{digest}"
            self._sent[name] = sent
            self._own[sent] = name
        return sent

    def own(self, sent: str) -> str:
        """The tool that a model means by a name; the name itself where it is no tool's."""
        return self._tools.get(sent, sent)

    @property
    def known(self) -> tuple[str, ...]:
        """The names of the tools, as they are given."""
        return tuple(self._tools.values())

    @property
    def tools(self) -> list[str]:
        """The names of the tools, as they are sent."""
        return list(self._tools)
