"""What adapters keep of a history: what is sent is what a fresh encoding would send, byte for byte.

The histories are those of `provider_histories.py`: images, tools, calls that were cut, turns of one
role, reasoning of any provider.
"""

import gc
from collections.abc import Callable, Sequence
from contextlib import suppress

import attrs
import httpx
import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_histories import TOOLS, histories
from provider_wires import anthropic_block, anthropic_end, sse
from wingman import Agent, Runtime, tool
from wingman.conversation import (
    ImageBlock,
    Message,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
    Withheld,
)
from wingman.errors import ProviderError
from wingman.providers import (
    Anthropic,
    Fallback,
    Gemini,
    Kept,
    Ollama,
    OpenAI,
    OpenAICompatible,
    Provider,
    Request,
    Retry,
    Scripted,
    Shelf,
    Transport,
)
from wingman.providers.anthropic import anthropic_body
from wingman.providers.gemini import gemini_body
from wingman.providers.ollama import ollama_body
from wingman.providers.openai import chat_body, responses_body
from wingman.run import Shown
from wingman.run.context import characters_of, request_of
from wingman.run.history import alternate, repair
from wingman.run.sendable import sendable

PLACE = "http://model.test"
LARGE = ImageBlock("image/png", "x" * 400_000, note="small")
PROVIDERS: dict[str, tuple[Provider, Callable[[Request], object]]] = {
    "anthropic": (Anthropic("m", api_key="k", base_url=PLACE), lambda r: anthropic_body(r, "m")),
    "responses": (
        OpenAI("gpt-5", api_key="k", base_url=PLACE, api="responses"),
        lambda r: responses_body(r, "gpt-5"),
    ),
    "chat": (
        OpenAICompatible("m", base_url=PLACE),
        lambda r: chat_body(r, "m", "openai-compatible"),
    ),
    "mistral": (
        OpenAICompatible("mistral-large", base_url=PLACE),
        lambda r: chat_body(r, "mistral-large", "openai-compatible"),
    ),
    "gemini": (
        Gemini("gemini-3-pro", api_key="k", base_url=PLACE),
        lambda r: gemini_body(r, "gemini-3-pro"),
    ),
    "ollama": (Ollama("m", base_url=PLACE), lambda r: ollama_body(r, "m")),
}


class Recording(httpx.AsyncBaseTransport):
    """Takes the network's place, and keeps the last body."""

    body = b""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        self.body = b"".join([piece async for piece in request.stream])
        assert len(self.body) == int(request.headers["content-length"])
        return httpx.Response(400, stream=httpx.ByteStream(b""))


async def sent(provider: Provider, request: Request) -> bytes:
    network = Recording()
    async with Transport(over=network, retry=Retry(attempts=1)) as transport:
        parts = provider.stream(request, transport)
        with pytest.raises(Exception, match="refused"):
            async for _ in parts:
                pass
        await parts.aclose()
    return network.body


def ask(messages: Sequence[Message], kept: Kept | None = None, tools: int = 99) -> Request:
    return Request(messages, "Be brief.", TOOLS[:tools], kept=kept)


def ends(history: Sequence[Message]) -> list[int]:
    """Where a request may be made: after what the user says."""
    return [n for n, message in enumerate(history, 1) if message.role == "user"]


@settings(deadline=None, max_examples=60)
@given(history=histories(), order=st.lists(st.sampled_from(sorted(PROVIDERS)), min_size=1))
def test_a_history_that_grows_is_sent_as_if_it_were_written_anew(history, order):
    async def grow() -> None:
        kept = Kept(Shelf())
        whole = alternate(list(repair(history)))
        for number, end in enumerate(ends(whole)):
            provider, fresh = PROVIDERS[order[number % len(order)]]
            request = ask(whole[:end], kept)
            assert await sent(provider, request) == msgspec.json.encode(fresh(request))

    trio.run(grow)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_another_last_message_another_beginning_and_other_tools_are_sent_as_they_are(name):
    provider, fresh = PROVIDERS[name]
    kept = Kept(Shelf())
    call = ToolUseBlock("c1", "a.b", {"n": 1})
    history = [
        Message.user("one"),
        Message("assistant", (TextBlock("two"), call)),
        Message("user", (ToolResultBlock("c1", "three", False),)),
    ]
    longer = Message("user", (*history[2].content, TextBlock("four")))
    same_but_for_type = Message(
        "assistant", (TextBlock("two"), ToolUseBlock("c1", "a.b", {"n": 1.0}))
    )
    assert same_but_for_type == history[1]
    for messages, tools in (
        (history, 9),
        ([*history[:2], longer], 9),
        ([*history[:2], longer, Message("assistant", (TextBlock("5"),)), Message.user("6")], 9),
        (history, 9),
        ([history[0], same_but_for_type, history[2]], 9),
        (history, 2),
        ([Message.user("other"), *history[1:]], 9),
        (history[:1], 9),
        ((), 9),
        (history, 0),
    ):
        request = ask(messages, kept, tools)
        assert await sent(provider, request) == msgspec.json.encode(fresh(request))


