"""Lines: how a log record looks: as text for people, or as one JSON object for programs.

Either way one record cannot look like two: what it tells of others is escaped.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

from wingman.telemetry.events import LogEvent, printable

__all__ = ["NOTICES", "JsonLines", "TextLines"]

NOTICES: Final = "wingman.notices"
"""The logger of what an operator is told in any case: where the server listens, that it stops."""

_LONGEST: Final = 8_000  # characters of a message
_LONGEST_TRACEBACK: Final = 32_000
_INDENT: Final = "    "


class TextLines(logging.Formatter):
    """Time (RFC 3339, UTC), level, logger, message; a traceback below, indented.

    A notice is its message alone. With a `pid` the logger has it behind its name: then others log
    to the same place.
    """

    def __init__(self, pid: int | None = None) -> None:
        super().__init__()
        self._by = "" if pid is None else f"[{pid}]"

    def format(self, record: logging.LogRecord) -> str:
        """The record as text. Only what is indented may take more than one line."""
        text = printable(_cut(record.getMessage(), _LONGEST))
        if record.name != NOTICES:
            logger = printable(record.name) + self._by
            text = f"{_time(record)} {record.levelname:<7} {logger}: {text}"
        lines = _traceback(self, record).split("\n")
        return "\n".join((text, *(_INDENT + printable(line) for line in lines if line)))


class JsonLines(logging.Formatter):
    """One JSON object: `time`, `level`, `logger`, `event`, the event's fields, `exception`; and
    `pid`, where it is given."""

    def __init__(self, pid: int | None = None) -> None:
        super().__init__()
        self._by = {} if pid is None else {"pid": pid}

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, in ASCII: no reader of lines finds more than one in it."""
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._by,
        }
        if isinstance(record.msg, LogEvent):
            entry |= {"event": record.msg.event, **record.msg.fields}
        else:
            entry["event"] = _cut(record.getMessage(), _LONGEST)
        if traceback := _traceback(self, record):
            entry["exception"] = traceback
        return json.dumps(entry)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return _cut(formatter.formatException(record.exc_info), _LONGEST_TRACEBACK)


def _cut(text: str, longest: int) -> str:
    """The text, without its middle where it is too long: a traceback's last lines say most."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters cut …]\n{text[-half:]}"
