"""Telemetry: what the process says of itself: logs, to standard error.

    events.py  an event and its fields, as Wingman logs them
    lines.py   how a log record looks: as text, or as JSON
    writer.py  lines to standard error, without anybody waiting for it

Wingman logs through the standard library's `logging`, under `wingman.…`, and only a program that
owns its process says where that goes. A library of its own (structlog) would bring a second set of
levels and handlers, which writes to standard output where nobody has set it up; with the standard
one, whoever embeds Wingman has its lines, and their fields, where all others are.

It knows nothing of what the lines are about.
"""

import logging
import sys
import threading
from types import TracebackType
from typing import Final, Literal, TypeAlias, get_args

from wingman.telemetry.events import Field, log_event
from wingman.telemetry.lines import NOTICES, JsonLines, TextLines
from wingman.telemetry.writer import LineHandler, open_standard_error

__all__ = [
    "FORMATS",
    "LEVELS",
    "Field",
    "Format",
    "configure_logging",
    "flush_logs",
    "log_event",
    "notice",
]

LEVELS: Final = ("debug", "info", "warning", "error")

Format: TypeAlias = Literal["text", "json"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)


def configure_logging(level: str, format: Format = "text", pid: int | None = None) -> None:
    """Log to standard error from this level on, one of `LEVELS`; what was configured is replaced.

    The level is that of Wingman's own lines: other libraries' are shown from `warning` on, since
    below it some of them tell what is sent. Uncaught exceptions and Python's warnings are lines
    too. Where standard error is closed, nothing is logged. `pid` is this process, where others log
    to the same place.
    """
    descriptor = open_standard_error()
    handler: logging.Handler = logging.NullHandler()
    if descriptor is not None:
        handler = LineHandler(descriptor)
        handler.setFormatter(JsonLines(pid) if format == "json" else TextLines(pid))
    own = logging.getLogger("wingman")
    own.setLevel(level.upper())
    logging.basicConfig(level=max(logging.WARNING, own.level), handlers=[handler], force=True)
    logging.getLogger(NOTICES).setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_a_thread


def notice(text: str) -> None:
    """Tell the operator something, whatever the level is. As text it is a line of its own."""
    logging.getLogger(NOTICES).info("%s", text)


def flush_logs(seconds: float) -> None:
    """Wait until what is logged is written, or for so long: standard error may take nothing."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            handler.wait(seconds)


def _uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
    else:
        logging.getLogger("wingman").critical("the process ends by an error", exc_info=error)


def _uncaught_in_a_thread(raised: threading.ExceptHookArgs) -> None:
    if raised.exc_value is not None and not issubclass(raised.exc_type, SystemExit):
        name = "" if raised.thread is None else raised.thread.name
        text = "a thread ends by an error: %s"
        logging.getLogger("wingman").error(text, name, exc_info=raised.exc_value)


def _unraisable(raised: "sys.UnraisableHookArgs") -> None:
    text = raised.err_msg or "an exception was ignored"
    logging.getLogger("wingman").error("%s", text, exc_info=raised.exc_value)
