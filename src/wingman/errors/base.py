"""Base: what all errors have, and the two kinds that say what the caller can do."""

__all__ = ["RequestError", "Unavailable", "WingmanError"]


class WingmanError(Exception):
    """The root of the tree. Its text says what to do about it.

    `run_id` is the run that it is about, and `request_id` the request that it answers, where known.
    """

    code: str = "internal_error"
    run_id: str | None = None
    request_id: str | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(WingmanError):
    """The caller asked for what cannot be."""

    code = "invalid_request"


class Unavailable(WingmanError):
    """Not now. `retry_after` is in seconds; 0 where it is of no use to ask again."""

    code = "overloaded"

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
