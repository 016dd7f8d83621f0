"""Kinds: which of Wingman's errors a provider's error is, by its status and by its names."""

import re
from typing import Final

from wingman.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderStreamError,
    ProviderTimeout,
)
from wingman.providers.transport.explaining import Explanation
from wingman.providers.transport.retry import passes

__all__ = ["FOR_ITS_CONTENT", "class_of_report", "class_of_status"]

FOR_ITS_CONTENT: Final = frozenset({400, 413, 422})
"""The statuses with which a request is refused for what is in it."""

# What the names of errors say that come with a good status. The first that fits counts.
_QUOTA: Final = re.compile(r"quota|billing|credit|insufficient_?balance|payment")
_ABSENT: Final = re.compile(r"not_?found|no_such|decommission|deprecated|disabled")
_PASSING: Final = re.compile(
    r"overloaded|rate.?limit|too many requests|try again|temporarily", re.IGNORECASE
)
"""What a message says of an error that may pass, where that has no name."""
_KINDS: Final[tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = (
    (_QUOTA, ProviderRateLimited),
    (
        re.compile(r"authenti|unauthori|permission|forbidden|api_?key|access_?denied"),
        ProviderAuthError,
    ),
    (_ABSENT, ProviderRejected),
    (
        re.compile(
            r"rate_?limit|overload|throttl|too_?many|exhausted|unavailable|timeout|timed_?out|"
            r"server_?error|internal|api_error|capacity|busy|deadline|connection|gateway"
        ),
        ProviderStreamError,
    ),
    (
        re.compile(
            r"invalid_?(request|prompt|argument|param|image|base64|json|value|schema)|bad_?request|"
            r"validation|unprocessable|image|too_?large|context_?(length|window)|content_policy|"
            r"unsupported|malformed|string_above_max"
        ),
        ProviderRejected,
    ),
)


def class_of_status(status: int, words: str) -> type[ProviderError]:
    """The class of a response that is not good; `words` are the names that it gives its error."""
    if "api_key_invalid" in words:
        return ProviderAuthError  # Gemini says so with a 400
    match status:
        case 401 | 403:
            return ProviderAuthError
        case 408 | 504:
            return ProviderTimeout
        case 409:
            return ProviderError
        case 429:
            return ProviderRateLimited
        case _:
            return ProviderRejected if 300 <= status < 500 else ProviderError


def class_of_report(said: Explanation, may_pass: bool) -> tuple[type[ProviderError], bool]:
    """The class of an error that came with a good status, and whether the content was refused."""
    if said.status is not None:
        kind = class_of_status(said.status, said.words)
        if passes(said.status, {}):
            return (
                ProviderRateLimited if _QUOTA.search(said.words) else ProviderStreamError
            ), False
        return kind, kind is ProviderRejected and said.status in FOR_ITS_CONTENT
    for names, kind in _KINDS:
        if names.search(said.words):
            return kind, kind is ProviderRejected and names is not _ABSENT
    may_pass = may_pass or (not said.words and _PASSING.search(said.message) is not None)
    return (ProviderStreamError if may_pass else ProviderError), False
