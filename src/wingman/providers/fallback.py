"""Fallback: the first of several providers that can answer.

The next one is asked where one is down, over its limit, silent, refuses the key or is not
configured, as long as nothing of the answer has been handed on. A request that is refused as such
(`ProviderRejected`) is the caller's to correct: the next one is not asked to try the same.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import trio

from wingman.conversation import NO_USAGE
from wingman.errors import (
    ProviderError,
    ProviderNotConfigured,
    ProviderRejected,
    ProviderStreamError,
)
from wingman.providers.base import Part, Provider, Request, UsageUpdate

__all__ = ["Answering", "Fallback"]

_log = logging.getLogger("wingman.providers")

_REST_SECONDS: Final = 60.0


class Answering(UsageUpdate, frozen=True):
    """A `UsageUpdate` that says whose tokens they are: one is put before an answer's parts."""

    provider: str
    model: str


class Fallback:
    """Several providers as one: `Fallback(Anthropic("…"), OpenAI("…"))`.

    One that has failed is asked last for a minute, so that not every step waits for it. `id` and
    `model` are those of the provider that answered last, at first of the first. Blocks keep the
    name of the provider that signed them, so that no other is sent its signatures.

    If all fail, the error is the last one's; that one is not configured is told only if none is.
    """

    def __init__(self, first: Provider, *others: Provider) -> None:
        self.providers = (first, *others)
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

    async def stream(self, request: Request) -> AsyncGenerator[Part, None]:
        """Run one inference, by the first provider that can."""
        errors: list[ProviderError | ProviderNotConfigured] = []
        for number in self._order():
            provider = self.providers[number]
            held: list[Part] | None = []  # usage alone is no answer yet; None: it has begun
            parts = provider.stream(request)
            try:
                async for part in parts:
                    if held is not None:
                        held.append(part)
                        if isinstance(part, UsageUpdate):
                            continue
                        self._answered = provider
                        yield Answering(NO_USAGE, provider.id, provider.model)
                        for early in held[:-1]:
                            yield early
                        held = None
                    yield part
                if held is None:
                    return
                raise ProviderStreamError("the stream ended at once", provider=provider.id)
            except (ProviderError, ProviderNotConfigured) as error:
                if isinstance(error, ProviderRejected):
                    raise
                self._rests_until[number] = trio.current_time() + _REST_SECONDS
                if held is None:
                    raise
                errors.append(error)
                _log.warning("%s did not answer: %s", provider.id, error.message)
            finally:
                await parts.aclose()
        raise _most_telling(errors)

    def _order(self) -> list[int]:
        """As they were given, those that rest after the others."""
        now = trio.current_time()
        return sorted(self._rests_until, key=lambda number: self._rests_until[number] > now)


def _most_telling(
    errors: Sequence[ProviderError | ProviderNotConfigured],
) -> ProviderError | ProviderNotConfigured:
    """The last failure; that a provider is not configured says less than that one is down."""
    failures = [error for error in errors if isinstance(error, ProviderError)]
    return (failures or errors)[-1]
