"""Models: what models each provider has, asked for once in a while."""

from collections.abc import Sequence
from typing import Final

import attrs
import trio

from wingman.api import ModelInfo
from wingman.errors import WingmanError
from wingman.providers import ProviderRegistry, Transport, known_window
from wingman.runtime.credentials import Credentials

__all__ = ["Models"]

_FRESH_SECONDS: Final = 300.0


@attrs.frozen
class _Answer:
    """What a provider said of its models, and until when that is believed without asking."""

    models: Sequence[ModelInfo]
    fresh_until: float


class Models:
    """The models of a runtime's providers, of their own word where they can be asked.

    An answer is kept for five minutes, one for each provider, and until any credential changes.
    What the catalogue says in a provider's stead is not kept: the provider is asked again.
    """

    def __init__(self, providers: ProviderRegistry, credentials: Credentials) -> None:
        self._providers = providers
        self._credentials = credentials
        self._answers: dict[str, _Answer] = {}
        credentials.on_change(self._forget)

    async def list(self, provider: str, transport: Transport) -> Sequence[ModelInfo]:
        """The models of one provider. Raises `NotFound`, or `ProviderAuthError`."""
        answer = self._answers.get(provider)
        if answer is not None and trio.current_time() < answer.fresh_until:
            return answer.models
        entry = self._providers.entry(provider)
        credential = self._credentials.get(provider)
        answers = self._answers
        models = await self._providers.models(
            provider, transport, api_key=credential.key, base_url=credential.base_url
        )
        if models is not entry.known_models:
            # Where a credential has changed in the meantime, `answers` are those forgotten.
            answers[provider] = _Answer(models, trio.current_time() + _FRESH_SECONDS)
        return models

    def window(self, provider: str, model: str) -> int | None:
        """A model's context window in tokens, as far as that is known without asking."""
        answer = self._answers.get(provider)
        told = () if answer is None else answer.models
        return known_window(model, (*told, *self._known(provider)))

    def _known(self, provider: str) -> Sequence[ModelInfo]:
        try:
            entry = self._providers.find(provider)
        except WingmanError:
            return ()  # it does not load
        return () if entry is None else entry.known_models  # else a program has made it itself

    def _forget(self) -> None:
        self._answers = {}
