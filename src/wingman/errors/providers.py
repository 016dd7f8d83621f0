"""Providers: the model's API failed, or its answer is not what was asked for."""

from wingman.errors.base import WingmanError

__all__ = [
    "OutputInvalid",
    "ProviderAuthError",
    "ProviderError",
    "ProviderRateLimited",
    "ProviderRejected",
    "ProviderStreamError",
    "ProviderTimeout",
]


class ProviderError(WingmanError):
    """The model's API failed, after the retries.

    `provider` is its id; `status`, `error_type` and `request_id` are its own, where it gave them.
    `refused` says that it would not have the request for what that contains, such as an image: the
    same request with other contents may pass.
    """

    code = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        status: int | None = None,
        error_type: str | None = None,
        request_id: str | None = None,
        refused: bool = False,
    ) -> None:
        own = ", ".join(
            part
            for part in (
                f"HTTP {status}" if status is not None else "",
                error_type or "",
                f"request {request_id}" if request_id else "",
            )
            if part
        )
        super().__init__(f"{provider}: {message}" + (f" ({own})" if own else ""))
        self.provider = provider
        self.status = status
        self.error_type = error_type
        self.request_id = request_id
        self.refused = refused


class ProviderAuthError(ProviderError):
    """The provider refused the key."""

    code = "provider_auth"


class ProviderRejected(ProviderError):
    """The provider refused the request; sending it again changes nothing."""


class ProviderRateLimited(ProviderError):
    """The provider's rate limit, or its quota, is used up."""


class ProviderTimeout(ProviderError):
    """The provider did not answer, or fell silent, for longer than the timeout."""

    code = "provider_timeout"


class ProviderStreamError(ProviderError):
    """The provider's stream broke, reported an error, or was not what its protocol says."""


class OutputInvalid(WingmanError):
    """The model's final response does not fit the agent's `output_schema`, also when asked again.

    What it said is in the history.
    """

    code = "output_invalid"
