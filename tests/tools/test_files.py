"""The tools `read`, `write` and `edit`, and the one door to the file system."""

import base64
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pictures import plain
from wingman.errors import ToolError
from wingman.tools import ToolContext, ToolOutput, edit, read, write
from wingman.tools.paths import resolve


def put(context: ToolContext, name: str, content: str | bytes) -> Path:
    path = context.work_dir / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- the door ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["..", "../x", "a/../../x", "/etc/passwd", "/", "out/secret", "out", "to-secret", "dangling"],
)
async def test_no_path_leads_out_of_the_working_directory(path: str, context: ToolContext) -> None:
    outside = context.work_dir.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("hush")
    (context.work_dir / "out").symlink_to(outside)
    (context.work_dir / "to-secret").symlink_to(outside / "secret")
    (context.work_dir / "dangling").symlink_to(outside / "new")
    for call in (
        read.call({"path": path}, context),
        write.call({"path": path, "content": "x"}, context),
        edit.call({"path": path, "old": "hush", "new": "x"}, context),
    ):
        with pytest.raises(ToolError, match="outside of the working directory"):
            await call
    assert (outside / "secret").read_text() == "hush"
    assert not (outside / "new").exists()


async def test_absolute_paths_and_symlinks_within_are_followed(context: ToolContext) -> None:
    path = put(context, "a.txt", "hello\n")
    (context.work_dir / "link").symlink_to(path)
    assert await read.call({"path": str(path)}, context) == "     1\thello\n"
    await write.call({"path": "link", "content": "changed"}, context)
    assert (context.work_dir / "link").is_symlink()
    assert path.read_text() == "changed"


async def test_a_directory_with_the_same_beginning_is_another_one(context: ToolContext) -> None:
    twin = context.work_dir.with_name(context.work_dir.name + "-twin")
    twin.mkdir()
    with pytest.raises(ToolError, match="outside"):
        await read.call({"path": str(twin)}, context)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5_000, "loop"])
async def test_what_is_no_path_is_a_tool_error(path: str, context: ToolContext) -> None:
    (context.work_dir / "loop").symlink_to("loop")
    with pytest.raises(ToolError):
        await read.call({"path": path}, context)
    with pytest.raises(ToolError):
        await write.call({"path": path, "content": ""}, context)


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "up", "out", "abs", "/", ""]), max_size=8))
def test_every_path_is_refused_or_lies_in_the_working_directory(parts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        work_dir = root / "work"
        (work_dir / "a" / "b").mkdir(parents=True)
        (work_dir / "up").symlink_to("..")
        (work_dir / "a" / "out").symlink_to("../../other")
        (work_dir / "abs").symlink_to(work_dir / "a")
        path = "/".join(parts)
        try:
            resolved = resolve(ToolContext(work_dir), path)
        except ToolError:
            assert not os.path.realpath(work_dir / path).startswith(f"{work_dir}/")
        else:
            assert resolved.is_relative_to(work_dir)
            assert os.path.realpath(work_dir / path) == str(resolved)


# --- read -------------------------------------------------------------------------------------


async def test_lines_are_numbered_and_the_end_says_where_to_go_on(context: ToolContext) -> None:
    put(context, "a.txt", "one\ntwo\r\nthree\nfour")
    assert await read.call({"path": "a.txt"}, context) == (
        "     1\tone\n     2\ttwo\n     3\tthree\n     4\tfour\n"
    )
    assert await read.call({"path": "a.txt", "offset": 2, "limit": 1}, context) == (
        "     2\ttwo\n[The file goes on: read it with offset=3.]"
    )
    assert await read.call({"path": "a.txt", "offset": 4, "limit": 1}, context) == (
        "     4\tfour\n"
    )


async def test_followed_through_its_offsets_a_file_is_shown_whole(context: ToolContext) -> None:
    put(context, "a.txt", "".join(f"line {n}\n" for n in range(1, 1_001)))
    small = attrs.evolve(context, max_output=2_000)
    shown, offset = "", 1
    while True:
        part = await read.call({"path": "a.txt", "offset": offset}, small)
        assert len(part) <= 2_000
        lines, _, more = part.partition("[The file goes on: read it with offset=")
        shown += lines
        if not more:
            break
        offset = int(more.removesuffix(".]"))
    assert shown == "".join(f"{n:6}\tline {n}\n" for n in range(1, 1_001))


async def test_a_long_line_is_cut(context: ToolContext) -> None:
    put(context, "a.txt", "x" * 1_000_000 + "\nnext\n")
    assert await read.call({"path": "a.txt"}, context) == (
        f"     1\t{'x' * 2_000} [… 998,000 bytes cut …]\n     2\tnext\n"
    )


async def test_a_line_of_just_the_longest_length_is_whole(context: ToolContext) -> None:
    put(context, "a.txt", "x" * 2_000 + "\n")
    assert await read.call({"path": "a.txt"}, context) == f"     1\t{'x' * 2_000}\n"


async def test_an_empty_file_says_so(context: ToolContext) -> None:
    put(context, "a.txt", "")
    assert await read.call({"path": "a.txt"}, context) == "[The file is empty.]"


async def test_a_cancelled_read_of_an_endless_line_stops(context: ToolContext, heard: Any) -> None:
    with (context.work_dir / "sparse").open("wb") as file:
        file.write(b"x" * 10_000)
        file.truncate(200_000_000_000)  # takes no room, and minutes to read
    with trio.move_on_after(0.1) as scope:
        await read.call({"path": "sparse"}, context)
    assert scope.cancelled_caught
    assert heard.still_running == []


async def test_what_cannot_be_read_is_refused_with_what_to_do(context: ToolContext) -> None:
    put(context, "binary", b"\x7fELF\0\0")
    put(context, "settings.py", "x")
    (context.work_dir / "dir").mkdir()
    os.mkfifo(context.work_dir / "fifo")
    for path, problem in {
        "binary": "binary file of 6 bytes: look at it in bash",
        "dir": "is a directory: list it",
        "fifo": "a device, pipe or socket",
        "setings.py": r"There is no file setings\.py\. Its directory has settings\.py\.",
        "none/x": "directory does not exist",
    }.items():
        with pytest.raises(ToolError, match=problem):
            await read.call({"path": path}, context)
    with pytest.raises(ToolError, match="has 1 lines, so none at offset 2"):
        await read.call({"path": "settings.py", "offset": 2}, context)


# --- write ------------------------------------------------------------------------------------


async def test_write_makes_a_file_with_its_directories(context: ToolContext) -> None:
    said = await write.call({"path": "a/b/c.txt", "content": "grüezi\r\n"}, context)
    assert said == "Wrote 9 bytes to a/b/c.txt."
    assert (context.work_dir / "a/b/c.txt").read_bytes() == "grüezi\r\n".encode()


async def test_write_keeps_the_mode_of_what_it_replaces(context: ToolContext) -> None:
    path = put(context, "run.sh", "old")
    path.chmod(0o751)
    await write.call({"path": "run.sh", "content": "new"}, context)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o751)


