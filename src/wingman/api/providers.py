"""Providers and credentials as the contract has them. No answer has a key in it."""

from typing import Literal

import msgspec

__all__ = ["AuthBody", "AuthView", "Credential", "CredentialView", "ModelInfo", "ProviderView"]


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to reach a provider. Its `repr` shows no key."""

    type: Literal["api_key"] = "api_key"
    key: str | None = None
    base_url: str | None = None

    def __repr__(self) -> str:
        key = "None" if self.key is None else "'…'"
        return f"Credential(type={self.type!r}, key={key}, base_url={self.base_url!r})"


class AuthBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credentials by provider."""

    providers: dict[str, Credential]


class CredentialView(msgspec.Struct, frozen=True):
    """Whether a provider has what it needs to be asked."""

    type: Literal["api_key"]
    configured: bool


class AuthView(msgspec.Struct, frozen=True):
    """The providers that take credentials."""

    providers: dict[str, CredentialView]


class ProviderView(msgspec.Struct, frozen=True):
    """A provider: `key_variable` and `base_url_variable` name the environment's."""

    id: str
    configured: bool
    default_model: str | None
    key_variable: str | None
    base_url_variable: str | None


class ModelInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model as a provider offers it; windows in tokens, where known."""

    id: str
    name: str
    context_window: int | None = None
    max_output_tokens: int | None = None
