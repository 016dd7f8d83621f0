"""Images in a user's message: they last, they reach the model, and what is none is refused."""

from pathlib import Path

import pytest
import trio

from pictures import PIXEL, PIXEL_BYTES, block, look, plain
from wingman import Agent, ImageBlock, Limits, Runtime, Session, ToolOutput, tool
from wingman.conversation import TextBlock, ToolResultBlock
from wingman.errors import InvalidRequest, RequestIdConflict
from wingman.providers import Delay, Scripted, ToolCalls
from wingman.tools import read

IMAGE = ImageBlock("image/png", PIXEL)


async def test_an_image_reaches_the_model_before_its_text_and_stays_in_the_history() -> None:
    model = Scripted(["A pixel.", "Still a pixel."])
    async with Session(Agent("a", provider=model)) as session:
        result = await session.run("What is this?", images=[IMAGE])
        assert result.response == "A pixel."
        await session.run("And now?")
        history = await session.history()
    assert history[0].content == (IMAGE, TextBlock("What is this?"))
    assert model.requests[1].messages[0].content == (IMAGE, TextBlock("What is this?"))


async def test_a_queued_image_outlives_the_process(tmp_path: Path) -> None:
    slow = Agent("slow", provider=Scripted([Delay("At last.", first=1000)]))
    model = Scripted(["Seen."])
    agent = Agent("a", provider=model)
    async with Runtime(tmp_path / "w.db", agents=[slow, agent], limits=Limits(runs=1)) as runtime:
        await (await runtime.create_session(slow)).submit("Take the only place.")
        session = await runtime.create_session(agent)
        run = await session.submit("What is this?", images=[IMAGE])
    assert model.requests == []
    async with Runtime(tmp_path / "w.db", agents=[slow, agent]) as runtime:
        await (await runtime.run(session.id, run.id)).wait()
    assert model.requests[0].messages[0].content == (IMAGE, TextBlock("What is this?"))


async def test_another_image_under_the_same_request_id_is_another_body() -> None:
    other = block(plain(size=(2, 2)))
    async with Session(Agent("a", provider=Scripted(["Once."]))) as session:
        run = await session.submit("Look.", images=[IMAGE], request_id="r")
        same = await session.submit("Look.", images=[IMAGE], request_id="r")
        assert same.id == run.id
        with pytest.raises(RequestIdConflict):
            await session.submit("Look.", images=[other], request_id="r")


@pytest.mark.parametrize(
    ("image", "path"),
    [
        (ImageBlock("text/plain", PIXEL), r"\$\.images\[0\]\.media_type"),
        (ImageBlock("image/png", "no base64!"), r"\$\.images\[0\]\.data"),
    ],
)
async def test_what_is_no_image_is_refused(image: ImageBlock, path: str) -> None:
    async with Session(Agent("a", provider=Scripted(["Never."]))) as session:
        with pytest.raises(InvalidRequest, match=path):
            await session.run("Look.", images=[image])


async def test_an_image_that_a_tool_reads_reaches_the_model_with_its_result(tmp_path: Path) -> None:
    (tmp_path / "pixel.png").write_bytes(PIXEL_BYTES)
    model = Scripted([ToolCalls(("read", {"path": "pixel.png"})), "A pixel."])
    agent = Agent("a", provider=model, tools=[read])
    async with Session(agent, work_dir=tmp_path) as session:
        result = await session.run("Look at pixel.png")
        history = await session.history()
    assert result.tool_calls[0].output == f"[pixel.png: image/png, {len(PIXEL_BYTES)} bytes]"
    [block] = model.requests[1].messages[-1].content
    assert isinstance(block, ToolResultBlock)
    assert block.images == (IMAGE,)
    assert history[2].content == (block,)


# --- images that cannot be sent -------------------------------------------------------------------

BROKEN = block(b"\x89PNG\r\n\x1a\n" + b"x" * 20)


async def test_a_message_with_a_broken_image_is_refused_and_nothing_of_it_is_kept() -> None:
    model = Scripted(["Here I am."])
    async with Session(Agent("a", provider=model)) as session:
        where = r"damaged or cut off.* - at `\$\.images\[1\]\.data`"
        with pytest.raises(InvalidRequest, match=where):
            await session.run("Look.", images=[IMAGE, BROKEN])
        with pytest.raises(InvalidRequest, match=where):
            await session.submit("Look.", images=[IMAGE, BROKEN], request_id="r")
        with pytest.raises(InvalidRequest, match="damaged or cut off"):
            async with session.run_stream("Look.", images=[BROKEN]):
                pass
        assert list(await session.history()) == []
        run = await session.submit("Hello?", request_id="r")  # which is free
        assert (await run.result()).response == "Here I am."


