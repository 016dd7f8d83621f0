"""What cannot fit into the model's context window is refused before the provider is asked."""

import pytest

from session_kit import TOOLS, assert_sendable, assert_valid, opened
from wingman import Agent, Session, tool
from wingman.conversation import ImageBlock, Message, TextBlock, ThinkingBlock
from wingman.errors import ContextTooLong, ProviderError
from wingman.providers import (
    Fail,
    Fallback,
    ModelInfo,
    Provider,
    ProviderRegistry,
    Scripted,
    ToolCalls,
    catalogued_window,
)
from wingman.run.context import characters_of, check_window, fixed_characters

DOWN = Fail(ProviderError("down", provider="scripted"))


def registry() -> ProviderRegistry:
    """`scripted/small` has a window of 100 tokens, `scripted/large` one of 1000."""
    made = ProviderRegistry()
    models = [ModelInfo("small", "Small", 100), ModelInfo("large", "Large", 1000)]
    made.register("scripted", lambda model, **_: Scripted([], model=model), known_models=models)
    return made


def model(name: str, *script: object) -> Scripted:
    return Scripted(list(script) or ["Hello."] * 3, model=name)  # type: ignore[arg-type]


async def test_it_is_refused_and_another_model_goes_on_with_the_same_history() -> None:
    provider = model("small")
    small = Agent("small", provider=provider, compaction=None)
    large = Agent("large", provider=model("large"))
    async with opened(small, large, providers=registry()) as runtime:
        session = await runtime.create_session(small)
        run = await session.submit("x" * 700)
        with pytest.raises(ContextTooLong, match=r"at least 116 tokens.*scripted/small 100"):
            await run.result()
        assert provider.requests == []
        assert run.record.error is not None
        assert (run.status, run.record.error.code) == ("failed", "context_too_long")
        assert_valid(await session.history())
        with pytest.raises(ContextTooLong):
            await session.run("still too long")
        await runtime.update_session(session.id, agent_id="large")
        assert (await session.run("go on")).response == "Hello."
        assert isinstance(large.provider, Scripted)
        assert_sendable(large.provider.requests[0].messages)


async def test_what_may_fit_is_let_through() -> None:
    small = Agent("small", provider=model("small"))
    async with opened(small, providers=registry()) as runtime:
        session = await runtime.create_session(small)
        assert (await session.run("x" * 600)).response == "Hello."


async def test_a_tool_result_that_is_too_long_fails_the_run_after_its_step() -> None:
    @tool
    def shout() -> str:
        """Say much."""
        return "A" * 700

    small = Agent("small", provider=model("small", ToolCalls(("shout", {}))), tools=[shout])
    async with opened(small, providers=registry()) as runtime:
        session = await runtime.create_session(small)
        with pytest.raises(ContextTooLong):
            await session.run("go")
        history = await session.history()
        assert_valid(history)
        assert len(history) == 3


async def test_a_model_whose_window_is_not_known_is_always_asked() -> None:
    async with Session(Agent("a", provider=model("unheard-of"))) as session:
        assert (await session.run("x" * 100_000)).response == "Hello."


@pytest.mark.parametrize(
    ("providers", "asked"),
    [
        ((model("small"), model("small")), False),
        ((model("small", DOWN), model("large")), True),
        ((model("small", DOWN), model("unheard-of")), True),
    ],
)
async def test_a_fallbacks_window_is_its_largest(
    providers: tuple[Provider, ...], asked: bool
) -> None:
    agent = Agent("a", provider=Fallback(*providers))
    async with opened(agent, providers=registry()) as runtime:
        session = await runtime.create_session(agent)
        if asked:
            assert (await session.run("x" * 700)).response == "Hello."
        else:
            with pytest.raises(ContextTooLong):
                await session.run("x" * 700)


async def test_a_provider_that_sets_its_window_itself_is_believed() -> None:
    class Narrow(Scripted):
        def context_window(self, window_of: object) -> int:
            return 100

    narrow = Narrow(["Hello."], model="large")
    agent = Agent("a", provider=Fallback(narrow))
    async with opened(agent, providers=registry()) as runtime:
        session = await runtime.create_session(agent)
        with pytest.raises(ContextTooLong, match="scripted/large 100"):
            await session.run("x" * 700)
    assert narrow.requests == []


def test_instructions_and_tools_count_and_images_and_reasoning_do_not() -> None:
    much = "x" * 700
    unseen = Message("user", (ImageBlock("image/png", much), ThinkingBlock(much)))
    provider = model("small")
    check_window(characters_of(unseen), provider, lambda *_: 100)
    fixed = fixed_characters(Agent("a", instructions=much, provider=provider))
    with pytest.raises(ContextTooLong):
        check_window(fixed, provider, lambda *_: 100)
    tools = fixed_characters(Agent("a", provider=provider, tools=TOOLS))
    assert tools > 200
    seen = Message("user", (TextBlock(much), *unseen.content))
    with pytest.raises(ContextTooLong):
        check_window(characters_of(seen), provider, lambda *_: 100)


def test_the_catalogue_knows_dated_names() -> None:
    assert catalogued_window("anthropic", "claude-sonnet-4-5-20250929") == 200_000
    assert catalogued_window("anthropic", "claude-unheard-of") is None
    assert catalogued_window("unheard-of", "x") is None
