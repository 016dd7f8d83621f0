"""Images over HTTP: beside the message, in base64."""

import base64

import pytest

from pictures import PIXEL, plain, png
from server_kit import serving
from wingman import ImageBlock
from wingman.conversation import TextBlock


async def test_a_message_brings_its_images_to_the_model_and_the_history_has_them() -> None:
    async with serving() as server:
        session = await server.session()
        image = {"media_type": "image/png", "data": PIXEL}
        answer = await server.send(session, "What is this?", images=[image])
        assert answer.status_code == 200, answer.text
        [message] = server.stage.requests[0].messages
        assert message.content == (ImageBlock("image/png", PIXEL), TextBlock("What is this?"))
        shown = (await server.history(session))[0]["content"]
        assert shown[0] == {"type": "image", **image}


async def test_what_is_no_image_is_refused_by_its_path() -> None:
    async with serving() as server:
        session = await server.session()
        for image, path in (
            ({"media_type": "image/png"}, "$.images[0]"),
            ({"media_type": "text/html", "data": PIXEL}, "$.images[0].media_type"),
            ({"media_type": "image/png", "data": "!"}, "$.images[0].data"),
        ):
            answer = await server.send(session, "Look.", images=[image])
            assert answer.status_code == 400
            assert path in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"hello", "it is no image that can be decoded"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 20, "it is damaged or cut off"),
        (b"GIF8 is how this text begins", "it is damaged or cut off"),
        (b"<svg/>", "it is an SVG"),
        (b"", "it is empty"),
        (plain("JPEG")[:300], "it is damaged or cut off"),
        (png(50_000, 50_000, bits=1, colour=0), "million pixels are the most that is decoded"),
    ],
)
async def test_an_image_that_cannot_be_sent_is_400_and_the_session_is_as_it_was(
    data: bytes, sentence: str
) -> None:
    async with serving() as server:
        session = await server.session()
        image = {"media_type": "image/png", "data": base64.b64encode(data).decode()}
        answer = await server.send(session, "Look.", images=[image])
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "invalid_request"
        assert sentence in error["message"]
        assert "$.images[0].data" in error["message"]
        assert await server.history(session) == []
        assert (await server.send(session, "Hello.")).status_code == 200


async def test_too_many_images_are_400() -> None:
    async with serving() as server:
        session = await server.session()
        images = [{"media_type": "image/png", "data": PIXEL}] * 21
        answer = await server.send(session, "Look.", images=images)
        assert answer.status_code == 400
        assert "at most 20 images" in answer.json()["error"]["message"]


async def test_the_history_says_what_was_changed_of_an_image() -> None:
    async with serving() as server:
        session = await server.session()
        large = base64.b64encode(plain("PNG", (2_100, 90), "L")).decode()
        image = {"media_type": "image/png", "data": large}
        answer = await server.send(session, "Look.", images=[image])
        assert answer.status_code == 200, answer.text
        shown = (await server.history(session))[0]["content"][0]
        assert shown["note"] == "scaled down from 2,100 × 90 to 2,000 × 86 pixels"
        assert shown["data"] != large
