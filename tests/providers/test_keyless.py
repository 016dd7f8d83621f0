"""The keyless model: it obeys the message, and keeps no state."""

from contextlib import aclosing

from wingman.conversation import Message, TextBlock, ToolResultBlock, ToolUseBlock
from wingman.providers import Finished, Keyless, TextDelta, ToolSpec, Transport

BASH = ToolSpec(
    "bash",
    "Run a command.",
    {
        "type": "object",
        "properties": {"timeout": {"type": "number"}, "command": {"type": "string"}},
        "required": ["command"],
    },
)
WAIT = ToolSpec("wait", "Wait.", {"type": "object", "properties": {"seconds": {"type": "number"}}})


async def step(ask, messages) -> Message:
    """One inference of a fresh instance, as the message that the history keeps."""
    async with aclosing(Keyless().stream(ask(messages, tools=(BASH, WAIT)), Transport())) as parts:
        got = [part async for part in parts]
    assert isinstance(got[-1], Finished)
    text = "".join(part.text for part in got if isinstance(part, TextDelta))
    calls = tuple(part for part in got if isinstance(part, ToolUseBlock))
    return Message("assistant", calls or (TextBlock(text),))


def answered(message: Message, *contents: str, is_error: bool = False) -> Message:
    results = zip(message.tool_uses, contents, strict=True)
    return Message("user", tuple(ToolResultBlock(use.id, text, is_error) for use, text in results))


async def run(ask, messages: list[Message]) -> tuple[list[list[tuple]], str]:
    """All steps of a run, each call answered with its number; the calls, and the response."""
    steps: list[list[tuple]] = []
    while True:
        said = await step(ask, messages)
        if not said.tool_uses:
            return steps, said.text
        steps.append([(use.name, use.input) for use in said.tool_uses])
        contents = [f"result {len(steps)}.{n}" for n, _ in enumerate(said.tool_uses)]
        messages += [said, answered(said, *contents)]


async def test_lines_are_parallel_calls_and_a_rule_begins_the_next_step(ask):
    text = "Please:\n!bash ls -l\n!wait 2\n---\n!bash pwd\nThank you."
    steps, response = await run(ask, [Message.user(text)])
    assert steps == [
        [("bash", {"command": "ls -l"}), ("wait", {"seconds": 2})],
        [("bash", {"command": "pwd"})],
    ]
    for result in ("result 1.0", "result 1.1", "result 2.0"):
        assert result in response
    assert "no language model" in response


async def test_the_rest_may_be_a_json_object_and_need_not_be_one(ask):
    text = '!bash {"command": "ls", "timeout": 3}\n!bash { echo hi; }\n!bash 42\n!bash'
    steps, _ = await run(ask, [Message.user(text)])
    assert [input for _, input in steps[0]] == [
        {"command": "ls", "timeout": 3},
        {"command": "{ echo hi; }"},
        {"command": "42"},
        {},
    ]


async def test_an_unknown_tool_is_called_all_the_same(ask):
    steps, _ = await run(ask, [Message.user("!nonesuch a b")])
    assert steps == [[("nonesuch", {"input": "a b"})]]


async def test_text_without_a_call_is_answered_with_how_to_use_it(ask):
    said = await step(ask, [Message.user("What files are here?\n---\n")])
    assert "no language model" in said.text
    assert "!tool rest" in said.text
    assert "bash, wait" in said.text


async def test_only_the_last_message_of_the_user_counts(ask):
    history = [Message.user("!bash one")]
    await run(ask, history)
    history += [Message("assistant", (TextBlock("Done."),)), Message.user("!bash two")]
    steps, response = await run(ask, history)
    assert steps == [[("bash", {"command": "two"})]]
    ids = [use.id for message in history for use in message.tool_uses]
    assert len(set(ids)) == len(ids) == 2
    assert response.count("result") == 2  # "The results", and the one of this run


async def test_a_message_that_comes_together_with_results_counts_as_said(ask):
    said = await step(ask, [Message.user("!bash one")])
    both = Message("user", (*answered(said, "cancelled").content, TextBlock("!bash two")))
    again = await step(ask, [Message.user("!bash one"), said, both])
    assert [use.input for use in again.tool_uses] == [{"command": "two"}]


async def test_what_an_earlier_message_asked_for_that_was_cut_off_is_not_done(ask):
    joined = Message("user", (TextBlock("!bash one"), TextBlock("!bash two")))
    again = await step(ask, [joined])
    assert [use.input for use in again.tool_uses] == [{"command": "two"}]


async def test_a_failure_is_told_and_a_long_result_is_cut(ask):
    task = Message.user("!bash one\n!bash two")
    said = await step(ask, [task])
    first, second = said.tool_uses
    results = Message(
        "user",
        (
            ToolResultBlock(first.id, "no such file", True),
            ToolResultBlock(second.id, "x" * 5000, False),
        ),
    )
    response = (await step(ask, [task, said, results])).text
    assert "bash failed:\nno such file" in response
    assert "… and 1000 characters more" in response