async def test_a_message_has_so_many_images_and_no_more() -> None:
    async with Session(Agent("a", provider=Scripted(["Seen."]))) as session:
        with pytest.raises(InvalidRequest, match=r"at most 20 images, and this one 21.*\$\.images"):
            await session.run("Look.", images=[IMAGE] * 21)
        assert (await session.run("Look.", images=[IMAGE] * 20)).response == "Seen."


async def test_a_large_image_reaches_the_model_smaller_and_it_is_told_so() -> None:
    model = Scripted(["Wide."])
    async with Session(Agent("a", provider=model)) as session:
        await session.run("What is this?", images=[block(plain("PNG", (9_000, 90), "L"))])
        [kept, text] = (await session.history())[0].content
    [image, note, asked] = model.requests[0].messages[0].content
    assert isinstance(image, ImageBlock)
    assert look(image).size == (2_000, 20)
    assert note == TextBlock("(scaled down from 9,000 × 90 to 2,000 × 20 pixels)")
    assert asked == text == TextBlock("What is this?")
    assert kept == image


async def test_the_same_image_under_the_same_request_id_is_the_same_body_also_if_it_is_scaled(
    tmp_path: Path,
) -> None:
    large = block(plain("PNG", (2_100, 90), "L"))
    agent = Agent("a", provider=Scripted(["Once."]))
    async with Runtime(tmp_path / "w.db", agents=[agent]) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("Look.", images=[large], request_id="r")
        await run.wait()
    async with Runtime(tmp_path / "w.db", agents=[agent]) as runtime:
        session = await runtime.session(session.id)
        again = await session.submit("Look.", images=[large], request_id="r")
        assert again.id == run.id
        with pytest.raises(RequestIdConflict):
            await session.submit("Look.", images=[BROKEN], request_id="r")


async def test_one_request_id_that_is_sent_twice_at_once_is_one_run() -> None:
    runs = []

    async def send(session: Session) -> None:
        image = block(plain("BMP"))
        runs.append(await session.submit("Look.", images=[image], request_id="r"))

    async with (
        Session(Agent("a", provider=Scripted(["Once."]))) as session,
        trio.open_nursery() as nursery,
    ):
        for _ in range(5):
            nursery.start_soon(send, session)
    assert len(runs) == 5
    assert len({run.id for run in runs}) == 1


@tool
async def camera(pictures: list[str]) -> ToolOutput:
    """Take pictures."""
    kinds = {"good": IMAGE, "broken": BROKEN, "large": block(plain("PNG", (2_100, 90), "L"))}
    return ToolOutput("Taken.", [kinds[picture] for picture in pictures])


async def shown_by_tool(*pictures: str) -> tuple[ToolResultBlock, ToolResultBlock]:
    """What a tool's result is in the history, and what the model is shown of it."""
    model = Scripted([ToolCalls(("camera", {"pictures": list(pictures)})), "Seen."])
    async with Session(Agent("a", provider=model, tools=[camera])) as session:
        await session.run("Take pictures.")
        [kept] = (await session.history())[2].content
    [shown] = model.requests[1].messages[-1].content
    assert isinstance(kept, ToolResultBlock)
    assert isinstance(shown, ToolResultBlock)
    return kept, shown


async def test_a_tools_broken_image_is_left_out_and_its_text_says_so() -> None:
    kept, shown = await shown_by_tool("good", "broken")
    assert kept == shown
    assert not kept.is_error
    assert kept.images == (IMAGE,)
    assert kept.content.startswith("Taken.\n[Image 2 of this result cannot be shown: it is damaged")


async def test_a_tool_that_shows_nothing_but_broken_images_has_failed() -> None:
    kept, _ = await shown_by_tool("broken")
    assert kept.is_error
    assert kept.images == ()
    assert kept.content.startswith("Taken.\n[Image 1 of this result cannot be shown: it is damaged")


async def test_a_tools_large_image_is_scaled_down_and_the_model_is_told() -> None:
    kept, shown = await shown_by_tool("large", "good")
    assert look(kept.images[0]).size == (2_000, 86)
    assert kept.content == "Taken."
    assert shown.images == kept.images
    assert shown.content == "Taken.\n(scaled down from 2,100 × 90 to 2,000 × 86 pixels)"


async def test_a_tool_may_show_so_many_images_and_no_more() -> None:
    kept, _ = await shown_by_tool(*["good"] * 22)
    assert len(kept.images) == 20
    assert kept.content.count("one too many") == 2


async def test_a_file_that_only_begins_like_an_image_is_an_error_that_the_model_reads(
    tmp_path: Path,
) -> None:
    (tmp_path / "fake.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 20)
    model = Scripted([ToolCalls(("read", {"path": "fake.png"})), "I see."])
    async with Session(Agent("a", provider=model, tools=[read]), work_dir=tmp_path) as session:
        [call] = (await session.run("Look at fake.png")).tool_calls
    assert call.is_error
    assert call.output.startswith("fake.png cannot be shown: it is damaged or cut off")
