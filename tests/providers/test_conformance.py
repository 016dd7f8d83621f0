"""What every provider owes the run loop, over real sockets where there are any."""

import gc
from collections.abc import Callable
from contextlib import aclosing

import attrs
import pytest
import trio

from provider_wires import (
    RAIN,
    WEATHER,
    anthropic_text,
    anthropic_tools,
    chunks,
    gemini_text,
    gemini_tools,
    ollama_text,
    ollama_tools,
    openai_text,
    openai_tools,
    receive_request,
    response_head,
    responses_text,
    responses_tools,
)
from wingman.conversation import Message, ToolResultBlock, ToolUseBlock
from wingman.errors import ProviderStreamError
from wingman.providers import (
    Anthropic,
    Delay,
    Finished,
    Gemini,
    Keyless,
    Ollama,
    OpenAI,
    OpenAICompatible,
    Provider,
    Scripted,
    TextDelta,
    ToolCalls,
    Transport,
    UsageUpdate,
)
from wingman.testing import check_provider


@attrs.frozen
class Wire:
    """A provider that speaks HTTP, and what its server answers."""

    make: Callable[[str], Provider]
    text: bytes
    tools: bytes


WIRES = {
    "anthropic": Wire(
        lambda url: Anthropic("m", api_key="sk-secret", base_url=url),
        anthropic_text(),
        anthropic_tools(),
    ),
    "openai": Wire(
        lambda url: OpenAI("m", api_key="sk-secret", base_url=url, api="responses"),
        responses_text(),
        responses_tools(),
    ),
    "openai elsewhere": Wire(
        lambda url: OpenAI("m", api_key="sk-secret", base_url=url), openai_text(), openai_tools()
    ),
    "openai-compatible": Wire(
        lambda url: OpenAICompatible("m", base_url=url), openai_text(), openai_tools()
    ),
    "gemini": Wire(
        lambda url: Gemini("m", api_key="sk-secret", base_url=url), gemini_text(), gemini_tools()
    ),
    "ollama": Wire(lambda url: Ollama("m", base_url=url), ollama_text(), ollama_tools()),
}

LOCAL = {
    "scripted": (
        lambda: Scripted(["".join(RAIN)], piece_size=8),
        lambda: Scripted([ToolCalls(*WEATHER)] * 2),
        "Rain?",
    ),
    "keyless": (
        Keyless,
        Keyless,
        '!forecast Bern\n!forecast {"city": "Basel", "days": 2}',
    ),
}

ALL = [*WIRES, *LOCAL]


@pytest.fixture
def provider_of(serve, ask):
    """Make a provider that answers with text or with tool calls, and a request for it."""

    async def make(name: str, kind: str):
        if name in LOCAL:
            text, tools, task = LOCAL[name]
            if kind == "text":
                return text(), ask("Rain?")
            return tools(), ask(task)
        body = getattr(WIRES[name], kind)

        async def handler(stream):
            while True:
                try:
                    await receive_request(stream)
                    await stream.send_all(response_head() + chunks([body[:40], body[40:]]))
                except trio.BrokenResourceError:
                    return

        return WIRES[name].make(await serve(handler)), ask("Rain?")

    return make


async def drain(provider, request, transport):
    async with aclosing(provider.stream(request, transport)) as parts:
        return [part async for part in parts]


@pytest.mark.parametrize("name", ALL)
async def test_text_comes_in_pieces_with_usage_and_finished_last(name, provider_of, transport):
    provider, request = await provider_of(name, "text")
    parts = await drain(provider, request, transport)
    pieces = [part.text for part in parts if isinstance(part, TextDelta)]
    usage = [part.usage for part in parts if isinstance(part, UsageUpdate)][-1]
    assert len(pieces) > 1
    if name != "keyless":
        assert "".join(pieces) == "It will rain."
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert parts[-1] == Finished("end_turn")
    assert sum(isinstance(part, Finished) for part in parts) == 1


@pytest.mark.parametrize("name", ALL)
async def test_parallel_tool_calls_come_whole_in_order_with_distinct_ids(
    name, provider_of, transport
):
    provider, request = await provider_of(name, "tools")
    parts = await drain(provider, request, transport)
    calls = [part for part in parts if isinstance(part, ToolUseBlock)]
    assert [(call.name, call.input) for call in calls] == WEATHER
    assert all(call.malformed is None for call in calls)
    assert len({call.id for call in calls}) == 2
    assert parts[-1] == Finished("tool_use")


@pytest.mark.parametrize("name", ALL)
async def test_tool_ids_never_repeat_within_a_history(name, provider_of, transport):
    provider, request = await provider_of(name, "tools")
    calls = [p for p in await drain(provider, request, transport) if isinstance(p, ToolUseBlock)]
    results = tuple(ToolResultBlock(call.id, "rain", False) for call in calls)
    history = [
        *request.messages,
        Message("assistant", tuple(calls)),
        Message("user", results),
        Message("assistant", ()),
        request.messages[0],
    ]
    again = await drain(provider, attrs.evolve(request, messages=history), transport)
    ids = {part.id for part in again if isinstance(part, ToolUseBlock)}
    assert len(ids) == 2
    assert ids.isdisjoint(call.id for call in calls)


