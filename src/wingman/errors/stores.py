"""Stores: what could not be kept."""

from wingman.errors.base import Unavailable, WingmanError

__all__ = ["SessionMoved", "StoreError", "StoreLocked", "StoreTooNew", "StoreUnavailable"]


class StoreError(WingmanError):
    """The store refused what it was given, or failed; what was not acknowledged is not there."""

    code = "store_error"


class SessionMoved(Unavailable, StoreError):
    """A node wrote to a session that another node may own: nothing of it was kept."""

    code = "session_moved"


class StoreLocked(StoreError):
    """Another process has this database open; a database has one owner."""

    code = "store_locked"


class StoreTooNew(StoreError):
    """A later version of Wingman wrote this database."""

    code = "store_too_new"


class StoreUnavailable(Unavailable, StoreError):
    """The store cannot be written or read just now: its disk is full, or somebody holds its lock.

    Nothing of what was asked for was kept, unless the text says otherwise. `run_id` names the run
    that it is about, where there is one.
    """

    code = "store_unavailable"

    def __init__(self, message: str, retry_after: float = 1.0, run_id: str | None = None) -> None:
        super().__init__(message, retry_after)
        self.run_id = run_id
