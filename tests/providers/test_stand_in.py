"""Whole runs against a server that we did not write: aimock speaks, over real sockets."""

from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any, Final

import httpx
import pytest
import trio

import stand_in
from wingman import Agent, Session, Text, Thinking, tool
from wingman.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRejected,
    ProviderStreamError,
)
from wingman.providers import (
    Anthropic,
    Gemini,
    Ollama,
    OpenAI,
    OpenAICompatible,
    Provider,
    Retry,
    TextDelta,
)

PROTOCOLS: Final[dict[str, Callable[[str], Provider]]] = {
    "anthropic": lambda url: Anthropic("m", api_key="sk-test", base_url=url),
    "openai chat": lambda url: OpenAI("m", api_key="sk-test", base_url=f"{url}/v1"),
    "openai responses": lambda url: OpenAI(
        "m", api_key="sk-test", base_url=f"{url}/v1", api="responses"
    ),
    "compatible": lambda url: OpenAICompatible("m", base_url=f"{url}/v1"),
    "gemini": lambda url: Gemini("m", api_key="sk-test", base_url=url),
    "ollama": lambda url: Ollama("m", base_url=url),
}


@tool
async def forecast(city: str, days: int = 1) -> str:
    """Weather forecast for a city."""
    await trio.lowlevel.checkpoint()
    return f"Rain in {city} for {days}."


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stand_in.running(list(PROTOCOLS), tmp_path_factory.mktemp("stand_in")) as url:
        yield url


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def provider(protocol: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Provider:
    monkeypatch.setattr(Retry, "backoff", lambda _self, _attempt: 0.01)
    return PROTOCOLS[protocol](url)


@pytest.fixture
def not_ollama(protocol: str) -> None:
    if protocol == "ollama":
        pytest.skip("the stand-in counts nothing for Ollama, and has another name for reasoning")


def session(provider: Provider) -> Session:
    return Session(
        Agent("Assistant", instructions="Be brief.", provider=provider, tools=[forecast])
    )


async def answer(provider: Provider, message: str) -> Any:
    with trio.fail_after(5):
        async with session(provider) as opened:
            return await opened.run(message)


async def events(provider: Provider, message: str) -> list[Any]:
    with trio.fail_after(5):
        async with session(provider) as opened, opened.run_stream(message) as stream:
            return [event async for event in stream]


async def asked(url: str) -> list[Any]:
    """The bodies of the requests so far, as the stand-in understood them: in OpenAI's form."""
    async with httpx.AsyncClient() as client:
        journal = (await client.get(f"{url}/__aimock/journal")).json()
    return [entry["body"] for entry in journal]


async def test_a_run_has_the_text_and_the_reason(provider):
    result = await answer(provider, "speak")
    assert (result.response, result.stop_reason, result.steps) == ("It will rain.", "end_turn", 1)


async def test_text_comes_in_pieces_and_characters_are_never_cut(provider):
    pieces = [event.text for event in await events(provider, "speak long") if type(event) is Text]
    assert len(pieces) > 100
    assert "".join(pieces) == stand_in.LONG


@pytest.mark.usefixtures("not_ollama")
async def test_reasoning_is_told_from_the_text(provider):
    seen = await events(provider, "think")
    assert "".join(e.text for e in seen if type(e) is Text) == "It will rain."
    assert "".join(e.text for e in seen if type(e) is Thinking) == "Clouds, and so on."


@pytest.mark.usefixtures("not_ollama")
async def test_the_usage_is_what_the_server_counted(provider):
    result = await answer(provider, "count")
    assert (result.usage.input_tokens, result.usage.output_tokens) == stand_in.USAGE


async def test_a_tool_is_called_and_its_result_answers_the_call(provider, url):
    result = await answer(provider, "one call")
    assert result.response == "It will rain."
    assert [(call.input, call.output) for call in result.tool_calls] == [
        ({"city": "Bern"}, "Rain in Bern for 1.")
    ]
    called, answered = (await asked(url))[-1]["messages"][-2:]
    assert answered["role"] == "tool"
    assert "Rain in Bern for 1." in answered["content"]  # of Gemini's it shows the JSON
    if "tool_call_id" in answered:
        assert answered["tool_call_id"] == called["tool_calls"][0]["id"]


async def test_parallel_calls_then_another_each_have_their_result(provider, protocol, url):
    result = await answer(provider, f"two calls {protocol}")
    assert (result.response, result.steps) == ("It will rain.", 3)
    assert [call.output for call in result.tool_calls] == [
        "Rain in Bern for 1.",
        "Rain in Zürich for 2.",
        "Rain in Genève for 1.",
    ]
    assert len({call.id for call in result.tool_calls}) == 3
    messages = (await asked(url))[-1]["messages"]
    answers = [message["content"] for message in messages if message["role"] == "tool"]
    assert len(answers) == 3
    for said, call in zip(answers, result.tool_calls, strict=True):
        assert call.output in said


async def test_the_history_goes_back_as_a_conversation(provider, url):
    with trio.fail_after(5):
        async with session(provider) as opened:
            await opened.run("one call")
            await opened.run("speak")
    messages = (await asked(url))[-1]["messages"]
    roles = [message["role"] for message in messages if message["role"] != "system"]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[0]["role"] == "system"


async def test_too_many_requests_are_asked_again(provider, protocol):
    assert (await answer(provider, f"busy {protocol}")).response == "It will rain."


async def test_a_server_that_is_ill_is_asked_until_it_is_well(provider, protocol):
    assert (await answer(provider, f"ill {protocol}")).response == "It will rain."


@pytest.mark.parametrize(
    ("message", "kind", "status"),
    [
        ("always ill", ProviderError, 500),
        ("who am I", ProviderAuthError, 401),
        ("nonsense", ProviderRejected, 400),
    ],
)
async def test_an_error_says_what_the_server_said(provider, message, kind, status):
    with pytest.raises(kind, match=f"Stand-in says {status}") as raised:
        await answer(provider, message)
    assert type(raised.value) is kind
    assert raised.value.status == status
    assert raised.value.error_type


async def test_a_connection_that_breaks_in_the_middle_is_an_error_and_the_text_is_kept(provider):
    with trio.fail_after(5):
        async with session(provider) as opened:
            with pytest.raises(ProviderStreamError):
                await opened.run("break off")
            history = await opened.history()
            assert (await opened.run("speak")).response == "It will rain."
    kept = "".join(message.text for message in history if message.role == "assistant")
    assert kept == stand_in.LONG[: len(kept)]


async def test_a_first_byte_that_is_slow_is_waited_for(provider):
    started = trio.current_time()
    assert (await answer(provider, "slowly")).response == "It will rain."
    assert trio.current_time() - started > 0.25


async def test_a_cancel_in_the_middle_of_its_text_leaves_the_session_ready(provider):
    with trio.fail_after(5):
        async with session(provider) as opened:
            with trio.CancelScope() as scope:
                async with opened.run_stream("speak long") as stream:
                    async for event in stream:
                        if type(event) is Text:
                            scope.cancel()
            assert scope.cancelled_caught
            assert (await opened.run("speak")).response == "It will rain."


async def test_a_reader_that_leaves_early_leaves_no_socket(provider, transport, ask):
    async with aclosing(provider.stream(ask("speak long", tools=()), transport)) as parts:
        async for part in parts:
            if isinstance(part, TextDelta):
                break
    # What had come in full is read to its end, and its connection kept: none is in use.
    connections = transport._connections
    assert not connections.taken
    pools = [connection.transport._pool for connection in connections.idle]
    assert all(connection.is_idle() for pool in pools for connection in pool.connections)
