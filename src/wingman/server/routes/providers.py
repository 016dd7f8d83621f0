"""/provider: the providers, their models, and how they are reached. Never a key."""

from typing import Any

import msgspec
from quart import Blueprint, Response

from wingman.errors import NotFound
from wingman.runtime import CredentialFields, Runtime
from wingman.server.exchange import body, json_response

__all__ = ["provider_routes"]


class AuthBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credentials by provider."""

    providers: dict[str, CredentialFields]


def provider_routes(runtime: Runtime) -> Blueprint:
    """List providers and models; configure them."""
    routes = Blueprint("providers", __name__)
    providers, credentials = runtime.providers, runtime.credentials

    def describe(name: str) -> dict[str, Any]:
        entry = providers.entry(name)
        return {
            "id": name,
            "configured": credentials.configured(name),
            "default_model": entry.default_model,
            "key_variable": entry.key_variable,
            "base_url_variable": entry.url_variable,
        }

    def auth() -> dict[str, Any]:
        return {
            "providers": {
                name: {
                    "type": "api_key",
                    "configured": credentials.configured(name),
                    "base_url": credentials.place(name),
                }
                for name in providers.names()
                if providers.entry(name).access is not None
            }
        }

    @routes.get("/provider")
    async def list_all() -> Response:
        return json_response([describe(name) for name in providers.names()])

    @routes.get("/provider/auth")
    async def read_auth() -> Response:
        return json_response(auth())

    @routes.put("/provider/auth")
    async def put_auth() -> Response:
        fields = await body(AuthBody)
        await credentials.put(fields.providers)
        return json_response(auth())

    @routes.delete("/provider/auth/<name>")
    async def delete_auth(name: str) -> Response:
        await credentials.delete(name)
        return json_response({"status": "deleted"})

    @routes.get("/provider/<name>")
    async def read(name: str) -> Response:
        return json_response(describe(name))

    @routes.get("/provider/<name>/models")
    async def models(name: str) -> Response:
        return json_response(await runtime.models(name))

    # A model's name may have slashes in it.
    @routes.get("/provider/<name>/models/<path:model>")
    async def model(name: str, model: str) -> Response:
        for info in await runtime.models(name):
            if info.id == model:
                return json_response(info)
        raise NotFound("model", model)

    return routes
