"""Providers by name: what an agent on the wire means by `{"id": "anthropic"}`.

Seven are built in; a program may `register` others, and so may installed packages, by an entry
point in the group `wingman.providers` whose object is a `ProviderEntry` or a factory. Entry points
are loaded when first asked for.
"""

import logging
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import attrs

from wingman.api import ModelInfo
from wingman.errors import (
    InvalidRequest,
    NotFound,
    ProviderAuthError,
    ProviderError,
    ProviderNotConfigured,
)
from wingman.providers import anthropic, gemini, local, ollama, openai
from wingman.providers.base import ListsModels, Provider
from wingman.providers.catalogue import CATALOGUE, complete
from wingman.providers.scripted import Keyless
from wingman.providers.transport import Access, Transport

__all__ = ["GROUP", "ProviderEntry", "ProviderFactory", "ProviderRegistry"]

GROUP = "wingman.providers"

_log = logging.getLogger("wingman.providers")


class ProviderFactory(Protocol):
    """Makes a provider; the classes `Anthropic`, `OpenAI`, `Gemini`, … are such themselves."""

    def __call__(
        self,
        model: str,
        *,
        api_key: str | None,
        base_url: str | None,
        max_tokens: int | None,
        temperature: float | None,
    ) -> Provider: ...


@attrs.frozen
class ProviderEntry:
    """What is known of a provider before one is made.

    `access` says where it lives and with what key; None for one that lives in this process.
    """

    name: str
    factory: ProviderFactory = attrs.field(repr=False)
    default_model: str | None = None
    access: Access | None = None
    known_models: Sequence[ModelInfo] = attrs.field(default=(), repr=False)

    @property
    def key_variable(self) -> str | None:
        """The environment variable that holds its key, if it has keys."""
        return self.access.key_variable if self.access is not None else None

    @property
    def url_variable(self) -> str | None:
        """The environment variable that says where it lives, if it lives anywhere."""
        return self.access.url_variable if self.access is not None else None

    def configured(self, api_key: str | None = None, base_url: str | None = None) -> bool:
        """Whether it can be asked with this credential, or with what the environment has."""
        if self.access is None:
            return True
        try:
            self.access.endpoint(api_key, base_url)
        except ProviderNotConfigured:
            return False
        return True


def _keyless(model: str, **_options: Any) -> Provider:
    return Keyless(model)


def _local(
    model: str, *, max_tokens: int | None, temperature: float | None, **_options: Any
) -> Provider:
    return local.Local(model, max_tokens=max_tokens, temperature=temperature)


def _built_in() -> dict[str, ProviderEntry]:
    entries = (
        ProviderEntry("anthropic", anthropic.Anthropic, "claude-sonnet-4-5", anthropic.ACCESS),
        ProviderEntry("openai", openai.OpenAI, "gpt-4.1", openai.ACCESS),
        ProviderEntry("gemini", gemini.Gemini, "gemini-2.5-flash", gemini.ACCESS),
        ProviderEntry("openai-compatible", openai.OpenAICompatible, None, openai.COMPATIBLE_ACCESS),
        ProviderEntry("ollama", ollama.Ollama, None, ollama.ACCESS),
        ProviderEntry("local", _local, local.DEFAULT),
        ProviderEntry("scripted", _keyless, "keyless"),
    )
    return {
        entry.name: attrs.evolve(entry, known_models=CATALOGUE.get(entry.name, ()))
        for entry in entries
    }


@attrs.define(eq=False)
class ProviderRegistry:
    """Providers by name."""

    _entries: dict[str, ProviderEntry] = attrs.field(factory=_built_in, init=False)
    _found: dict[str, EntryPoint] | None = attrs.field(default=None, init=False)

    def register(
        self,
        name: str,
        factory: ProviderFactory,
        *,
        default_model: str | None = None,
        access: Access | None = None,
        known_models: Sequence[ModelInfo] = (),
    ) -> None:
        """Add a provider, or put another in its place."""
        self._entries[name] = ProviderEntry(name, factory, default_model, access, known_models)

    def names(self) -> list[str]:
        """All names, sorted; entry points are named without being loaded."""
        return sorted({*self._entries, *self._entry_points()})

    def entry(self, name: str) -> ProviderEntry:
        """What is known of a provider; raises `NotFound`."""
        entry = self.find(name)
        if entry is None:
            raise NotFound("provider", name)
        return entry

    def find(self, name: str) -> ProviderEntry | None:
        """What is known of a provider, if there is one of this name."""
        entry = self._entries.get(name)
        if entry is None and (point := self._entry_points().get(name)) is not None:
            entry = self._entries[name] = _loaded(point)
        return entry

    def check(self, name: str, at: str = "$.provider.id") -> ProviderEntry:
        """The same for a name in a request's body: raises `InvalidRequest`, naming all.

        `at` is the field's path.
        """
        try:
            return self.entry(name)
        except NotFound as error:
            known = ", ".join(self.names())
            raise InvalidRequest(
                f"There is no provider {name!r}; there are: {known} - at `{at}`"
            ) from error

    def create(
        self,
        name: str,
        model: str | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> Provider:
        """Make a provider. It needs no key yet: that is looked for when a stream begins.

        Raises `InvalidRequest` for an unknown name, `ProviderNotConfigured` if no model is named
        and the provider has no default.
        """
        entry = self.check(name)
        named = model or entry.default_model
        if named is None:
            raise ProviderNotConfigured(
                f"{name} has no default model: name one in the agent's provider, as "
                f'{{"id": "{name}", "model": "…"}}.'
            )
        return entry.factory(
            named,
            api_key=api_key,
            base_url=base_url,
            max_tokens=max_tokens,
            temperature=temperature,
        )

    async def models(
        self,
        name: str,
        transport: Transport,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
    ) -> Sequence[ModelInfo]:
        """The models of a provider, of its own word where it can be asked, else the catalogue's.

        Raises `NotFound` for an unknown name, `ProviderAuthError` where the key is refused.
        """
        entry = self.entry(name)
        provider = entry.factory(
            entry.default_model or "",
            api_key=api_key,
            base_url=base_url,
            max_tokens=None,
            temperature=None,
        )
        if not isinstance(provider, ListsModels) or not entry.configured(api_key, base_url):
            return entry.known_models
        try:
            models = await provider.models(transport)
        except ProviderAuthError:
            raise
        except ProviderError as error:
            _log.warning("%s does not list its models: %s", name, error)
            return entry.known_models
        return [complete(model, entry.known_models) for model in models]

    async def model(
        self,
        name: str,
        model: str,
        transport: Transport,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
    ) -> ModelInfo:
        """One model of a provider; raises `NotFound`."""
        models = await self.models(name, transport, api_key=api_key, base_url=base_url)
        for info in models:
            if info.id == model:
                return info
        raise NotFound("model", model)

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._found is None:
            self._found = {point.name: point for point in entry_points(group=GROUP)}
        return self._found


def _loaded(point: EntryPoint) -> ProviderEntry:
    try:
        loaded: ProviderEntry | Callable[..., Provider] = point.load()
    except (ImportError, AttributeError) as error:
        raise ProviderNotConfigured(
            f"The provider {point.name!r} ({point.value}) does not load: {error}"
        ) from error
    return loaded if isinstance(loaded, ProviderEntry) else ProviderEntry(point.name, loaded)
