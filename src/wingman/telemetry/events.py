"""Events: what Wingman logs, an event in words, and fields that programs can go by.

A field's name means the same in every line; `docs/operating.md` lists them. None of them ever
holds what a message, a tool's input or its output says, nor a key.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

__all__ = ["Field", "LogEvent", "log_event", "printable"]

Field: TypeAlias = str | int | float | bool | None

# Names come from outside: a model may call a tool by any.
_LONGEST: Final = 200
_PLAIN: Final = re.compile(r"[\w./:@+-]+", re.ASCII)


class LogEvent:
    """The message of a log record: `str` has the fields behind the event, as `name=value`.

    The text is made where it is shown, and not before.
    """

    __slots__ = ("event", "fields")

    def __init__(self, event: str, fields: Mapping[str, Field]) -> None:
        self.event = event
        self.fields = fields

    def __str__(self) -> str:
        return " ".join((self.event, *(f"{k}={_shown(v)}" for k, v in self.fields.items())))


def log_event(
    logger: logging.Logger,
    level: int,
    event: str,
    raised: BaseException | None = None,
    /,
    **fields: Field,
) -> None:
    """Log an event with those of its fields that are not None, and a traceback.

    The fields are attributes of the record as well, where formatters of other makes find them.
    """
    if not logger.isEnabledFor(level):
        return
    given: dict[str, Any] = {k: _cut(v) for k, v in fields.items() if v is not None}
    logger.log(level, LogEvent(event, given), exc_info=raised, extra=given, stacklevel=2)


def printable(text: str) -> str:
    """The text on one line: what is no printable character is escaped, as in `\\n` or `\\x1b`.

    So nothing that is logged can begin a line, move the cursor or turn the text around.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cut(value: Field) -> Field:
    long = isinstance(value, str) and len(value) > _LONGEST
    return f"{value[:_LONGEST]}…" if long and isinstance(value, str) else value


def _shown(value: Field) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return printable(json.dumps(value, ensure_ascii=False))
