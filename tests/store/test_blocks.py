"""Every kind of block comes back from the store as it went in."""

from store.samples import USAGE, admit, moment
from wingman.conversation import (
    ImageBlock,
    Message,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from wingman.store import (
    CallEnded,
    PendingStep,
    RunStarted,
    StepEnded,
    StepRecorded,
    Store,
)

IMAGE = ImageBlock("image/png", "iVBO")
ASKED = Message("user", (TextBlock("Look."), IMAGE))
SAID = Message(
    "assistant",
    (
        ThinkingBlock("Hm.", "sig", "anthropic"),
        RedactedThinkingBlock('{"type": "reasoning"}', "openai"),
        TextBlock("", "sig", "gemini"),
        ToolUseBlock("t1", "shoot", {"n": 1}, signature="sig", provider="gemini"),
        ToolUseBlock("t2", "shoot", {}, malformed="{"),
    ),
    "cancelled",
)
RESULTS = (
    ToolResultBlock(
        "t1", "", False, images=(IMAGE, IMAGE), structured={"a": [1, 2.5, None, "\0é", {}]}
    ),
    ToolResultBlock("t2", "no", True, "cancelled"),
)


async def test_images_signatures_reasoning_and_structured_results_come_back_as_they_went_in(
    store: Store,
) -> None:
    admit(store)
    store.write(RunStarted("s1", "r1", moment(), ASKED, 1000))
    await store.write(
        StepRecorded("s1", "r1", 1, SAID, USAGE), CallEnded("s1", "r1", RESULTS[0])
    ).wait()
    assert await store.pending_step("r1") == PendingStep(1, SAID, USAGE, RESULTS[:1])
    messages = (SAID, Message("user", RESULTS))
    await store.write(StepEnded("s1", "r1", messages, 1, USAGE, 9)).wait()
    found = await store.session_with_history("s1")
    assert found is not None
    assert found[1] == (ASKED, *messages)
