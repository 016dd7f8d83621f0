"""Images in a user's message: they last, they reach the model, and what is none is refused."""

from pathlib import Path

import pytest

from pictures import PIXEL, PIXEL_BYTES, block, plain
from wingman import Agent, ImageBlock, Limits, Runtime, Session
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
