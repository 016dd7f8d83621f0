"""The shipped double: a script, its delays and its failures."""

from contextlib import aclosing

import pytest
import trio

from wingman.conversation import Message, ToolUseBlock, Usage
from wingman.errors import ProviderError, ProviderTimeout
from wingman.providers import (
    Delay,
    Fail,
    Finished,
    Parts,
    Scripted,
    TextDelta,
    ToolCalls,
    Transport,
    UsageUpdate,
)


async def drain(provider, request) -> list:
    async with aclosing(provider.stream(request, Transport())) as parts:
        return [part async for part in parts]


async def test_a_list_gives_one_item_an_inference_and_keeps_what_it_was_asked(ask):
    provider = Scripted([ToolCalls(("forecast", {"city": "Bern"}), text="Let me see."), "Rain."])
    first = await drain(provider, ask("a"))
    second = await drain(provider, ask("b"))
    assert first[:2] == [
        TextDelta("Let me see."),
        ToolUseBlock("toolu_1", "forecast", {"city": "Bern"}),
    ]
    assert first[-1] == Finished("tool_use")
    assert second[0] == TextDelta("Rain.")
    assert [request.messages[0].text for request in provider.requests] == ["a", "b"]


async def test_a_script_that_is_used_up_says_so(ask):
    provider = Scripted(["one"])
    await drain(provider, ask())
    with pytest.raises(ProviderError, match="has 1 items, and this is inference 2"):
        await drain(provider, ask())


async def test_a_function_answers_what_it_is_asked_sync_or_async(ask):
    async def later(request):
        await trio.lowlevel.checkpoint()
        return request.messages[-1].text.upper()

    for function in (lambda request: request.messages[-1].text.upper(), later):
        provider = Scripted(function)
        for asked in ("a", "b"):
            assert (await drain(provider, ask(asked)))[0] == TextDelta(asked.upper())


async def test_text_comes_in_pieces_of_the_size_that_is_asked_for(ask):
    parts = await drain(Scripted(["abcdefg"], piece_size=3), ask())
    assert [p.text for p in parts if isinstance(p, TextDelta)] == ["abc", "def", "g"]


async def test_delays_come_before_the_first_part_and_before_each_other(ask, autojump_clock):
    provider = Scripted(["abcd", Delay("abcd", first=10, each=1)], piece_size=2, delay=2)
    times = []
    for _ in range(2):
        start = trio.current_time()
        async with aclosing(provider.stream(ask(), Transport())) as parts:
            times.append([trio.current_time() - start async for _ in parts])
    assert times[0] == pytest.approx([2, 2, 2, 2], abs=0.01)
    assert times[1] == pytest.approx([10, 11, 12, 13], abs=0.01)


async def test_a_step_may_fail_at_once_or_in_the_middle_of_its_stream(ask):
    error = ProviderTimeout("slow", provider="scripted")
    provider = Scripted([Fail(error), Fail(error, after="so far")])
    for expected in ([], [TextDelta("so far")]):
        async with aclosing(provider.stream(ask(), Transport())) as stream:
            for part in expected:
                assert await anext(stream) == part
            with pytest.raises(ProviderTimeout):
                await anext(stream)


async def test_parts_are_given_as_they_are(ask):
    parts = (TextDelta("No."), Finished("refusal"))
    assert await drain(Scripted([Parts(*parts)]), ask()) == list(parts)


async def test_usage_is_a_token_for_every_four_characters_rounded_up(ask):
    parts = await drain(Scripted(["abcde"]), ask([Message.user("abcdefgh")], system="x"))
    assert UsageUpdate(Usage(3, 2)) in parts


def test_a_bare_string_is_no_script():
    with pytest.raises(TypeError, match=r"write \[text\]"):
        Scripted("Rain.")