@pytest.mark.parametrize("name", ALL)
async def test_a_provider_fits_the_protocol_and_its_repr_shows_no_key(name, provider_of):
    provider, _ = await provider_of(name, "text")
    assert isinstance(provider, Provider)
    assert provider.id
    assert provider.model
    assert "sk-secret" not in repr(provider)


@pytest.mark.parametrize("kind", ["text", "tools"])
@pytest.mark.parametrize("name", WIRES)
async def test_the_suite_that_is_shipped_passes_over_a_real_socket(
    name, kind, provider_of, transport
):
    provider, request = await provider_of(name, kind)
    await check_provider(
        lambda: provider,
        message="Rain?",
        tools=request.tools,
        transport=transport,
        cancels=40,
        seconds=5,
    )


@pytest.fixture
def endless(serve):
    """A server that sends a body's beginning, then nothing; it tells when its client is gone."""

    async def start(body: bytes, gone: trio.Event) -> str:
        async def handler(stream):
            await receive_request(stream)
            await stream.send_all(response_head() + chunks([body], end=False))
            while await stream.receive_some():
                pass
            gone.set()

        return await serve(handler)

    return start


def beginning(name: str) -> bytes:
    """All of the text answer up to and with its first piece of text."""
    text = WIRES[name].text
    mark = b"\n" if name == "ollama" else b"\n\n"
    return text[: text.index(mark, text.index(b"It will ")) + len(mark)]


def nothing_open(transport) -> bool:
    connections = transport._connections
    idle = [connection.transport._pool.connections for connection in connections.idle]
    return not connections.taken and not any(idle)


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("way", ["cancelled", "raises", "breaks"])
async def test_however_its_reader_ends_the_socket_is_closed_at_once(
    name, way, endless, transport, ask
):
    gone = trio.Event()
    provider = WIRES[name].make(await endless(beginning(name), gone))

    async def read() -> None:
        async with aclosing(provider.stream(ask("Rain?"), transport)) as parts:
            async for part in parts:
                if isinstance(part, TextDelta):
                    if way == "raises":
                        raise LookupError
                    if way == "breaks":
                        break
                    scope.cancel()

    with trio.fail_after(5), trio.CancelScope() as scope:
        if way == "raises":
            with pytest.raises(LookupError):
                await read()
        else:
            await read()
    assert scope.cancelled_caught == (way == "cancelled")
    assert nothing_open(transport)
    with trio.fail_after(5):
        await gone.wait()
    gc.collect()  # what was left to the collector would warn here


@pytest.mark.parametrize("name", WIRES)
async def test_a_reader_that_is_cancelled_before_the_first_byte_leaves_nothing_open(
    name, serve, transport, ask
):
    asked, gone = trio.Event(), trio.Event()

    async def handler(stream):
        await receive_request(stream)
        asked.set()
        assert await stream.receive_some() == b""
        gone.set()

    provider = WIRES[name].make(await serve(handler))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain, provider, ask("Rain?"), transport)
            await asked.wait()
            nursery.cancel_scope.cancel()
        await gone.wait()
    assert nothing_open(transport)


@pytest.mark.parametrize("name", ["scripted", "keyless"])
async def test_a_double_is_cancelled_in_the_middle_of_its_text(name, autojump_clock, ask):
    text = Delay("word " * 10, first=1, each=1)
    provider = Scripted([text]) if name == "scripted" else Keyless(piece_delay=1)
    pieces = []
    with trio.move_on_after(2.5):
        async with aclosing(provider.stream(ask(), Transport())) as parts:
            async for part in parts:
                pieces.append(part)  # noqa: PERF401  a comprehension would lose them all
    assert len(pieces) == 2
    assert trio.current_time() == pytest.approx(2.5, abs=0.01)


@pytest.mark.parametrize("name", WIRES)
async def test_a_stream_that_ends_too_early_is_broken(name, serve, transport, ask):
    async def handler(stream):
        await receive_request(stream)
        await stream.send_all(response_head() + chunks([beginning(name)]))

    provider = WIRES[name].make(await serve(handler))
    with pytest.raises(ProviderStreamError, match="ended before"):
        await drain(provider, ask("Rain?"), transport)


@pytest.mark.parametrize("name", WIRES)
async def test_a_connection_that_breaks_in_the_middle_is_a_broken_stream(
    name, serve, transport, ask
):
    async def handler(stream):
        await receive_request(stream)
        await stream.send_all(response_head() + chunks([beginning(name)], end=False))

    provider = WIRES[name].make(await serve(handler))
    with pytest.raises(ProviderStreamError, match="connection broke"):
        await drain(provider, ask("Rain?"), transport)


@pytest.mark.parametrize("name", WIRES)
async def test_a_stream_read_to_its_end_leaves_its_connection_for_the_next(
    name, serve, transport, ask
):
    connections = 0

    async def handler(stream):
        nonlocal connections
        connections += 1
        for _ in range(3):
            await receive_request(stream)
            await stream.send_all(response_head() + chunks([WIRES[name].text]))
        await stream.receive_some()

    provider = WIRES[name].make(await serve(handler))
    for _ in range(3):
        await drain(provider, ask("Rain?"), transport)
    assert connections == 1
