"""Telemetry: what the process says of itself: logs, to stderr.

Only a program that owns its process configures logging. The library itself just logs, under
`wingman.…`, and leaves the rest to whoever embeds it.
"""

import logging
import sys
import time
from typing import Final

__all__ = ["LEVELS", "configure_logging"]

LEVELS: Final = ("debug", "info", "warning", "error")

# At their most talkative these write a line, or ten, for each request; warnings are welcome.
_CHATTY: Final = ("httpcore", "httpx", "hypercorn.access", "hypercorn.error")


class _Formatter(logging.Formatter):
    """Time (RFC 3339, UTC), level, logger, message; a traceback, if there is one, below."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")


def configure_logging(level: str) -> None:
    """Log to stderr from this level on, one of `LEVELS`; what was configured before is replaced."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
