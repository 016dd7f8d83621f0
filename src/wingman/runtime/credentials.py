"""Credentials: how each provider is reached. A key goes in, and never comes out again."""

from collections.abc import Callable, Mapping

from wingman.errors import InvalidRequest, NotFound, ProviderNotConfigured
from wingman.providers import ProviderRegistry
from wingman.store import Credential, CredentialDeleted, CredentialSaved, Store
from wingman.under_trio import require_trio

__all__ = ["Credentials"]

_NONE = Credential()


class Credentials:
    """The credentials of a runtime, by provider; what is not here may be in the environment."""

    def __init__(self, store: Store, providers: ProviderRegistry) -> None:
        self._store = store
        self._providers = providers
        self._credentials: dict[str, Credential] = {}
        self._listeners: list[Callable[[], None]] = []

    async def load(self) -> None:
        """Read them; once, when the runtime opens."""
        require_trio()
        self._credentials = dict(await self._store.credentials())

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever one changes."""
        self._listeners.append(listener)

    def get(self, provider: str) -> Credential:
        """The stored credential of a provider; an empty one if there is none."""
        return self._credentials.get(provider, _NONE)

    def configured(self, provider: str) -> bool:
        """Whether the provider can be asked, by what is stored or by the environment."""
        credential = self.get(provider)
        return self._providers.entry(provider).configured(credential.key, credential.base_url)

    def require(self, provider: str) -> None:
        """Raise `ProviderNotConfigured`, saying how to configure it, if it is not."""
        if self.configured(provider):
            return
        entry = self._providers.entry(provider)
        field, variable = "key", entry.key_variable
        if entry.access is not None and entry.access.base_url is None:
            field, variable = "base_url", entry.url_variable  # it has no home of its own
        environment = f"set {variable} in the server's environment, or " if variable else ""
        raise ProviderNotConfigured(
            f"The provider {provider!r} is not configured: {environment}PUT /provider/auth "
            f'{{"providers": {{"{provider}": {{"type": "api_key", "{field}": "…"}}}}}}.'
        )

    async def put(self, credentials: Mapping[str, Credential]) -> None:
        """Store some; they are durable when this returns. The others stay as they are."""
        require_trio()
        for name, credential in credentials.items():
            self._providers.check(name, at="$.providers")
            path = f"`$.providers.{name}`"
            if not (credential.key or credential.base_url):
                raise InvalidRequest(f"A credential needs a key or a base_url - at {path}")
            if (access := self._providers.entry(name).access) is not None:
                try:
                    access.endpoint(credential.key, credential.base_url)
                except ProviderNotConfigured as error:  # it would never be of use
                    raise InvalidRequest(f"{error.message} - at {path}") from error
        changes = [CredentialSaved(name, credential) for name, credential in credentials.items()]
        if changes:
            await self._store.write(*changes).wait()
        self._credentials.update(credentials)
        self._changed()

    async def delete(self, provider: str) -> None:
        """Remove a stored credential; raises `NotFound` if there is none."""
        require_trio()
        if provider not in self._credentials:
            raise NotFound("credential", provider)
        await self._store.write(CredentialDeleted(provider)).wait()
        self._credentials.pop(provider, None)
        self._changed()

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()
