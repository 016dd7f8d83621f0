"""What `edit` does with line ends, and how much it will make of a file."""

import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from wingman.errors import ToolError
from wingman.tools import ToolContext, edit, write
from wingman.tools.editing import LARGEST, substitute

ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}


def edited(raw: bytes | str, old: str, new: str, *, replace_all: bool = False) -> bytes:
    data = raw.encode() if isinstance(raw, str) else raw
    return bytes(substitute(data, old, new, "f", replace_all=replace_all).data)


# --- line ends ----------------------------------------------------------------------------------


CHANGES = [
    ("two", "2a|2b"),
    ("two|three", "2"),
    ("one|two", "1|2|3"),
    ("two|", "2|2|"),
    ("|three|", "|"),
]
# A carriage return alone ends lines in a file that has no other ends, and nowhere else.
MIXTURES = [
    (file, old, new)
    for file in ENDS.values()
    for old in ENDS.values()
    for new in ENDS.values()
    if file == "\r" or "\r" not in (old, new)
]


@pytest.mark.parametrize(("file_end", "old_end", "new_end"), MIXTURES)
@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_what_is_replaced_has_the_line_ends_of_the_file(
    file_end: str, old_end: str, new_end: str, old: str, new: str
) -> None:
    text = "one|two|three|"
    raw = text.replace("|", file_end)
    expected = text.replace(old, new).replace("|", file_end)
    assert edited(raw, old.replace("|", old_end), new.replace("|", new_end)) == expected.encode()


@pytest.mark.parametrize(
    ("raw", "old", "new", "expected"),
    [
        # What is between is like what it replaces; what stays at both its ends keeps what it had.
        ("a\r\nb\nc\r\n", "b", "B", "a\r\nB\nc\r\n"),
        ("a\r\nb\nc\r\n", "a\nb", "a\nB", "a\r\nB\nc\r\n"),
        ("a\r\nb\nc\r\nd\r\n", "a\nb\nc\n", "a\nnew\nb\nc\n", "a\r\nnew\r\nb\nc\r\nd\r\n"),
        ("a\nb\nc\r\nd\n", "b\nc\n", "x\ny\nc\n", "a\nx\ny\nc\r\nd\n"),
        ("a\nb\r\nc\n", "c", "c\nd", "a\nb\r\nc\nd\n"),  # no line ends of its own: most of the file
        ("a\r\nb\r\nc\n", "c", "c\nd", "a\r\nb\r\nc\r\nd\n"),
        ("a\r\nb\nc\r\n", "a\nb\nc\n", "x", "x"),
        # Lone carriage returns are no line ends where there are others.
        ("50%\r100%\ndone\n", "50%\r100%", "100%", "100%\ndone\n"),
        ("a\r\r\nb\r\n", "a\r", "x", "x\r\nb\r\n"),
        # No end at the end, no end at all, a byte order mark.
        ("a\r\nb", "b", "b\nc", "a\r\nb\r\nc"),
        ("a", "a", "a\nb", "a\nb"),
        ("a", "a", "a\r\nb", "a\r\nb"),
        ("\ufeffa\r\nb\r\n", "a", "x\ny", "\ufeffx\r\ny\r\nb\r\n"),
        ("\ufeffa\nb\n", "a\nb", "x", "\ufeffx\n"),
    ],
)
def test_untouched_lines_stay_byte_for_byte(raw: str, old: str, new: str, expected: str) -> None:
    assert edited(raw, old, new) == expected.encode()


def test_everywhere_means_whatever_ends_the_lines() -> None:
    raw = "a\r\nb\r\n--\na\nb\n--\r\na\nb"
    assert edited(raw, "a\nb", "x\ny\nz", replace_all=True) == (
        b"x\r\ny\r\nz\r\n--\nx\ny\nz\n--\r\nx\ny\nz"
    )
    with pytest.raises(ToolError, match="found 3 times"):
        edited(raw, "a\r\nb", "x")


TEXT = st.lists(st.sampled_from(["a", "b", "\n", "\r\n", "é", "\ufeff"]), max_size=14).map("".join)


def plain(text: bytes | str) -> str:
    return (text.decode() if isinstance(text, bytes) else text).replace("\r\n", "\n")


@settings(deadline=None)
@given(before=TEXT, old=TEXT.filter(bool), after=TEXT, new=TEXT)
@example(before="a\r\n", old="b", after="\n", new="")
@example(before="a\r\n", old="b\n", after="a\n", new="b\nb\n")
def test_the_lines_are_as_told_and_the_rest_is_as_it_was(
    before: str, old: str, after: str, new: str
) -> None:
    raw = before + old + after
    text, sought = plain(raw), plain(old)
    assume(text.find(sought) == text.rfind(sought) == len(plain(before)))
    assume(sought != plain(new))
    result = edited(raw, old, new)
    assert plain(result) == plain(before) + plain(new) + plain(after)
    assert result.startswith(before.encode())
    assert result.endswith(after.encode())
    ends = set(re.findall(r"\r?\n", raw))
    if ends:
        assert set(re.findall(r"\r?\n", result.decode())) <= ends


