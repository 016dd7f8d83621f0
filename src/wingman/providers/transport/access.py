"""Where a provider lives, and the key that may be sent there.

A key belongs to a place. What is given together (a credential's key and base URL, or the
environment's) stays together: a key from the environment is never sent to a base URL that came
from elsewhere, unless it is the very place that the key is for.
"""

import os
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import attrs

from wingman.errors import ProviderNotConfigured

__all__ = ["Access", "Endpoint"]

_KEY_CHARACTERS: Final = frozenset(map(chr, range(0x21, 0x7F)))


@attrs.frozen
class Endpoint:
    """A base URL without a slash at its end, and the key for it."""

    base_url: str
    key: str | None = attrs.field(default=None, repr=False)


def _as_given(base_url: str) -> str:
    if base_url and not base_url.lower().startswith(("http://", "https://")):
        raise ValueError("it begins with http:// or https://")
    return base_url


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=place, query="", fragment=""))


@attrs.frozen
class Access:
    """How one provider is reached: its defaults, and the environment variables it looks at.

    `base_url` is None for a provider that has no home of its own. `key_variable` is None for one
    that has no keys; `second_key_variable` is looked at if that one is empty. `key_optional` says
    of which places no key is needed. `normalise` makes a URL of what people write.
    """

    provider: str
    base_url: str | None
    url_variable: str
    key_variable: str | None = None
    second_key_variable: str | None = None
    key_optional: Callable[[str], bool] = attrs.field(default=lambda _: False, repr=False)
    normalise: Callable[[str], str] = attrs.field(default=_as_given, repr=False)

    def endpoint(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> Endpoint:
        """Where to go and with what key; raises `ProviderNotConfigured` if either is lacking."""
        home = self._url(environment.get(self.url_variable) or self.base_url or "")
        url = self._url(base_url) if base_url else home
        if not url:
            how = f"{self.provider} has no base URL: set {self.url_variable}=… in the environment"
            raise ProviderNotConfigured(
                f"{how}, or PUT /provider/auth, or give base_url=….", f"{how}."
            )
        key = (api_key or "").strip() or (self._key(environment) if url == home else None)
        if key:
            return Endpoint(url, self._checked(key))
        if self.key_variable is not None and not self.key_optional(url):
            raise self._without_key(url, home)
        return Endpoint(url)

    def shown(
        self, base_url: str | None = None, environment: Mapping[str, str] = os.environ
    ) -> str | None:
        """The base URL that is gone to, without a password or a query that may be in it; None if
        there is none."""
        try:
            url = self._url(base_url or environment.get(self.url_variable) or self.base_url or "")
        except ProviderNotConfigured:
            return None
        return _without_secrets(url) or None

    def _key(self, environment: Mapping[str, str]) -> str | None:
        variables = (self.key_variable, self.second_key_variable)
        return next(filter(None, (environment.get(v, "").strip() for v in variables if v)), None)

    def _url(self, url: str) -> str:
        try:
            return self.normalise(url.strip()).rstrip("/")
        except ValueError as error:
            # Not quoted: it may be a key in the wrong place.
            fact = f"The base URL for {self.provider} is no URL: {error}"
            by_environment = f"{fact}. Look at {self.url_variable} in the environment."
            raise ProviderNotConfigured(f"{fact}.", by_environment) from error

    def _checked(self, key: str) -> str:
        # An HTTP library that finds such a header malformed would quote it in its error.
        if not _KEY_CHARACTERS.issuperset(key):
            fact = (
                f"The key for {self.provider} has characters that no key has, such as a space "
                "or a line break within it"
            )
            by_environment = f"{fact}: look at {self.key_variable} in the environment."
            raise ProviderNotConfigured(f"{fact}: give it again.", by_environment)
        return key

    def _without_key(self, url: str, home: str) -> ProviderNotConfigured:
        if url == home:
            how = f"{self.provider} has no key: set {self.key_variable}=… in the environment"
            return ProviderNotConfigured(f"{how}, or PUT /provider/auth.", f"{how}.")
        return ProviderNotConfigured(
            f"{self.provider} has no key for {_without_secrets(url)}: one in {self.key_variable} "
            f"is only ever sent to {_without_secrets(home)}. Give the key together with its "
            "base URL: PUT /provider/auth, or api_key=… beside base_url=…."
        )
