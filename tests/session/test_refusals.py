"""Whatever an API refuses a history for, its session goes on: less is sent, now and later."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pictures import PIXEL_BYTES, block, plain
from session_kit import assert_valid
from wingman import Agent, ImageBlock, Message, Runtime, Session, Tool, ToolOutput, tool
from wingman.conversation import TextBlock, ThinkingBlock, ToolResultBlock, Withheld
from wingman.errors import (
    ContextTooLong,
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderStreamError,
    ProviderTimeout,
)
from wingman.providers import Fail, Finished, Parts, Request, Scripted, TextDelta, ToolCalls
from wingman.run.sendable import sendable

PIXEL = block(PIXEL_BYTES)
OTHER = block(plain(size=(2, 2)))

Says = Callable[[Request], Any]


def refusal(status: int = 400, text: str = "The request is invalid.") -> ProviderRejected:
    return ProviderRejected(text, provider="scripted", status=status, refused=True)


def blocks(request: Request) -> Iterator[Any]:
    for message in request.messages:
        for each in message.content:
            yield each
            if isinstance(each, ToolResultBlock):
                yield from each.images


def texts(request: Request) -> str:
    return "\n".join(
        getattr(each, "text", "") or getattr(each, "content", "") for each in blocks(request)
    )


def images(request: Request) -> list[ImageBlock]:
    return [each for each in blocks(request) if isinstance(each, ImageBlock)]


def picky(refuses: Says, answer: Says = lambda _: "Fine.", status: int = 400) -> Scripted:
    """A model whose API refuses some requests."""
    return Scripted(lambda r: Fail(refusal(status)) if refuses(r) else answer(r))


def agent(model: Scripted, *tools: Tool) -> Agent:
    return Agent("a", provider=model, tools=tools)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_image_is_left_out_once_and_for_all(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    model = picky(images, status=status)
    async with Session(agent(model)) as session:
        with caplog.at_level(logging.WARNING, "wingman.run"):
            result = await session.run("What is this?", images=[PIXEL])
        assert result.response == "Fine."
        first, second = model.requests
        assert images(first) == [PIXEL]
        assert second.messages[0].content == (
            TextBlock("(An image is left out here: the model's API refused it.)"),
            TextBlock("What is this?"),
        )
        assert 'without="new images' in caplog.text
        await session.run("And now?")
        assert len(model.requests) == 3  # it was not sent again
        history = await session.history()
    assert history[0].content[0] == PIXEL  # it is kept all the same
    assert history[1].withheld == Withheld("scripted", "scripted", images="new")
    assert_valid(history)


async def test_what_was_refused_is_not_sent_after_a_restart_either(tmp_path: Path) -> None:
    model = picky(images)
    async with Runtime(tmp_path / "w.db", agents=[agent(model)]) as runtime:
        session = await runtime.create_session("a")
        await session.run("What is this?", images=[PIXEL])
    async with Runtime(tmp_path / "w.db", agents=[agent(model)]) as runtime:
        session = await runtime.session(session.id)
        await session.run("And now?")
    assert [len(images(request)) for request in model.requests] == [1, 0, 0]


async def test_only_the_new_images_are_blamed_where_the_api_took_the_old_ones() -> None:
    model = picky(lambda request: OTHER in images(request))
    async with Session(agent(model)) as session:
        await session.run("A good one.", images=[PIXEL])
        await session.run("A bad one.", images=[OTHER])
        await session.run("And now?")
    assert [images(request) for request in model.requests] == [
        [PIXEL],
        [PIXEL, OTHER],
        [PIXEL],
        [PIXEL],
    ]


async def test_images_that_another_model_saw_are_left_out_for_one_that_refuses_them() -> None:
    seeing, blind = Scripted(lambda _: "Seen."), picky(images, status=422)
    blind.model = "blind"
    agents = [Agent("seeing", provider=seeing), Agent("blind", provider=blind)]
    async with Runtime(agents=agents) as runtime:
        session = await runtime.create_session("seeing")
        await session.run("What is this?", images=[PIXEL])
        await runtime.update_session(session.id, agent_id="blind")
        for _ in range(2):
            assert (await session.run("And now?")).response == "Fine."
        assert [len(images(request)) for request in blind.requests] == [1, 0, 0]
        await runtime.update_session(session.id, agent_id="seeing")
        await session.run("And for you?")
    assert images(seeing.requests[-1]) == [PIXEL]


@tool
async def look() -> ToolOutput:
    """Look at something."""
    return ToolOutput("A thing.", [PIXEL])


@tool
async def fetch() -> str:
    """Fetch a text that some APIs will not have."""
    return "poison"


async def test_an_image_of_a_tool_is_left_out_of_its_result() -> None:
    def answer(request: Request) -> Any:
        return "Seen." if any(isinstance(b, ToolResultBlock) for b in blocks(request)) else CALL

    CALL = ToolCalls(("look", {}))  # noqa: N806
    model = picky(images, answer)
    async with Session(agent(model, look)) as session:
        assert (await session.run("Look.")).response == "Seen."
        await session.run("And now?")
    [result] = model.requests[2].messages[-1].content
    assert isinstance(result, ToolResultBlock)
    assert result.content == ("A thing.\n(An image is left out here: the model's API refused it.)")
    assert len(model.requests) == 4


async def test_a_refused_result_of_a_tool_is_left_out() -> None:
    def answer(request: Request) -> Any:
        called = any(isinstance(b, ToolResultBlock) for b in blocks(request))
        return "Go on." if called else ToolCalls(("fetch", {}))

    model = picky(lambda request: "poison" in texts(request), answer)
    async with Session(agent(model, fetch)) as session:
        assert (await session.run("Fetch.")).response == "Go on."
        await session.run("And now?")
        assert_valid(await session.history())
    assert len(model.requests) == 4
    assert "The result of this call is left out here" in texts(model.requests[-1])


async def test_refused_reasoning_is_left_out() -> None:
    def thinks(request: Request) -> bool:
        return any(isinstance(each, ThinkingBlock) for each in blocks(request))

    thought = ThinkingBlock("Hm.", "signed", "scripted")
    said = Parts(thought, TextDelta("Well."), Finished("end_turn"))
    model = picky(thinks, lambda request: said if len(request.messages) == 1 else "Fine.")
    async with Session(agent(model)) as session:
        await session.run("Think.")
        assert (await session.run("And now?")).response == "Fine."
        assert (await session.run("And now?")).response == "Fine."
    assert [thinks(request) for request in model.requests] == [False, True, False, False]
    assert "Well." in texts(model.requests[-1])


async def test_a_message_that_is_refused_does_not_make_its_session_useless(tmp_path: Path) -> None:
    model = picky(lambda request: "poison" in texts(request))
    async with Runtime(tmp_path / "w.db", agents=[agent(model)]) as runtime:
        session = await runtime.create_session("a")
        await session.run("Hello.")
        with pytest.raises(ProviderRejected):
            await session.run("poison")
        assert (await session.run("And now?")).response == "Fine."
        asked = len(model.requests)
    async with Runtime(tmp_path / "w.db", agents=[agent(model)]) as runtime:
        session = await runtime.session(session.id)
        assert (await session.run("And then?")).response == "Fine."
        assert len(model.requests) == asked + 1
    [first, *_] = model.requests[-1].messages
    assert first.content[0] == TextBlock(
        "(The conversation before this is left out: the model's API refused it.)"
    )
    assert "And now?" in texts(model.requests[-1])
    assert "poison" not in texts(model.requests[-1])


async def test_what_a_run_did_itself_is_not_forgotten_with_what_was_before() -> None:
    def answer(request: Request) -> Any:
        return "Done." if isinstance(last(request), ToolResultBlock) else ToolCalls(("look", {}))

    def last(request: Request) -> Any:
        return request.messages[-1].content[-1]

    model = picky(lambda r: "poison" in texts(r) and isinstance(last(r), ToolResultBlock), answer)
    async with Session(agent(model, look)) as session:
        with pytest.raises(ProviderRejected):
            await session.run("poison")
        assert (await session.run("Look once more.")).response == "Done."
        assert_valid(await session.history())
    assert "Look once more." in texts(model.requests[-1])
    assert any(isinstance(each, ToolResultBlock) for each in blocks(model.requests[-1]))


@pytest.mark.parametrize(
    "error",
    [
        ProviderAuthError("No such key.", provider="scripted", status=401),
        ProviderRateLimited("Slowly.", provider="scripted", status=429),
        ProviderTimeout("Silence.", provider="scripted"),
        ProviderRejected("There is no model x.", provider="scripted", status=404),
        ProviderError("Overloaded.", provider="scripted", status=529),
        refusal(text="Your credit balance is too low to access the API."),
        refusal(text="The model `x` does not exist."),
    ],
    ids=lambda error: f"{type(error).__name__} {error.status}",
)
async def test_what_is_not_about_the_content_is_not_asked_again(error: ProviderError) -> None:
    model = Scripted(lambda _: Fail(error))
    async with Session(agent(model)) as session:
        with pytest.raises(type(error)):
            await session.run("What is this?", images=[PIXEL])
    assert len(model.requests) == 1


async def test_a_request_of_which_nothing_can_be_left_out_is_asked_once() -> None:
    model = Scripted(lambda _: Fail(refusal()))
    async with Session(agent(model)) as session:
        with pytest.raises(ProviderRejected):
            await session.run("Hello.")
    assert len(model.requests) == 1


async def test_a_refusal_whatever_is_left_out_is_told_as_it_was_at_first() -> None:
    numbers = iter(range(1, 100))
    model = Scripted(lambda _: Fail(refusal(text=f"Refusal {next(numbers)}.")))
    async with Session(agent(model)) as session:
        for number in range(3):
            before = len(model.requests)
            with pytest.raises(ProviderRejected, match=rf"Refusal {before + 1}\."):
                await session.run(f"Message {number}.", images=[PIXEL])
            assert len(model.requests) - before <= 4


async def test_a_history_that_is_too_long_is_not_forgotten() -> None:
    model = Scripted(["Hello.", Fail(refusal(text="prompt is too long: 9 tokens > 8 maximum"))])
    async with Session(Agent("a", provider=model, compaction=None)) as session:
        await session.run("Hello.")
        with pytest.raises(ContextTooLong, match="prompt is too long"):
            await session.run("And now?")
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    "error",
    [
        ProviderError("Failed to load image or audio file", provider="scripted", status=500),
        ProviderRejected("No endpoints support image input", provider="scripted", status=404),
        ProviderStreamError("failed", provider="scripted", error_type="invalid_image_format"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_image_that_is_reported_in_other_ways_is_left_out_as_well(
    error: ProviderError,
) -> None:
    model = Scripted(lambda request: Fail(error) if images(request) else "Fine.")
    async with Session(agent(model)) as session:
        assert (await session.run("What is this?", images=[PIXEL])).response == "Fine."


async def test_a_refusal_after_text_was_shown_is_not_asked_again() -> None:
    def script(request: Request) -> Any:
        return Fail(refusal(), after="It is ") if images(request) else "Fine."

    model = Scripted(script)
    async with Session(agent(model)) as session:
        with pytest.raises(ProviderError):
            await session.run("What is this?", images=[PIXEL])
        assert len(model.requests) == 1


# --- the pure part --------------------------------------------------------------------------------


def conversation(*contents: Sequence[Any]) -> list[Message]:
    messages: list[Message] = []
    for content in contents:
        messages += (Message("user", tuple(content)), Message("assistant", (TextBlock("Yes."),)))
    return messages


def test_a_history_without_images_and_marks_is_sent_as_it_is() -> None:
    history = conversation([TextBlock("One.")], [TextBlock("Two.")])
    assert list(sendable(history, "p", "m")) == history


@pytest.mark.parametrize(("given", "sent"), [(90, 90), (91, 81), (100, 90), (101, 91 - 10)])
def test_of_many_images_the_last_ones_are_sent(given: int, sent: int) -> None:
    history = conversation(*([PIXEL, TextBlock("?")] for _ in range(given)))
    shown = sendable(history, "p", "m")
    assert len(shown) == len(history)
    kept = [index for index, message in enumerate(shown) if message.content[0] == PIXEL]
    assert len(kept) == sent
    assert kept == list(range(2 * (given - sent), 2 * given, 2))
    assert shown[0].content[0] == (
        PIXEL
        if given == sent
        else TextBlock("(An image is left out here: only the last ones are shown.)")
    )


def test_of_images_of_many_bytes_the_last_ones_are_sent() -> None:
    large = ImageBlock("image/png", "A" * 5_000_000)
    result = ToolResultBlock("t", "Taken.", is_error=False, images=(large, large))
    shown = sendable(conversation([large], [large], [result]), "p", "m")
    [last] = shown[4].content
    assert isinstance(last, ToolResultBlock)
    assert len(last.images) == 2
    assert [message.content[0] == large for message in shown[0:4:2]] == [False, True]


def test_a_mark_is_for_its_model_alone() -> None:
    [asked, answered] = conversation([PIXEL, TextBlock("?")])
    marked = msgspec.structs.replace(answered, withheld=Withheld("p", "m", images="all"))
    history = [asked, marked]
    assert sendable(history, "p", "m")[0].content[0] != PIXEL
    for provider, model in (("p", "n"), ("q", "m")):
        assert sendable(history, provider, model)[0].content[0] == PIXEL
