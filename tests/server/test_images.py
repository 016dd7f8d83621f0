"""Images over HTTP: beside the message, in base64."""

from pictures import PIXEL
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
