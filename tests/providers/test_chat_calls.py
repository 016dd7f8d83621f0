"""Tool calls of chat completions do not merge, whatever a server does with indexes, ids and names.

Each case is a habit of some server. A piece is (index, id, name, arguments).
"""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_wires import openai_delta, sse
from wingman.conversation import ToolUseBlock
from wingman.providers.openai import ChatTranslator
from wingman.providers.wire import CallIds
from wingman.sse import SSEDecoder

_ = None
ONE, TWO = ("x", {"n": 1}), ("x", {"n": 2})
TWO_OTHERS = [("x", {"n": 1}), ("y", {"m": 2})]


def delta(index, id, name, arguments) -> dict:
    function = {"name": name, "arguments": arguments}
    call = {"index": index, "id": id, "function": {k: v for k, v in function.items() if v != _}}
    return {key: value for key, value in call.items() if value is not None}


def read(*chunks: list[dict]) -> list[ToolUseBlock]:
    translator = ChatTranslator("openai", CallIds())
    events = [*(openai_delta(tool_calls=chunk) for chunk in chunks), openai_delta("tool_calls")]
    parts = [
        part
        for event in SSEDecoder().feed(sse(*events, named=False))
        for part in translator.feed(event)
    ]
    calls = [part for part in [*parts, *translator.end()] if isinstance(part, ToolUseBlock)]
    assert len({call.id for call in calls}) == len(calls)
    return calls


HABITS = {
    "no index and no id, whole": ([(_, _, "x", '{"n": 1}'), (_, _, "y", '{"m": 2}')], TWO_OTHERS),
    "no index and no id, in pieces": (
        [(_, _, "x", '{"n"'), (_, _, _, ": 1}"), (_, _, "y", '{"m"'), (_, _, _, ": 2}")],
        TWO_OTHERS,
    ),
    "no index and no id, the same tool twice": (
        [(_, _, "x", '{"n": 1}'), (_, _, "x", '{"n": 2}')],
        [ONE, TWO],
    ),
    "no index and no id, the same tool twice, its name first": (
        [
            (_, _, "x", ""),
            (_, _, _, '{"n": 1}'),
            (_, _, "x", ""),
            (_, _, _, '{"n"'),
            (_, _, _, ": 2}"),
        ],
        [ONE, TWO],
    ),
    "one index for all and no id, the same tool twice, its name first": (
        [(0, _, "x", ""), (0, _, "", '{"n": 1}'), (0, _, "x", ""), (0, _, "", '{"n": 2}')],
        [ONE, TWO],
    ),
    "the name with each piece, the last one empty": (
        [(0, _, "x", '{"n"'), (0, _, "x", ": 1}"), (0, _, "x", "")],
        [ONE],
    ),
    "no index and no id, objects": (
        [(_, _, "x", {"n": 1}), (_, _, "x", {"n": 2})],
        [ONE, TWO],
    ),
    "no index and no id, the same without arguments": (
        [(_, _, "x", {}), (_, _, "x", {})],
        [("x", {}), ("x", {})],
    ),
    "no index, empty ids": (
        [(_, "", "x", '{"n": 1}'), (_, "", "y", '{"m": 2}')],
        TWO_OTHERS,
    ),
    "no index, an id with the first piece": (
        [(_, "a", "x", '{"n"'), (_, _, _, ": 1}"), (_, "b", "y", '{"m"'), (_, _, _, ": 2}")],
        TWO_OTHERS,
    ),
    "no index, an id with each piece, interleaved": (
        [(_, "a", "x", '{"n"'), (_, "b", "y", '{"m"'), (_, "a", _, ": 1}"), (_, "b", _, ": 2}")],
        TWO_OTHERS,
    ),
    "no index, an id and a name with each piece": (
        [(_, "a", "x", '{"n"'), (_, "a", "x", ": 1}"), (_, "b", "x", '{"n"'), (_, "b", "x", ":2}")],
        [ONE, TWO],
    ),
    "index 0 for all, ids, whole": (
        [(0, "a", "x", '{"n": 1}'), (0, "b", "x", '{"n": 2}')],
        [ONE, TWO],
    ),
    "index 0 for all, pieces named by id, interleaved": (
        [(0, "a", "x", '{"n"'), (0, "b", "x", '{"n"'), (0, "a", _, ": 1}"), (0, "b", _, ": 2}")],
        [ONE, TWO],
    ),
    "index 0 for all, pieces without id": (
        [(0, "a", "x", '{"n"'), (0, _, _, ": 1}"), (0, "b", "y", '{"m"'), (0, _, _, ": 2}")],
        TWO_OTHERS,
    ),
    "index 0 for all, no ids": ([(0, _, "x", '{"n": 1}'), (0, _, "y", '{"m": 2}')], TWO_OTHERS),
    "index 0 for all, no ids, the same tool": (
        [(0, _, "x", '{"n": 1}'), (0, _, "x", '{"n": 2}')],
        [ONE, TWO],
    ),
    "index as it should be, no ids": (
        [(0, _, "x", '{"n"'), (1, _, "x", '{"n"'), (0, _, _, ": 1}"), (1, _, _, ": 2}")],
        [ONE, TWO],
    ),
    "index as it should be, one id for all": (
        [(0, "a", "x", '{"n": 1}'), (1, "a", "x", '{"n": 2}')],
        [ONE, TWO],
    ),
    "index as it should be, one id for all, in pieces": (
        [(0, "a", "x", '{"n"'), (1, "a", "x", '{"n"'), (0, "a", _, ": 1}"), (1, "a", _, ": 2}")],
        [ONE, TWO],
    ),
    "one id for all, no index": (
        [(_, "a", "x", '{"n": 1}'), (_, "a", "y", '{"m": 2}')],
        TWO_OTHERS,
    ),
    "a name with each piece, no id": (
        [(0, _, "x", '{"n"'), (0, _, "x", ": 1"), (0, _, "x", "}")],
        [ONE],
    ),
    "a name with each piece, no id and no index": (
        [(_, _, "x", ""), (_, _, "x", '{"n"'), (_, _, "x", ": 1}"), (_, _, "x", "")],
        [ONE],
    ),
    "an id and a name with each piece, with an index": (
        [(0, "a", "x", '{"n"'), (0, "a", "x", ": 1}"), (0, "a", "x", "")],
        [ONE],
    ),
    "empty names with the pieces": (
        [(0, "a", "x", ""), (0, "", "", '{"n"'), (0, "", "", ": 1}")],
        [ONE],
    ),
    "a new id with each piece": ([(0, "a", "x", '{"n"'), (0, "b", _, ": 1}")], [ONE]),
    "the id first, then the name, then the arguments": (
        [(0, "a", _, _), (0, _, "x", _), (0, _, _, '{"n": 1}')],
        [ONE],
    ),
    "the whole call once more at the end": (
        [(0, "a", "x", '{"n"'), (0, "a", _, ": 1}"), (0, "a", "x", '{"n": 1}')],
        [ONE],
    ),
    "an object once more": ([(0, "a", "x", {"n": 1}), (0, "a", "x", {"n": 1})], [ONE]),
    "numbers as ids": ([(_, 1, "x", '{"n": 1}'), (_, 2, "y", '{"m": 2}')], TWO_OTHERS),
    "no arguments": ([(0, "a", "x", ""), (1, "b", "y", _)], [("x", {}), ("y", {})]),
    "an index that begins at 1, with holes": (
        [(1, "a", "x", '{"n": 1}'), (5, "b", "y", '{"m": 2}')],
        TWO_OTHERS,
    ),
    "a text as index": ([("0", "a", "x", '{"n"'), ("0", _, _, ": 1}")], [ONE]),
}