SHORT = st.text("ab\n", max_size=200)


@settings(deadline=None)
@given(before=SHORT, old=st.text("ab\n", min_size=1, max_size=4), after=SHORT, new=TEXT)
def test_everywhere_is_what_python_calls_replace(
    before: str, old: str, after: str, new: str
) -> None:
    assume(plain(new) != old)
    text = f"{before}{old}{after}\n"
    assert edited(text, old, new, replace_all=True) == text.replace(old, plain(new)).encode()


@pytest.mark.parametrize("old", ["x" * 40, "ab" * 30_000 + "c", "\n"])
@pytest.mark.parametrize("mixed", [False, True])
def test_what_lies_across_two_windows_is_found(old: str, mixed: bool) -> None:
    gaps = (65_500, 65_536 * 2 - 7, 10, 0, 300_000)
    text = ("\r\n" if mixed else "") + old.join("y" * gap for gap in gaps) + "z\n"
    count = text.count(old)
    outcome = substitute(text.encode(), old, "<>", "f", replace_all=True)
    assert outcome.count == count
    expected = (
        text.replace(old, "<>") if old != "\n" else text.replace("\r\n", "\n").replace("\n", "<>")
    )
    assert bytes(outcome.data) == expected.encode()


def test_the_line_that_is_told_is_the_line_of_the_file() -> None:
    for end in ENDS.values():
        raw = end.join(["x"] * 70_000 + ["needle", "x"]).encode()
        assert substitute(raw, "needle", "y", "f", replace_all=False).line == 70_001


def test_a_change_of_line_ends_alone_says_where_to_make_it() -> None:
    with pytest.raises(ToolError, match="line ends alone"):
        edited("a\r\nb", "a\r\nb", "a\nb")


# --- encodings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("one\n".encode("utf-16"), r"UTF-16: change it in bash, where `iconv"),
        ("one\n".encode("utf-16-be"), "binary, or text in another encoding such as UTF-16"),
        (b"caf\xe9", "not UTF-8 text"),
        (b"x" * 999_999 + "é".encode() + b"\xff", "not UTF-8 text"),
        (b"a\0b", "binary"),
    ],
)
async def test_what_is_no_utf_8_says_what_to_do(
    content: bytes, problem: str, context: ToolContext
) -> None:
    path = context.work_dir / "f"
    path.write_bytes(content)
    with pytest.raises(ToolError, match=problem):
        await edit.call({"path": "f", "old": "one", "new": "x"}, context)
    assert path.read_bytes() == content


async def test_a_character_on_the_border_of_two_pieces_is_whole(context: ToolContext) -> None:
    (context.work_dir / "f").write_bytes(b"x" * 999_999 + "é!".encode())
    await edit.call({"path": "f", "old": "é!", "new": "e"}, context)
    assert (context.work_dir / "f").read_bytes() == b"x" * 999_999 + b"e"


# --- bounds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"a" * 1_000_000, b"a" * 1_000_000 + b"\n\r\n"])
@pytest.mark.parametrize("new", ["b" * 2_000, "b\n" * 1_000, "b" * 9_000_000])
async def test_what_would_be_too_large_is_refused(
    content: bytes, new: str, context: ToolContext
) -> None:
    path = context.work_dir / "f"
    path.write_bytes(content)
    with pytest.raises(ToolError, match="would have more than 10,000,000 bytes"):
        await edit.call({"path": "f", "old": "a", "new": new, "replace_all": True}, context)
    assert path.read_bytes() == content


def test_it_is_refused_before_it_is_made() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ToolError, match="would have more"):
            edited(b"a" * 100_000, "a", "b" * 20_000, replace_all=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_line_ends_count_as_what_they_are() -> None:
    raw = b"a\r\n" * 2_000_000
    with pytest.raises(ToolError, match="would have more"):
        edited(raw, "a", "a\na", replace_all=True)  # 8 MB with line feeds, and 12 MB as it is


@pytest.mark.parametrize(
    "input",
    [
        {"path": "f", "content": "x" * (LARGEST + 1)},
        {"path": "f", "content": "é" * (LARGEST // 2 + 1)},
    ],
)
async def test_write_refuses_what_is_too_large(input: Any, context: ToolContext) -> None:
    with pytest.raises(ToolError, match="too large: a file that is written has 10,000,000 bytes"):
        await write.call(input, context)
    assert list(context.work_dir.iterdir()) == []


async def test_a_file_that_is_too_large_is_not_edited(context: ToolContext) -> None:
    with (context.work_dir / "f").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(ToolError, match="too large to edit, with more than 10,000,000 bytes"):
        await edit.call({"path": "f", "old": "x", "new": "y"}, context)


def test_an_old_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ToolError, match="old is too long: 250,000 bytes are the most"):
        edited("x", "y" * 250_001, "z")
