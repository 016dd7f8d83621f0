"""Clock: the time of day, as it is recorded."""

from datetime import UTC, datetime

__all__ = ["now"]


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)