@pytest.mark.parametrize("habit", HABITS)
def test_calls_are_told_apart_chunk_by_chunk(habit):
    pieces, expected = HABITS[habit]
    calls = read(*([delta(*piece)] for piece in pieces))
    assert [(call.name, call.input) for call in calls] == expected
    assert all(call.malformed is None for call in calls)


@pytest.mark.parametrize("habit", HABITS)
def test_calls_are_told_apart_in_one_chunk(habit):
    pieces, expected = HABITS[habit]
    calls = read([delta(*piece) for piece in pieces])
    assert [(call.name, call.input) for call in calls] == expected


def test_ids_are_kept_where_there_are_any():
    assert [c.id for c in read([delta(_, "a", "x", "{}")], [delta(_, "b", "x", "{}")])] == [
        "a",
        "b",
    ]


def test_a_call_may_lack_its_function_or_be_of_the_older_kind():
    (flat,) = read([{"index": 0, "id": "a", "name": "x", "arguments": {"n": 1}}])
    assert (flat.name, flat.input) == ONE
    translator = ChatTranslator("openai", CallIds())
    older = [
        openai_delta(function_call={"name": "x", "arguments": '{"n"'}),
        openai_delta(function_call={"arguments": ": 1}"}),
        openai_delta("function_call"),
    ]
    for event in SSEDecoder().feed(sse(*older, named=False)):
        assert not list(translator.feed(event))
    call, _finished = translator.end()
    assert (call.name, call.input) == ONE


INPUTS = st.lists(
    st.tuples(st.sampled_from("xyz"), st.dictionaries(st.sampled_from("ab"), st.text(max_size=5))),
    min_size=1,
    max_size=4,
)


@given(calls=INPUTS, places=st.lists(st.integers(0, 30), max_size=4), data=st.data())
def test_whatever_the_calls_and_however_they_are_cut_they_come_out_as_they_were(
    calls, places, data
):
    """Of all habits with an id or an index for each call; its pieces one after another."""
    habit = data.draw(st.sampled_from(["both", "index", "id", "id once", "id, index 0", "name"]))
    pieces = []
    for number, (name, input) in enumerate(calls):
        text = json.dumps(input)
        edges = [0, *sorted({place % len(text) for place in places} - {0}), len(text)]
        for begin, end in pairwise(edges):
            first = begin == 0
            index = {"both": number, "index": number, "name": number, "id, index 0": 0}.get(habit)
            id = f"c{number}" if habit not in ("index", "id once") or first else None
            id = None if habit == "index" else id
            named = name if first or habit == "name" else None
            pieces.append([delta(index, id, named, text[begin:end])])
    assert [(call.name, call.input) for call in read(*pieces)] == calls


@pytest.mark.parametrize("arguments", [_, "", "{}"])
def test_calls_of_one_list_are_as_many_as_it_has(arguments: str | None) -> None:
    calls = read([delta(_, _, "x", arguments), delta(_, _, "x", arguments)])
    assert [(call.name, call.input, call.malformed) for call in calls] == [("x", {}, None)] * 2
