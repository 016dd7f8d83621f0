"""A step as it grows: what its parts become in the history."""

from wingman.conversation import (
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
)
from wingman.providers import Part, TextDelta, ThinkingDelta
from wingman.run.draft import StepDraft


def content_of(*parts: Part, taken: tuple[str, ...] = ()) -> Message:
    draft = StepDraft({*taken})
    for part in parts:
        draft.add(part)
    return draft.message()


def test_text_that_is_whole_takes_the_place_of_its_pieces() -> None:
    signed = TextBlock("", "sig", "gemini")
    message = content_of(TextDelta("a"), TextDelta("b"), TextBlock("ab"), signed, TextDelta("c"))
    assert message.content == (TextBlock("ab"), signed, TextBlock("c"))
    assert message.text == "abc"


def test_reasoning_that_is_whole_takes_the_place_of_its_pieces() -> None:
    encrypted = RedactedThinkingBlock("{}", "openai")
    message = content_of(
        ThinkingDelta("Hm"), ThinkingBlock("Hm", "sig", "p"), ThinkingDelta("So"), encrypted
    )
    assert message.content == (ThinkingBlock("Hm", "sig", "p"), encrypted)


def test_pieces_that_nothing_closes_are_kept_in_their_order() -> None:
    message = content_of(ThinkingDelta("Hm"), TextBlock("a"), TextDelta("b"), ThinkingDelta("So"))
    assert message.content == (
        ThinkingBlock("Hm"),
        TextBlock("a"),
        TextBlock("b"),
        ThinkingBlock("So"),
    )


def test_a_call_that_is_renamed_keeps_all_else() -> None:
    call = ToolUseBlock("c1", "x", {}, "{", "sig", "gemini")
    (renamed,) = content_of(call, taken=("c1",)).content
    assert isinstance(renamed, ToolUseBlock)
    assert renamed.id != "c1"
    assert renamed == ToolUseBlock(renamed.id, "x", {}, "{", "sig", "gemini")