@pytest.mark.parametrize("name", PROVIDERS)
async def test_what_was_written_is_not_written_again(name, monkeypatch):
    provider, fresh = PROVIDERS[name]
    kept = Kept(Shelf())
    history = talk(2001)
    await sent(provider, ask(history, kept))
    seen: list[Message] = []
    for module in ("anthropic", "openai.chat", "openai.responses", "gemini", "ollama"):
        path = module if "." in module else f"{module}."
        path = f"wingman.providers.{path.rstrip('.')}" + (
            "_request" if "." in module else ".request"
        )

        def noted(message, known, _path=path):
            seen.append(message)
            return message

        monkeypatch.setattr(f"{path}.with_images", noted)
    history += [Message("assistant", (TextBlock("so"),)), Message.user("next")]
    body = await sent(provider, ask(history, kept))
    assert seen == history[-3:]
    assert body == msgspec.json.encode(fresh(ask(history)))


def talk(count: int) -> list[Message]:
    return [
        Message("user" if number % 2 == 0 else "assistant", (TextBlock(f"text {number}"),))
        for number in range(count)
    ]


async def test_two_streams_of_one_conversation_at_once_do_not_mix():
    provider, fresh = PROVIDERS["anthropic"]
    kept = Kept(Shelf())
    history = talk(601)
    bodies = []

    async def one(request: Request) -> None:
        bodies.append((await sent(provider, request), msgspec.json.encode(fresh(request))))

    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for end in (601, 301, 601):
                nursery.start_soon(one, ask(history[:end], kept))
    assert all(body == expected for body, expected in bodies)
    assert len(bodies) == 6


async def test_a_cancel_while_a_long_history_is_written_leaves_nothing_half():
    provider, fresh = PROVIDERS["chat"]
    kept = Kept(Shelf())
    history = talk(1001)
    with trio.CancelScope() as scope:
        scope.cancel()
        await sent(provider, ask(history, kept))
    assert scope.cancelled_caught
    request = ask(history, kept)
    assert await sent(provider, request) == msgspec.json.encode(fresh(request))


async def test_others_have_their_turn_while_a_long_history_is_written():
    history = talk(5001)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await Shown(Shelf()).follow(history, Scripted([]))
        while_shown, turns = turns, 0
        await sent(PROVIDERS["gemini"][0], ask(history))
        nursery.cancel_scope.cancel()
    assert while_shown >= 5000 // 256
    assert turns >= 5000 // 64 // 2


