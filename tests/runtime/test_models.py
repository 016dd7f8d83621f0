"""The models of a provider: asked for once in a while, and again when a credential changes."""

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from wingman import Runtime
from wingman.api import Credential
from wingman.errors import NotFound, ProviderAuthError, ProviderError
from wingman.providers import ModelInfo, ProviderRegistry, Transport

KNOWN = [ModelInfo("known", "Known", 1000)]


@attrs.define
class Listing:
    """A provider, and its factory, whose server lists the models that it is told to."""

    answers: list[Any]
    asked: int = 0
    key: str | None = None
    id: str = "listing"
    model: str = ""
    seconds: float = 0.0

    def __call__(self, model: str, *, api_key: str | None, **_options: Any) -> "Listing":
        self.key = api_key
        return self

    async def models(self, transport: Transport) -> Sequence[ModelInfo]:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        await trio.sleep(self.seconds)
        if isinstance(answer, Exception):
            raise answer
        return [ModelInfo(answer, answer, 500)]

    def stream(self, request: object, transport: object) -> Any:
        raise AssertionError


def runtime_with(provider: Listing) -> Runtime:
    registry = ProviderRegistry()
    registry.register("listing", provider, known_models=KNOWN)
    return Runtime(providers=registry)


async def ids(runtime: Runtime) -> list[str]:
    return [model.id for model in await runtime.models("listing")]


async def test_the_provider_is_asked_again_after_five_minutes(autojump_clock: MockClock) -> None:
    provider = Listing(["a", "b"])
    async with runtime_with(provider) as runtime:
        assert await ids(runtime) == await ids(runtime) == ["a"]
        assert provider.asked == 1
        await trio.sleep(301)
        assert await ids(runtime) == ["b"]


async def test_the_provider_is_asked_again_when_a_credential_changes() -> None:
    provider = Listing(["a", "b", "c"])
    async with runtime_with(provider) as runtime:
        assert await ids(runtime) == ["a"]
        await runtime.credentials.put({"listing": Credential(key="k")})
        assert await ids(runtime) == ["b"]
        assert provider.key == "k"
        await runtime.credentials.delete("listing")
        assert await ids(runtime) == ["c"]


async def test_an_answer_to_the_old_key_is_not_kept(autojump_clock: MockClock) -> None:
    provider = Listing(["old", "new"], seconds=5)
    async with runtime_with(provider) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(ids, runtime)
        await trio.sleep(1)
        await runtime.credentials.put({"listing": Credential(key="k")})
        await trio.sleep(10)
        assert await ids(runtime) == ["new"]


async def test_where_it_fails_the_catalogue_answers_and_it_is_asked_the_next_time() -> None:
    down = ProviderError("down", provider="listing")
    async with runtime_with(Listing([down, "a"])) as runtime:
        assert await ids(runtime) == ["known"]
        assert await ids(runtime) == ["a"]


async def test_a_key_that_is_refused_is_told() -> None:
    refused = ProviderAuthError("no", provider="listing")
    async with runtime_with(Listing([refused, "a"])) as runtime:
        with pytest.raises(ProviderAuthError):
            await runtime.models("listing")
        assert await ids(runtime) == ["a"]
        with pytest.raises(NotFound):
            await runtime.models("none")


async def test_a_window_is_known_from_the_provider_or_else_from_the_catalogue() -> None:
    async with runtime_with(Listing(["a"])) as runtime:
        window_of = runtime._root.services.model.window_of
        assert window_of("listing", "known") == 1000
        assert window_of("listing", "a") is None
        await runtime.models("listing")
        assert window_of("listing", "a") == 500
        assert window_of("listing", "known") == 1000
        assert window_of("none", "a") is None
