"""Whether to ask a provider again, and when: pure rules, no clock and no network.

Both big providers' own clients keep these rules: 408, 409, 429 and every 5xx pass (Anthropic's 529
means overloaded), the header `x-should-retry` knows better than the status, and `retry-after-ms`
or `retry-after` (seconds, or an HTTP date) say when.
"""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import attrs

__all__ = ["Retry", "asked_delay", "passes"]

_PASSING = frozenset({408, 409, 429})


@attrs.frozen
class Retry:
    """How often to ask, and for how long. Delays are in seconds.

    `attempts` counts the first one. `elapsed` bounds the time from the first attempt to the start
    of the last: a delay that would end beyond it is not begun.
    """

    attempts: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    elapsed: float = 60.0
    first_delay: float = 0.5
    longest_delay: float = 8.0

    def backoff(self, attempt: int) -> float:
        """How long to wait after the `attempt`-th failure: doubling, with a quarter of jitter."""
        delay = min(self.first_delay * 2.0 ** (attempt - 1), self.longest_delay)
        return delay * (1 - 0.25 * random.random())  # noqa: S311  jitter is no secret


def passes(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a response with this status may be followed by a better one."""
    told = headers.get("x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    return status in _PASSING or status >= 500


def asked_delay(headers: Mapping[str, str], now: datetime) -> float | None:
    """How many seconds the server asks to wait, never negative; None if it does not say."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, milliseconds / 1000)
    after = headers.get("retry-after")
    if (seconds := _number(after)) is not None:
        return max(0.0, seconds)
    if after is None:
        return None
    try:
        date = parsedate_to_datetime(after)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if number < float("inf") else None
