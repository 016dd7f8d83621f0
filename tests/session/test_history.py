"""The rules of a history hold for whatever it is made of."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from session_kit import assert_sendable, assert_valid
from wingman import Message
from wingman.conversation import NO_USAGE, CutShort, TextBlock, ToolResultBlock, ToolUseBlock
from wingman.events import summarize
from wingman.run.history import alternate, complete_step, repair

IDS = st.sampled_from(["a", "b", "c", "d"])
TEXT = st.builds(TextBlock, st.sampled_from(["x", "y"]))
USE = st.builds(ToolUseBlock, IDS, st.just("say"), st.just({}))
RESULT = st.builds(ToolResultBlock, IDS, st.sampled_from(["1", "2"]), st.booleans())
ANYTHING = st.lists(
    st.one_of(
        st.builds(Message, st.just("user"), st.lists(st.one_of(TEXT, RESULT)).map(tuple)),
        st.builds(Message, st.just("assistant"), st.lists(st.one_of(TEXT, USE)).map(tuple)),
    ),
    max_size=8,
)


@st.composite
def valid_histories(draw: st.DrawFn) -> list[Message]:
    """What runs leave: a user's message, whole steps, perhaps a final text; run after run."""
    messages: list[Message] = []
    number = 0
    for _ in range(draw(st.integers(0, 3))):
        messages.append(Message("user", (draw(TEXT),)))
        for _ in range(draw(st.integers(0, 2))):
            ids = [f"t{number + n}" for n in range(draw(st.integers(1, 3)))]
            number += len(ids)
            uses = tuple(ToolUseBlock(id, "say", {}) for id in ids)
            messages.append(Message("assistant", (*draw(st.lists(TEXT, max_size=1)), *uses)))
            results = tuple(ToolResultBlock(id, "ok", is_error=False) for id in ids)
            messages.append(Message("user", results))
        if draw(st.booleans()):
            messages.append(Message("assistant", (draw(TEXT),), draw(CUT)))
    return messages


CUT: st.SearchStrategy[CutShort | None] = st.sampled_from([None, "cancelled", "failed"])


@given(ANYTHING)
def test_a_repaired_history_is_valid_and_repairing_it_again_changes_nothing(
    messages: list[Message],
) -> None:
    repaired = list(repair(messages))
    assert_valid(repaired)
    assert list(repair(repaired)) == repaired


@given(ANYTHING)
def test_repairing_keeps_every_text_and_every_first_call(messages: list[Message]) -> None:
    repaired = list(repair(messages))
    assert "".join(m.text for m in repaired) == "".join(m.text for m in messages)
    calls = {use.id for m in messages if m.role == "assistant" for use in m.tool_uses}
    assert [use.id for m in repaired for use in m.tool_uses].count("a") <= 1
    assert {use.id for m in repaired for use in m.tool_uses} == calls


@given(valid_histories())
def test_a_valid_history_is_left_as_it_is(messages: list[Message]) -> None:
    repaired = list(repair(messages))
    assert repaired == messages
    assert all(new is old for new, old in zip(repaired, messages, strict=True))


@given(valid_histories(), st.data())
def test_a_step_that_lost_results_gets_errors_in_their_place(
    messages: list[Message], data: st.DataObject
) -> None:
    given_ids = [b.tool_use_id for m in messages for b in m.content if type(b) is ToolResultBlock]
    lost = set(data.draw(st.lists(st.sampled_from(given_ids)))) if given_ids else set()
    holed = [
        Message(
            m.role,
            tuple(b for b in m.content if getattr(b, "tool_use_id", None) not in lost),
            m.cut_short,
        )
        for m in messages
    ]
    repaired = list(repair(holed))
    assert_valid(repaired)
    marked = {
        b.tool_use_id
        for m in repaired
        for b in m.content
        if isinstance(b, ToolResultBlock) and b.cut_short == "interrupted" and b.is_error
    }
    assert marked == lost


@given(valid_histories())
def test_alternating_joins_neighbours_and_loses_nothing(messages: list[Message]) -> None:
    joined = alternate(messages)
    assert all(a.role != b.role for a, b in pairwise(joined))
    assert [b for m in joined for b in m.content] == [b for m in messages for b in m.content]
    assert_valid(joined)
    assert alternate(joined) == joined
    assert_sendable(alternate([*messages, Message.user("next")]))


def test_alternating_leaves_alone_what_alternates() -> None:
    messages = (Message.user("a"), Message("assistant", (TextBlock("b"),)), Message.user("c"))
    assert alternate(messages) is messages


@given(st.lists(IDS, unique=True), st.sets(IDS))
def test_a_completed_step_answers_each_call_once_and_in_order(
    called: list[str], answered: set[str]
) -> None:
    message = Message("assistant", tuple(ToolUseBlock(id, "say", {}) for id in called))
    results = {id: ToolResultBlock(id, "ok", is_error=False) for id in answered}
    step = complete_step(message, results, "nothing came", "cancelled")
    assert_valid(step)
    if called:
        assert [
            (b.tool_use_id, b.content, b.cut_short)
            for b in step[1].content
            if isinstance(b, ToolResultBlock)
        ] == [
            (id, "ok", None) if id in answered else (id, "nothing came", "cancelled")
            for id in called
        ]
    else:
        assert step == ()


@given(valid_histories())
def test_a_summary_has_every_call_and_the_text_after_the_last_result_and_the_last_demand(
    messages: list[Message],
) -> None:
    result = summarize("r1", messages, "end_turn", 3, NO_USAGE)
    uses = Counter(use.id for m in messages for use in m.tool_uses)
    assert Counter(call.id for call in result.tool_calls) == uses
    last = max(
        (i for i, m in enumerate(messages) if isinstance(m.content[0], ToolResultBlock)),
        default=-1,
    )
    said = [i for i, m in enumerate(messages) if m.role == "assistant" and i > last]
    # Those after the user's last text that was answered.
    anew = max((i for i in said if i > last + 1 and messages[i - 1].role == "user"), default=0)
    assert result.response == "".join(messages[i].text for i in said if i >= anew)
    assert (result.run_id, result.stop_reason, result.steps) == ("r1", "end_turn", 3)