async def test_a_session_sends_in_each_step_what_a_fresh_encoding_of_its_history_would_send():
    provider, fresh = PROVIDERS["anthropic"]
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"n": 1}}
    seen, well, again = ({"type": "text", "text": said} for said in ("Seen.", "Well.", "Again."))
    answers = [call, seen, well, None, again]
    bodies = []

    def respond(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        answer = answers[len(bodies) - 1]
        if answer is None:
            return httpx.Response(401, content=b"no")
        return httpx.Response(200, content=sse(*anthropic_block(0, answer), *anthropic_end()))

    @tool
    def look(n: int) -> str:
        """Look."""
        return f"a picture {n}"

    agent = Agent("a", instructions="Be brief.", provider=provider, tools=[look])
    expected = []
    async with Runtime() as runtime:
        runtime._root.services.model.transport._over = httpx.MockTransport(respond)
        session = await runtime.create_session(agent)
        for message in ("one", "two", "three", "four"):
            before = len(bodies)
            with suppress(ProviderError):
                await session.run(message)
            whole = list(await session.history())
            at = max(n for n, m in enumerate(whole, 1) if m.text == message and m.role == "user")
            steps = [n for n in ends(whole) if n >= at][: len(bodies) - before]
            for end in steps:
                messages = alternate(sendable(whole[:end], "anthropic", "m"))
                expected.append(msgspec.json.encode(fresh(request_of(agent, messages))))
    assert bodies == expected
    assert len(bodies) == 5


async def test_a_provider_around_another_that_changes_the_messages_sends_what_it_made_of_them():
    inner, fresh = PROVIDERS["gemini"]
    kept = Kept(Shelf())
    history = [
        Message.user("one"),
        Message("assistant", (TextBlock("two"),)),
        Message.user("three"),
    ]
    await sent(inner, ask(history, kept))
    changed = [Message.user("1"), *history[1:]]
    request = attrs.evolve(ask(history, kept), messages=changed)
    assert await sent(Fallback(inner), request) == msgspec.json.encode(fresh(request))


# --- the bound ------------------------------------------------------------------------------------


def test_what_all_conversations_keep_is_bounded_and_the_oldest_goes_first():
    shelf = Shelf(most_bytes=100)
    one, two, three = Kept(shelf), Kept(shelf), Kept(shelf)
    one.put("a", "1", 40)
    two.put("a", "2", 40)
    one.put("a", one.take("a"), 50)
    three.put("a", "3", 40)
    assert (one.take("a"), two.take("a"), three.take("a")) == ("1", None, "3")
    assert shelf.bytes <= 100


def test_a_conversation_larger_than_the_bound_is_not_kept():
    shelf = Shelf(most_bytes=100)
    kept = Kept(shelf)
    kept.put("a", "1", 101)
    assert kept.take("a") is None
    assert shelf.bytes == 0


def test_one_conversation_keeps_but_a_few():
    kept = Kept(Shelf())
    for number in range(10):
        kept.put(number, number, 1)
    assert [number for number in range(10) if kept.take(number) is not None] == [7, 8, 9]


def test_what_a_conversation_keeps_goes_with_it():
    shelf = Shelf()
    kept, other = Kept(shelf), Kept(shelf)
    kept.put("a", "1", 40)
    del kept
    gc.collect()
    other.put("a", "2", 2)
    assert shelf.bytes == 2


# --- what a model is shown of a history -----------------------------------------------------------


def of_images(draw: st.DrawFn, history: list[Message], mark: bool) -> list[Message]:
    grown: list[Message] = []
    for message in history:
        more = draw(st.integers(0, 40)) if message.role == "user" else 0
        images = (LARGE,) * more
        withheld = None
        if mark and message.role == "assistant" and draw(st.booleans()):
            withheld = Withheld(
                draw(st.sampled_from(["scripted", "other"])),
                "m",
                images=draw(st.sampled_from(["new", "all", None])),
                reasoning=draw(st.booleans()),
                results=draw(st.booleans()),
                kept=draw(st.sampled_from([None, None, 1])),
            )
        content = (*message.content, *images)
        grown.append(msgspec.structs.replace(message, content=content, withheld=withheld))
    return grown


@st.composite
def grown(draw: st.DrawFn) -> list[Message]:
    return of_images(draw, list(repair(draw(histories()))), draw(st.booleans()))


@settings(deadline=None, max_examples=60)
@given(whole=grown(), switches=st.lists(st.booleans(), min_size=1))
def test_what_a_model_is_shown_is_the_same_however_the_history_has_grown(whole, switches):
    async def grow() -> None:
        shown, history = Shown(Shelf()), []
        for number, message in enumerate(whole):
            history.append(message)
            if message.role != "user":
                continue
            model = "m" if switches[number % len(switches)] else "n"
            provider = Scripted([], model=model)
            expected = alternate(sendable(history, "scripted", model))
            assert await shown.follow(history, provider) == expected
            assert shown.characters == sum(map(characters_of, expected))

    trio.run(grow)


async def test_what_a_model_is_shown_begins_anew_with_another_history_and_after_a_cancel():
    shown, provider = Shown(Shelf()), Scripted([])
    history = talk(601)
    with trio.CancelScope() as scope:
        scope.cancel()
        await shown.follow(history, provider)
    assert scope.cancelled_caught
    assert await shown.follow(history, provider) == history
    assert await shown.follow(history[:3], provider) == history[:3]
    given_out = await shown.follow(history, provider)
    history += [Message("assistant", (TextBlock("so"),)), Message.user("next")]
    assert await shown.follow(history, provider) == history
    assert len(given_out) == 601


def test_a_conversation_that_kept_nothing_and_is_gone_hinders_no_other() -> None:
    shelf = Shelf()
    kept = Kept(shelf)
    Kept(shelf)  # gone at once
    kept.put("key", "value", 5)
    assert shelf.bytes == 5
    assert kept.take("key") == "value"
