"""How a provider is called that may be anyone's: checked first, closed at the end."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from wingman import Agent
from wingman.providers import (
    Anthropic,
    Fallback,
    Finished,
    Keyless,
    Local,
    Ollama,
    Provider,
    Scripted,
    TellsWindow,
    TextDelta,
    close,
    context_window,
    require_provider,
)
from wingman.testing import check_provider

WINDOWS = {("scripted", "small"): 100, ("scripted", "large"): 1000, ("own", "own"): 7}


def window_of(provider: str, model: str) -> int | None:
    return WINDOWS.get((provider, model))


class Own:
    """A provider of a user's own, with what the protocol demands and no more."""

    id = model = "own"

    async def stream(self, request: Any, transport: Any) -> Any:
        yield TextDelta("a")
        yield Finished("end_turn")


class Former(Own):
    """One as the protocol was before."""

    async def stream(self, request: Any) -> Any:  # type: ignore[override]
        yield Finished("end_turn")


class ByName(Own):
    async def stream(self, request: Any, *, transport: Any) -> Any:  # type: ignore[override]
        yield Finished("end_turn")


class WithMore(Own):
    async def stream(self, request: Any, transport: Any, more: int = 0) -> Any:
        yield Finished("end_turn")


class WithAny(Own):
    async def stream(self, *anything: Any) -> Any:
        yield Finished("end_turn")


MAKERS: list[Callable[[Any], object]] = [
    lambda given: Agent("a", provider=given),
    lambda given: Fallback(Own(), given),
    require_provider,
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("given", [Scripted, Anthropic, Own])
def test_a_class_in_a_providers_place_is_refused_and_told_to_be_called(
    make: Callable[[Any], object], given: type
) -> None:
    name = given.__name__
    with pytest.raises(TypeError, match=rf"{name} is a class.*write {name}\(…\)"):
        make(given)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("given", [Former(), ByName()])
def test_a_stream_that_does_not_take_request_and_transport_is_refused(
    make: Callable[[Any], object], given: Provider
) -> None:
    with pytest.raises(TypeError, match=r"\.stream\(request.*takes request and transport"):
        make(given)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("given", ["anthropic", None, object()])
def test_what_has_no_stream_is_no_provider(make: Callable[[Any], object], given: object) -> None:
    with pytest.raises(TypeError, match=r"not a provider.*stream\(request, transport\)"):
        make(given)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("given", [Own(), WithMore(), WithAny(), Keyless(), Ollama("m")])
def test_what_can_be_called_is_taken(make: Callable[[Any], object], given: Provider) -> None:
    make(given)


async def test_the_suite_that_is_shipped_names_a_stream_of_the_former_form() -> None:
    with pytest.raises(AssertionError, match="takes request and transport"):
        await check_provider(Former)


# --- the context window ---------------------------------------------------------------------------


class Telling(Own):
    """Knows its window by itself."""

    def __init__(self, window: int | BaseException | None) -> None:
        self.window = window

    def context_window(self, window_of: object) -> int | None:
        if isinstance(self.window, BaseException):
            raise self.window
        return self.window


def test_the_window_of_a_provider_that_tells_none_is_that_of_its_model() -> None:
    assert not isinstance(Own(), TellsWindow)
    assert context_window(Own(), window_of) == 7
    assert context_window(Scripted([], model="small"), window_of) == 100
    assert context_window(Scripted([], model="unheard-of"), window_of) is None


def test_a_provider_that_tells_its_window_is_believed() -> None:
    assert context_window(Telling(9), window_of) == 9
    assert context_window(Telling(None), window_of) is None
    assert context_window(Local("x.gguf", context=4096), window_of) == 4096


@pytest.mark.parametrize("error", [KeyError("bug"), SystemExit(2), asyncio.CancelledError()])
def test_a_provider_that_cannot_tell_its_window_has_none_that_is_known(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> None:
        telling = Telling(error)
        assert context_window(telling, window_of) is None
        large = Scripted([], model="large")
        assert context_window(Fallback(large, telling), window_of) is None

    trio.run(ask)
    assert f"own cannot tell its window: {type(error).__name__}" in caplog.text


def test_a_fallbacks_window_is_the_largest_and_unknown_if_one_is() -> None:
    small, large, unknown = (Scripted([], model=m) for m in ("small", "large", "?"))
    assert context_window(Fallback(small, large), window_of) == 1000
    assert context_window(Fallback(small, large, unknown), window_of) is None
    assert context_window(Fallback(small, Fallback(small, Telling(5000))), window_of) == 5000


# --- the end of a stream --------------------------------------------------------------------------


async def unclosing(error: BaseException) -> Any:
    try:
        yield TextDelta("a")
        yield TextDelta("b")
    finally:
        raise error


@pytest.mark.parametrize("error", [KeyError("bug"), SystemExit(2), asyncio.CancelledError()])
async def test_what_closing_raises_is_logged_and_hides_nothing(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        parts = unclosing(error)
        try:
            await anext(parts)
            raise LookupError("the reader's")
        finally:
            await close(parts)

    with pytest.raises(LookupError, match="the reader's"):
        await leave()
    parts = unclosing(error)
    await anext(parts)
    await close(parts)
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 2
    assert all(f"does not close: {type(error).__name__}" in r.message for r in logged)


async def test_a_cancel_is_not_swallowed_by_closing(autojump_clock: MockClock) -> None:
    closed = []

    async def slow_to_close() -> Any:
        try:
            yield TextDelta("a")
        finally:
            with suppress(KeyError):
                await trio.sleep(1000)
            closed.append("never")

    with trio.move_on_after(1) as scope:
        parts = slow_to_close()
        await anext(parts)
        await close(parts)
        raise AssertionError("the cancel was swallowed")
    assert scope.cancelled_caught
    assert closed == []
