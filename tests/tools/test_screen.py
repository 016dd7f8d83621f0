"""What the model reads of a command that writes over what it has written."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wingman.processes import Output
from wingman.processes.screen import Screen


def shown(*pieces: str, limit: int = 30_000) -> str:
    output = Output(limit, on_screen=True)
    for piece in pieces:
        output.add(piece.encode())
    output.add(b"", final=True)
    return output.text


CASES = [
    ("plain\ntext\n", "plain\ntext\n"),
    ("1%\r2%\r100%\ndone\n", "100%\ndone\n"),
    ("\r1%\r2%", "2%"),
    ("50%\r", "50%"),  # nothing came after it
    ("10 left\r9 left\n", "9 left\n"),  # a shorter state leaves nothing of a longer one
    ("dos\r\nlines\r\n", "dos\nlines\n"),
    ("dos\r\r\nlines", "dos\nlines"),
    ("\rReading 0%\r\rReading 100%\r\rReading Done\r\n", "Reading Done\n"),
    ("bar 10%\r\x1b[Kbar 20%\r\x1b[2Kbar 30%\n", "bar 30%\n"),
    ("gone\r\x1b[K\nnext", "\nnext"),
    ("gone\x1b[2K\x1b[1Gdone\n", "done\n"),
    ("gone\x1b[1Gdone\n", "done\n"),
    ("kept\x1b[K\n", "kept\n"),
    ("\x1b[31mred\x1b[0m \x1b[1;38;5;12mbold\x1b[m\n", "red bold\n"),
    ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07\n", "link\n"),
    ("\x1b[?25lhidden\x1b[?25h\n", "hidden\n"),
    ("\x1b(Bascii\x1b=\x1b>\n", "ascii\n"),
    ("|\b/\b-\b\\\bdone\n", "done\n"),
    ("N\bNA\bAM\bME\bE\n", "NAME\n"),
    ("abc\b\b\b\b\bx\n", "x\n"),
    ("one\b \b\n", "on\n"),
    ("a: 1\nb: 1\n\x1b[2A\ra: 2\nb: 2\n", "a: 2\nb: 2\n"),
    ("a: 1\nb: 1\n\x1b[1A\x1b[2Kb: done\x1b[1B\nend", "a: 1\nb: done\n\nend"),
    ("a\nb\nc\n\x1b[3A\x1b[Jnew\n", "new\n"),
    ("a\nb\n\x1b[2Fx\x1b[Ey\n", "x\ny\n"),
    ("a\n\x1bMb\n", "b\n"),
    ("kept\n\x1b[H\x1b[2Jmore\n", "kept\nmore\n"),
    ("\x1b[999999999999999999999Ax", "x"),
    ("lone \x1b\nescape", "lone \x1b\nescape"),
]


@pytest.mark.parametrize(("written", "expected"), CASES)
@pytest.mark.parametrize("piece", [1, 2, 3, 1_000])
def test_the_last_state_of_each_line_is_shown(written: str, expected: str, piece: int) -> None:
    pieces = [written[start : start + piece] for start in range(0, len(written), piece)]
    assert shown(*pieces) == expected


def test_thousands_of_states_are_one_line_and_take_no_room_of_others() -> None:
    states = "".join(f"\rDownloading {n} of 50000" for n in range(1, 50_001))
    pieces = [states[start : start + 65_536] for start in range(0, len(states), 65_536)]
    assert shown("begin\n", *pieces, "\nend\n", limit=200) == (
        "begin\nDownloading 50000 of 50000\nend\n"
    )


def test_head_and_tail_are_those_of_what_is_shown() -> None:
    text = shown(*(f"{n}%\r{n} done\n" for n in range(5_000)), limit=1_000)
    assert text.startswith("0 done\n1 done\n")
    assert text.endswith("\n4999 done\n")
    assert "characters cut" in text
    assert "%" not in text
    assert len(text) <= 1_000


@settings(deadline=None)
@given(st.lists(st.text("ab\n", max_size=200), max_size=30))
def test_text_without_such_characters_is_shown_as_it_is(pieces: list[str]) -> None:
    assert shown(*pieces) == "".join(pieces)


@settings(deadline=None)
@given(st.text(alphabet="a\n\r\b\x1b[]MAKJ21;\x07", max_size=200), st.data())
def test_how_it_is_cut_into_pieces_makes_no_difference(written: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=6)))
    pieces = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    assert shown(*pieces) == shown(written)


UNITS = ["\r", "\b", "a\b", "\n", "\r\n", "\x1b", "\x1b[A", "\x1b[Ax", "\x1b[K", "\x1b]", "x"]
UNITS += ["\x1b[", "\x1b[J", "\x1b[m\b", "\x1b[A\b", "x\x1b[2K", "\x1b[9", "\n\x1b[A"]


@pytest.mark.parametrize("unit", UNITS)
def test_whatever_is_written_costs_little_time_and_room(unit: str) -> None:
    screen = Screen()
    screen.write("y" * 60_000)
    screen.write("\n" * 50)
    for _ in range(3):
        began = time.process_time()
        screen.write(unit * (8_192 // len(unit)))  # as much as is worked on at once
        assert time.process_time() - began < 0.5  # 10 ms on an idle machine
        assert len(screen.rest) < 70_000
        assert screen.rest.count("\n") < 100


def test_other_output_is_kept_as_it_was_written() -> None:
    output = Output(100)
    output.add(b"a\rb\x1b[31m\n")
    assert output.text == "a\rb\x1b[31m\n"
