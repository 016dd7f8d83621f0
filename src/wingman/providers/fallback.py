"""Fallback: the first of several providers that can answer.

The next one is asked where one is down, over its limit, silent, refuses the key or is not
configured, as long as nothing of the answer has been handed on. A request that is refused as such
(`ProviderRejected`) is the caller's to correct: the next one is not asked to try the same.

A provider that raises what is no `ProviderError`, be it a bug or `SystemExit`, is one that is down:
that is logged with its traceback, and becomes a `ProviderError` that names its type.
"""

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final, TypeAlias

import trio

from wingman.conversation import NO_USAGE
from wingman.errors import (
    ProviderError,
    ProviderNotConfigured,
    ProviderRejected,
    ProviderStreamError,
)
from wingman.foreign import contained
from wingman.providers.base import Answering, Part, Provider, Request, UsageUpdate, WindowOf
from wingman.providers.calling import close, context_window, require_provider
from wingman.providers.transport import Transport
from wingman.telemetry import log_event

__all__ = ["Fallback"]

_log = logging.getLogger("wingman.providers")

_REST_SECONDS: Final = 60.0

_Failure: TypeAlias = ProviderError | ProviderNotConfigured


class Fallback:
    """Several providers as one: `Fallback(Anthropic("…"), OpenAI("…"))`.

    One that has failed is asked last for a minute, so that not every step waits for it. `id` and
    `model` are those of the provider that answered last, at first of the first. Blocks keep the
    name of the provider that signed them, so that no other is sent its signatures.

    If all fail, the error is the last one's; that one is not configured is told only if none is.
    """

    def __init__(self, first: Provider, *others: Provider) -> None:
        self.providers = (first, *others)
        for provider in self.providers:
            require_provider(provider)
        self._answered = first
        self._rests_until = dict.fromkeys(range(len(self.providers)), float("-inf"))

    @property
    def id(self) -> str:
        """The id of the provider that answered last."""
        return self._answered.id

    @property
    def model(self) -> str:
        """The model of the provider that answered last."""
        return self._answered.model

    def __repr__(self) -> str:
        return f"Fallback({', '.join(map(repr, self.providers))})"

    def context_window(self, window_of: WindowOf) -> int | None:
        """The largest window of the providers, in tokens; None if that of one is not known."""
        windows = [context_window(provider, window_of) for provider in self.providers]
        known = [window for window in windows if window is not None]
        return max(known) if len(known) == len(windows) else None

    async def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference, by the first provider that can."""
        errors: list[_Failure] = []
        for number in self._order():
            provider = self.providers[number]
            opening = _Opening()
            parts: AsyncGenerator[Part, None] | None = None
            try:
                parts = _started(provider, request, transport)
                while (part := await _next(provider, parts)) is not None:
                    if opening.is_over:
                        yield part
                    elif opening.ends_with(part):
                        self._answered = provider
                        for early in opening.parts(provider):
                            yield early
                        yield part
                if opening.is_over:
                    return
                raise ProviderStreamError("the stream ended at once", provider=provider.id)
            except ProviderRejected:
                raise
            except (ProviderError, ProviderNotConfigured) as error:
                self._rests_until[number] = trio.current_time() + _REST_SECONDS
                if opening.is_over:
                    raise
                # Its traceback would hold this frame, which holds the error.
                errors.append(error.with_traceback(None))
                _log_failure(provider, error)
            finally:
                if parts is not None:
                    await close(parts)  # noqa: ASYNC102 it waits for the provider
        try:
            raise _most_telling(errors)
        finally:
            errors.clear()

    def _order(self) -> list[int]:
        """As they were given, those that rest after the others."""
        now = trio.current_time()
        return sorted(self._rests_until, key=lambda number: self._rests_until[number] > now)


class _Opening:
    """What comes before an answer's first part: usage, and who answers. It is no answer yet."""

    def __init__(self) -> None:
        self.who: Answering | None = None
        self.usage: UsageUpdate | None = None
        self.is_over = False

    def ends_with(self, part: Part) -> bool:
        """Whether the answer begins with this part; if not, the last of its kind is kept."""
        if isinstance(part, Answering):
            self.who, self.usage = part, None
        elif isinstance(part, UsageUpdate):
            self.usage = part
        else:
            self.is_over = True
        return self.is_over

    def parts(self, provider: Provider) -> Iterator[Part]:
        """What is to be handed on of it."""
        yield self.who or Answering(NO_USAGE, provider.id, provider.model)
        if self.usage is not None:
            yield self.usage


def _started(
    provider: Provider, request: Request, transport: Transport
) -> AsyncGenerator[Part, None]:
    """The provider's stream; raises the provider's failures alone."""
    try:
        return provider.stream(request, transport)
    except (ProviderError, ProviderNotConfigured):
        raise
    except BaseException as error:
        raise _failure(provider, error) from error  # noqa: ASYNC104 let through


async def _next(provider: Provider, parts: AsyncGenerator[Part, None]) -> Part | None:
    """The next part, None at the end; raises the provider's failures alone, and `Cancelled`."""
    try:
        return await anext(parts, None)
    except (ProviderError, ProviderNotConfigured):
        raise
    except BaseException as error:
        raise _failure(provider, error) from error  # noqa: ASYNC104 let through


def _failure(provider: Provider, error: BaseException) -> ProviderError:
    """What a provider has raised that is no failure of an API, as a failure of this provider.

    Its text is for the log alone, as that of any bug. Raises `Cancelled` where we are cancelled.
    """
    _log.error("%s raised what is no ProviderError", provider.id, exc_info=contained(error))
    said = f"it raised {type(error).__name__}, which no provider should: the log says more"
    return ProviderError(said, provider=provider.id)


def _most_telling(errors: Sequence[_Failure]) -> _Failure:
    """The last failure; that a provider is not configured says less than that one is down."""
    failures = [error for error in errors if isinstance(error, ProviderError)]
    return (failures or errors)[-1]


def _log_failure(provider: Provider, error: ProviderError | ProviderNotConfigured) -> None:
    """Say who did not answer, and why by its code: the error's text may repeat the request."""
    told = error if isinstance(error, ProviderError) else None
    log_event(
        _log,
        logging.WARNING,
        f"{provider.id} did not answer",
        provider=provider.id,
        model=provider.model,
        error=error.code,
        provider_status=None if told is None else told.status,
        provider_request_id=None if told is None else told.request_id,
    )
