"""/provider: the providers, their models, and how they are reached. Never a key."""

from collections.abc import Sequence

from wingman.api import AuthBody, AuthView, CredentialView, Deleted, ModelInfo, ProviderView
from wingman.errors import NotFound
from wingman.runtime import Runtime
from wingman.server.handlers import Handlers

__all__ = ["provider_handlers"]


def provider_handlers(runtime: Runtime) -> Handlers:
    """List providers and models; configure them."""
    handlers = Handlers()
    providers, credentials = runtime.providers, runtime.credentials

    def describe(name: str) -> ProviderView:
        entry = providers.entry(name)
        return ProviderView(
            id=name,
            configured=credentials.configured(name),
            default_model=entry.default_model,
            key_variable=entry.key_variable,
            base_url_variable=entry.url_variable,
        )

    def auth() -> AuthView:
        return AuthView(
            {
                name: CredentialView(
                    "api_key", credentials.configured(name), credentials.place(name)
                )
                for name in providers.names()
                if providers.entry(name).access is not None
            }
        )

    @handlers.add
    async def list_providers() -> Sequence[ProviderView]:
        return [describe(name) for name in providers.names()]

    @handlers.add
    async def read_credentials() -> AuthView:
        return auth()

    @handlers.add
    async def store_credentials(body: AuthBody) -> AuthView:
        await credentials.put(body.providers)
        return auth()

    @handlers.add
    async def delete_credential(name: str) -> Deleted:
        await credentials.delete(name)
        return Deleted()

    @handlers.add
    async def read_provider(name: str) -> ProviderView:
        return describe(name)

    @handlers.add
    async def list_models(name: str) -> Sequence[ModelInfo]:
        return await runtime.models(name)

    @handlers.add
    async def read_model(name: str, model: str) -> ModelInfo:
        for info in await runtime.models(name):
            if info.id == model:
                return info
        raise NotFound("model", model)

    return handlers
