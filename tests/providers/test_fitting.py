"""What is left out of a history, or changed in it, so that an API takes it; and of schemas."""

import msgspec
import pytest

from wingman.conversation import ImageBlock, Message, TextBlock, ToolResultBlock, ToolUseBlock
from wingman.providers.anthropic import anthropic_body
from wingman.providers.ollama import ollama_body
from wingman.providers.wire import (
    closed,
    data_url,
    is_strict,
    safe_name,
    short_id,
    with_images,
)

PNG = ImageBlock("image/png", "iVBO")
TIFF = ImageBlock("image/tiff", "SUkq")
LEFT_OUT = "(An image is left out here: this model's API does not take image/tiff.)"


def test_an_image_that_is_not_taken_leaves_a_note_in_its_place():
    messages = [
        Message("user", (TIFF, TextBlock("Look."), PNG)),
        Message("assistant", (PNG, ToolUseBlock("c1", "x", {}))),
        Message(
            "user",
            (
                ToolResultBlock("c1", "", True, images=(TIFF, PNG)),
                ToolResultBlock("c2", "two", False, "cancelled", images=(TIFF,)),
            ),
        ),
    ]
    user, assistant, results = (with_images(message, {"image/png"}) for message in messages)
    assert user.content == (TextBlock(LEFT_OUT), TextBlock("Look."), PNG)
    assert assistant.content[0] == TextBlock(LEFT_OUT.replace("tiff", "png"))
    assert results.content == (
        ToolResultBlock("c1", LEFT_OUT, True, images=(PNG,)),
        ToolResultBlock("c2", f"two\n{LEFT_OUT}", False, "cancelled"),
    )


def test_messages_without_images_are_left_alone():
    message = Message.user("a")
    assert with_images(message, ()) is message


def test_names_and_ids_are_left_alone_where_they_can_be():
    assert safe_name("read_file-2") == "read_file-2"
    assert safe_name("a.b c") == "a_b_c"
    assert safe_name("a.b c", also=".:") == "a.b_c"
    assert safe_name("") == "unnamed"
    assert len(safe_name("n" * 100)) == 64
    assert short_id("call_1") == "call_1"
    assert len(short_id("x" * 41)) <= 40
    assert short_id("x" * 41) != short_id("x" * 42)
    assert data_url(PNG) == "data:image/png;base64,iVBO"


def test_anthropic_is_sent_images_as_blocks_also_within_results(ask):
    messages = [
        Message("user", (TextBlock("Look."), PNG)),
        Message("assistant", (ToolUseBlock("c1", "x", {}),)),
        Message("user", (ToolResultBlock("c1", "one", False, images=(PNG,)),)),
    ]
    first, _, results = anthropic_body(ask(messages), "m")["messages"]
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"},
    }
    assert first["content"] == [{"type": "text", "text": "Look."}, image]
    assert results["content"][0]["content"] == [{"type": "text", "text": "one"}, image]


def test_ollama_is_sent_images_beside_the_text(ask):
    messages = [
        Message("user", (TextBlock("Look"), PNG, TextBlock("here."))),
        Message("assistant", (ToolUseBlock("c1", "x", {}),)),
        Message("user", (ToolResultBlock("c1", "one", False, images=(PNG,)),)),
    ]
    first, _, result = ollama_body(ask(messages), "m")["messages"]
    assert first == {"role": "user", "content": "Look\n\nhere.", "images": ["iVBO"]}
    assert (result["role"], result["images"]) == ("tool", ["iVBO"])


def test_what_a_block_does_not_have_is_not_in_its_json():
    blocks = (TextBlock("a"), ToolUseBlock("c1", "x", {}), ToolResultBlock("c1", "b", False))
    assert msgspec.json.decode(msgspec.json.encode(blocks)) == [
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "c1", "name": "x", "input": {}},
        {"type": "tool_result", "tool_use_id": "c1", "content": "b", "is_error": False},
    ]


# --- schemas --------------------------------------------------------------------------------------

TEXT = {"type": "string"}
OPEN = {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}
CLOSED = OPEN | {"additionalProperties": False}


def test_closing_a_schema_closes_every_object_of_it_that_does_not_say_otherwise():
    free = {"type": "object", "additionalProperties": True}
    schema = {"$defs": {"o": OPEN}, "anyOf": [OPEN, {"type": ["object", "null"]}, free]}
    assert closed(schema) == {
        "$defs": {"o": CLOSED},
        "anyOf": [CLOSED, {"type": ["object", "null"], "additionalProperties": False}, free],
    }
    assert "additionalProperties" not in OPEN


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        (CLOSED | {"$defs": {"o": CLOSED}, "description": "x"}, True),
        (CLOSED | {"properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        (OPEN, False),
        (CLOSED | {"required": []}, False),
        (CLOSED | {"properties": {"a": {"type": "array", "items": OPEN}}}, False),
        (CLOSED | {"properties": {"a": {"anyOf": [TEXT, OPEN]}}}, False),
        (CLOSED | {"properties": {"a": TEXT | {"default": "x"}}}, False),
        (CLOSED | {"properties": {"a": True}}, False),
        ({"type": "array", "items": TEXT}, False),
        ({"anyOf": [CLOSED]}, False),
        (True, False),
    ],
)
def test_which_schemas_strict_mode_takes(schema, strict):
    assert is_strict(schema) == strict