async def test_a_new_file_has_the_mode_of_the_umask(context: ToolContext) -> None:
    await write.call({"path": "new", "content": ""}, context)
    put(context, "reference", "")
    new, reference = ((context.work_dir / name).stat().st_mode for name in ("new", "reference"))
    assert new == reference


async def test_who_has_the_old_file_open_reads_the_old_file(context: ToolContext) -> None:
    path = put(context, "a.txt", "old")
    with path.open() as file:
        await write.call({"path": "a.txt", "content": "new!"}, context)
        assert file.read() == "old"


async def test_a_write_that_fails_leaves_all_as_it_was(context: ToolContext) -> None:
    path = put(context, "a.txt", "old")
    path.chmod(0o444)
    (context.work_dir / "dir").mkdir()
    for input, problem in (
        ({"path": "a.txt", "content": "new"}, "read-only"),
        ({"path": "dir", "content": "new"}, "is a directory"),
        ({"path": "a.txt/b", "content": "new"}, "cannot be written"),
        ({"path": "new", "content": "\ud800"}, "UTF-8"),
    ):
        with pytest.raises(ToolError, match=problem):
            await write.call(input, context)
    assert path.read_text() == "old"
    assert sorted(path.name for path in context.work_dir.iterdir()) == ["a.txt", "dir"]


# --- edit -------------------------------------------------------------------------------------


async def test_edit_replaces_what_occurs_once(context: ToolContext) -> None:
    path = put(context, "a.py", "x = 1\ny = 2\n")
    said = await edit.call({"path": "a.py", "old": "y = 2", "new": "y = 3"}, context)
    assert said == "Replaced 1 occurrence, at line 2, in a.py."
    assert path.read_text() == "x = 1\ny = 3\n"


