"""Providers and credentials as the contract has them. No answer has a key in it."""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wingman.api.route import DELETED, WRITE, Answer, Body, Route

__all__ = [
    "ROUTES",
    "AuthBody",
    "AuthView",
    "Credential",
    "CredentialFields",
    "CredentialView",
    "ModelInfo",
    "ProviderView",
]


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to reach a provider. Its `repr` shows no key."""

    type: Literal["api_key"] = "api_key"
    key: str | None = None
    base_url: str | None = None

    def __repr__(self) -> str:
        key = "None" if self.key is None else "'…'"
        return f"Credential(type={self.type!r}, key={key}, base_url={self.base_url!r})"


class CredentialFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to change of a credential: what is not given stays, null removes it."""

    type: Literal["api_key"] = "api_key"
    key: str | UnsetType | None = UNSET
    base_url: str | UnsetType | None = UNSET

    def __repr__(self) -> str:
        key = "'…'" if self.key else repr(self.key)
        return f"CredentialFields(key={key}, base_url={self.base_url!r})"


class AuthBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credentials by provider."""

    providers: dict[str, CredentialFields]


class CredentialView(msgspec.Struct, frozen=True):
    """Whether a provider has what it needs to be asked, and where its key goes."""

    type: Literal["api_key"]
    configured: bool
    base_url: str | None


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


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="list_providers",
        method="GET",
        path="/provider",
        section="providers",
        summary="List the providers",
        description="They are those that the program knows: the list has no pages.",
        answers=(Answer(200, "All providers.", tuple[ProviderView, ...]),),
    ),
    Route(
        name="read_credentials",
        method="GET",
        path="/provider/auth",
        section="providers",
        summary="Which providers are configured",
        description="At most one credential for each provider: there are no pages.",
        answers=(Answer(200, "Never a key.", AuthView),),
    ),
    Route(
        name="store_credentials",
        method="PUT",
        path="/provider/auth",
        section="providers",
        summary="Store credentials",
        body=Body(
            AuthBody,
            {"providers": {"openai-compatible": {"base_url": "http://127.0.0.1:8080/v1"}}},
        ),
        answers=(Answer(200, "Never a key.", AuthView),),
        errors=("provider_not_found", *WRITE),
    ),
    Route(
        name="delete_credential",
        method="DELETE",
        path="/provider/auth/{name}",
        section="providers",
        summary="Remove a credential",
        answers=(DELETED,),
        errors=("provider_not_found", "credential_not_found", *WRITE),
    ),
    Route(
        name="read_provider",
        method="GET",
        path="/provider/{name}",
        section="providers",
        summary="Read a provider",
        answers=(Answer(200, "The provider.", ProviderView),),
        errors=("provider_not_found",),
    ),
    Route(
        name="list_models",
        method="GET",
        path="/provider/{name}/models",
        section="providers",
        summary="List a provider's models",
        description="They are those that the provider offers: the list has no pages.",
        answers=(Answer(200, "Its models.", tuple[ModelInfo, ...]),),
        errors=("provider_not_found", "provider_auth", "provider_error", "provider_timeout"),
    ),
    Route(
        name="read_model",
        method="GET",
        path="/provider/{name}/models/{model...}",
        section="providers",
        summary="Read a model",
        description="Its name may have slashes in it.",
        answers=(Answer(200, "The model.", ModelInfo),),
        errors=(
            "provider_not_found",
            "model_not_found",
            "provider_auth",
            "provider_error",
            "provider_timeout",
        ),
    ),
)
