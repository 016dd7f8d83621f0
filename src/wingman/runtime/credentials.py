"""Credentials: how each provider is reached. A key goes in, and never comes out again."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import trio
from msgspec import UNSET

from wingman.api import Credential, CredentialFields
from wingman.errors import (
    InvalidRequest,
    NotFound,
    ProviderNotConfigured,
    StoreError,
    StoreUnavailable,
)
from wingman.providers import ProviderEntry, ProviderRegistry
from wingman.runtime.base_url import check_base_url
from wingman.store import CredentialDeleted, CredentialSaved, Store
from wingman.telemetry import log_event
from wingman.under_trio import require_trio

__all__ = ["Credentials"]

logger: Final = logging.getLogger("wingman.runtime")

_NONE = Credential()

# How long the store may take to record a change.
_SAVE_SECONDS: Final = 30.0


class Credentials:
    """The credentials of a runtime, by provider; what is not here may be in the environment."""

    def __init__(self, store: Store, providers: ProviderRegistry) -> None:
        self._store = store
        self._providers = providers
        self._credentials: dict[str, Credential] = {}
        self._listeners: list[Callable[[], None]] = []
        self._changes = trio.Lock()

    async def load(self) -> None:
        """Read them; once, when the runtime opens."""
        require_trio()
        self._credentials = dict(await self._store.credentials())

    async def refresh(self) -> None:
        """Know what other nodes have changed."""
        require_trio()
        async with self._changes:
            credentials = dict(await self._store.credentials())
            if credentials != self._credentials:
                self._credentials = credentials
                for listener in self._listeners:
                    listener()

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

    def place(self, provider: str) -> str | None:
        """Where the provider's key goes: its base URL, without what may be secret in it.

        None for a provider that lives in this process, or has no base URL yet.
        """
        access = self._providers.entry(provider).access
        return None if access is None else access.shown(self.get(provider).base_url)

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

    async def put(self, changes: Mapping[str, Credential | CredentialFields]) -> None:
        """Store some; they are durable when this returns. The others stay as they are.

        A new key goes where the old one went, unless a base URL comes with it; what is None in a
        `Credential` is not given, and in `CredentialFields` is removed. No key ever goes to another
        place than it was given for: where the base URL alone would change, this raises
        `InvalidRequest`.
        """
        require_trio()
        async with self._changes:
            credentials = {
                name: self._changed(self._providers.check(name, at="$.providers"), change)
                for name, change in changes.items()
            }
            if credentials:
                saved = [CredentialSaved(name, each) for name, each in credentials.items()]
                written = self._store.write(*saved)
                written.then(partial(self._saved, credentials))
                await self._recorded(written.wait)
            else:
                await trio.lowlevel.checkpoint()

    async def delete(self, provider: str) -> None:
        """Remove a stored credential; raises `NotFound` if there is none."""
        require_trio()
        async with self._changes:
            if provider not in self._credentials:
                raise NotFound("credential", provider)
            written = self._store.write(CredentialDeleted(provider))
            written.then(partial(self._saved, {provider: None}))
            await self._recorded(written.wait)

    def _changed(self, entry: ProviderEntry, change: Credential | CredentialFields) -> Credential:
        """What a change makes of the stored credential; raises `InvalidRequest`."""
        path = f"`$.providers.{entry.name}`"
        if isinstance(change, Credential):
            key, base_url = change.key, change.base_url
            change = CredentialFields(
                key=UNSET if key is None else key, base_url=UNSET if base_url is None else base_url
            )
        if change.key is UNSET and change.base_url is UNSET:
            raise InvalidRequest(f"A credential needs a key or a base_url - at {path}")
        if change.base_url == "":
            raise InvalidRequest(
                "The base_url is empty: leave it out to keep the one that is stored, or give null "
                f"for the provider's own - at {path}"
            )
        stored, access = self.get(entry.name), entry.access
        base_url = stored.base_url if change.base_url is UNSET else change.base_url
        key = stored.key if change.key is UNSET else change.key
        if not (key or base_url) or change.key == "":
            raise InvalidRequest(
                f"A credential needs a key or a base_url; to remove it, DELETE "
                f"/provider/auth/{entry.name} - at {path}"
            )
        if access is not None:
            try:
                place = access.endpoint(key, base_url).base_url
                if change.base_url:
                    check_base_url(place, f"$.providers.{entry.name}.base_url")
                kept = change.key is UNSET and stored.key is not None
                if kept and place != access.endpoint(key, stored.base_url).base_url:
                    raise InvalidRequest(
                        f"The stored key is for {access.shown(stored.base_url)}, and goes nowhere "
                        "else: give the key together with its base_url, or null for none "
                        f"- at {path}"
                    )
            except ProviderNotConfigured as error:  # it would never be of use
                raise InvalidRequest(f"{error.message} - at {path}") from error
        return Credential(key=key, base_url=base_url)

    async def _recorded(self, wait: Callable[[], Awaitable[None]]) -> None:
        # Shielded: the next change begins from what this one has made of it.
        with trio.move_on_after(_SAVE_SECONDS, shield=True):
            await wait()
            return
        raise StoreUnavailable(
            f"The credentials are not recorded yet, after {_SAVE_SECONDS:g} s: look at GET "
            "/provider/auth before you send them again."
        )

    def _saved(
        self, credentials: Mapping[str, Credential | None], failure: StoreError | None
    ) -> None:
        if failure is not None:
            return
        for name, credential in credentials.items():
            if credential is None:
                self._credentials.pop(name, None)
            else:
                self._credentials[name] = credential
            event = "a credential was removed" if credential is None else "a credential was stored"
            log_event(logger, logging.INFO, event, provider=name, base_url=self.place(name))
        for listener in self._listeners:
            listener()