@pytest.mark.parametrize(
    ("content", "old", "problem"),
    [
        ("x x x", "x", "found 3 times"),
        ("aaa", "aa", "found 2 times"),  # they overlap, and which is meant is not clear
        ("x", "y", "found 0 times"),
        (b"\xff", "y", "not UTF-8"),
    ],
)
async def test_edit_refuses_what_is_not_clear_and_changes_nothing(
    content: str | bytes, old: str, problem: str, context: ToolContext
) -> None:
    path = put(context, "a.txt", content)
    before = path.read_bytes()
    with pytest.raises(ToolError, match=problem):
        await edit.call({"path": "a.txt", "old": old, "new": "z"}, context)
    assert path.read_bytes() == before


async def test_edit_refuses_a_change_that_is_none(context: ToolContext) -> None:
    put(context, "a.txt", "x")
    with pytest.raises(ToolError, match="nothing to change"):
        await edit.call({"path": "a.txt", "old": "x", "new": "x"}, context)


async def test_replace_all_replaces_all(context: ToolContext) -> None:
    path = put(context, "a.txt", "x x x")
    input = {"path": "a.txt", "old": "x", "new": "y", "replace_all": True}
    assert await edit.call(input, context) == "Replaced 3 occurrences in a.txt."
    assert path.read_text() == "y y y"


async def test_edit_keeps_the_files_line_endings(context: ToolContext) -> None:
    path = put(context, "a.txt", "one\r\ntwo\r\nthree\r\n")
    await edit.call({"path": "a.txt", "old": "one\ntwo", "new": "1\n2"}, context)
    assert path.read_bytes() == b"1\r\n2\r\nthree\r\n"


async def test_sibling_edits_of_one_file_are_all_kept(context: ToolContext) -> None:
    path = put(context, "a.txt", "".join(f"<{n}>\n" for n in range(30)))
    async with trio.open_nursery() as nursery:
        for n in range(30):
            nursery.start_soon(
                edit.call, {"path": "a.txt", "old": f"<{n}>", "new": f"[{n}]"}, context
            )
    assert path.read_text() == "".join(f"[{n}]\n" for n in range(30))


LETTERS = st.text(alphabet="ab\ufeffé", max_size=12)


@given(before=LETTERS, old=LETTERS.filter(bool), after=LETTERS, new=LETTERS)
@example(before="a", old="b", after="", new="")
def test_a_unique_text_is_replaced_and_nothing_else(
    before: str, old: str, after: str, new: str
) -> None:
    text = before + old + after
    assume(text.find(old) == text.rfind(old) == len(before))
    assume(old != new)
    with tempfile.TemporaryDirectory() as name:
        work_dir = Path(name).resolve()
        (work_dir / "f").write_bytes(text.encode())
        edit("f", old, new, ToolContext(work_dir))
        assert (work_dir / "f").read_bytes() == (before + new + after).encode()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_an_image_is_read_as_what_it_is(context: ToolContext, kind: str) -> None:
    data, media_type = plain(kind), f"image/{kind.lower()}"
    (context.work_dir / "image").write_bytes(data)
    output = await read.call({"path": "image"}, context)
    assert isinstance(output, ToolOutput)
    [image] = output.images
    assert image.media_type == media_type
    assert base64.b64decode(image.data) == data
    assert output.text == f"[image: {media_type}, {len(data):,} bytes]"


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
async def test_an_image_that_models_do_not_take_is_read_as_one_that_they_do(
    context: ToolContext, kind: str
) -> None:
    (context.work_dir / "image").write_bytes(plain(kind))
    output = await read.call({"path": "image"}, context)
    assert isinstance(output, ToolOutput)
    [image] = output.images
    assert (image.media_type, image.note) == ("image/png", f"converted from {kind}")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"x" * 20, "image cannot be shown: it is damaged or cut off"),
        (plain("JPEG")[:200], "image cannot be shown: it is damaged or cut off"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image cannot be shown: it is HEIC; convert it"),
    ],
)
async def test_a_file_that_begins_like_an_image_and_is_none_is_refused(
    context: ToolContext, data: bytes, sentence: str
) -> None:
    (context.work_dir / "image").write_bytes(data)
    with pytest.raises(ToolError, match=sentence):
        await read.call({"path": "image"}, context)


async def test_a_text_that_begins_like_an_image_is_read_as_text(context: ToolContext) -> None:
    (context.work_dir / "notes").write_text("GIF8 is a chapter.\nBM is another.\n")
    assert "GIF8 is a chapter." in str(await read.call({"path": "notes"}, context))


async def test_an_image_that_is_too_large_is_refused(context: ToolContext) -> None:
    with (context.work_dir / "huge.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(20_000_001)
    with pytest.raises(ToolError, match="20,000,001 bytes; 20,000,000 are the most"):
        await read.call({"path": "huge.png"}, context)
