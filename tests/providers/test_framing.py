"""Decoders: whatever the chunks, the same events."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman.providers.wire import decode
from wingman.sse import Fault, LineDecoder, ServerSentEvent, SSEDecoder

STREAM = (
    b"\xef\xbb\xbf: a comment\r\n"
    b"event: first\r\ndata: one\r\ndata:two\r\n\r\n"
    b"data\n\n"
    b"id: 7\nretry: 10\n\n"
    b"event: lost\n\n"
    b"data:  \xc3\xa9\r\r"
    b"unknown: x\ndata: a: b\n\n"
    b"data: never ended"
)

EVENTS = [
    ServerSentEvent("first", b"one\ntwo"),
    ServerSentEvent("message", b""),
    ServerSentEvent("message", " é".encode()),
    ServerSentEvent("message", b"a: b"),
]


def fed(decoder, pieces):
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + list(decoder.end())


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def test_events_are_those_of_the_specification():
    assert fed(SSEDecoder(), [STREAM]) == EVENTS


@pytest.mark.parametrize("place", range(len(STREAM) + 1))
def test_a_stream_may_be_cut_at_every_byte(place):
    assert fed(SSEDecoder(), cut(STREAM, [place])) == EVENTS


def test_a_stream_may_come_byte_by_byte():
    assert fed(SSEDecoder(), [bytes([byte]) for byte in STREAM]) == EVENTS


TEXT = st.lists(st.sampled_from([b"a", b":", b" ", b"\n", b"\r", b"\r\n", b"data: x"])).map(
    b"".join
)


@given(TEXT, st.data())
def test_where_the_chunks_end_makes_no_difference(text, data):
    places = data.draw(st.lists(st.integers(0, len(text))))
    assert fed(SSEDecoder(), cut(text, places)) == fed(SSEDecoder(), [text])
    assert fed(LineDecoder(), cut(text, places)) == fed(LineDecoder(), [text])


@given(TEXT)
def test_lines_are_what_python_splits_at_these_three_ends(text):
    assert fed(LineDecoder(), [text]) == text.splitlines()


def test_a_line_without_end_is_bounded():
    decoder = LineDecoder(limit=10)
    assert decoder.feed(b"0123456789") == []
    with pytest.raises(Fault, match="longer than 10 bytes"):
        decoder.feed(b"x")


def test_an_event_of_many_lines_is_bounded():
    decoder = SSEDecoder(limit=15)
    with pytest.raises(Fault, match="larger than 15 bytes"):
        decoder.feed(b"data: 123456\n" * 3)


def test_what_is_bounded_is_one_event_not_the_stream():
    decoder = SSEDecoder(limit=20)
    assert len(decoder.feed(b"data: 123456\n\n" * 100)) == 100


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (rb'"\ud83c"', "\ufffd"),
        (rb'"x\udf0dy"', "x\ufffdy"),
        (rb'"\ud83c\ud83c\udf0d"', "\ufffd\U0001f30d"),
        (rb'"\\ud83c \ud83c"', r"\ud83c " + "\ufffd"),
        (rb'"\ud83c\udf0d"', "\U0001f30d"),
    ],
)
def test_half_a_character_does_not_break_the_stream(text, read):
    assert decode(text, str) == read


def test_what_is_no_json_is_a_fault_all_the_same():
    with pytest.raises(Fault):
        decode(rb'{"a": \ud83c}', dict)
