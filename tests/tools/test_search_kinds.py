"""What `glob` and `grep` find in odd trees and odd files: the same with ripgrep and without."""

import os
import re
import socket
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wingman.errors import ToolError
from wingman.tools import ToolContext, glob, grep
from wingman.tools.searching.finding import find
from wingman.tools.searching.matching import grep as matching
from wingman.tools.searching.patterns import matcher

LONG_NAME = "n" * 250


def put(context: ToolContext, name: str, content: str | bytes = "x\n") -> Path:
    path = context.work_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


async def found(tool: Any, context: ToolContext, **input: object) -> list[str]:
    lines = (await tool.call(input, context)).splitlines()
    return [] if lines == ["Nothing found."] else lines


@pytest.fixture
def deep(context: ToolContext) -> Iterator[Callable[[int, str], None]]:
    """Makes a chain of directories with a file at its end, and takes it away afterwards."""
    made: list[tuple[int, str]] = []
    home = os.open(context.work_dir, os.O_RDONLY)

    def into(levels: int, name: str) -> int:
        at = os.dup(home)
        for _ in range(levels):
            following = os.open(name, os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = following
        return at

    def make(levels: int, name: str) -> None:
        at = os.dup(home)
        for _ in range(levels):
            os.mkdir(name, dir_fd=at)
            following = os.open(name, os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = following
        file = os.open("needle.txt", os.O_CREAT | os.O_WRONLY, dir_fd=at)
        os.write(file, b"the needle\n")
        os.close(file)
        os.close(at)
        made.append((levels, name))

    yield make
    for levels, name in made:
        at = into(levels, name)
        os.unlink("needle.txt", dir_fd=at)
        for _ in range(levels):
            parent = os.open("..", os.O_RDONLY, dir_fd=at)
            os.rmdir(name, dir_fd=parent)
            os.close(at)
            at = parent
        os.close(at)
    os.close(home)


@pytest.fixture
def searched(context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What the program finds, run in this process: dozens of cases need no process each."""
    monkeypatch.chdir(context.work_dir)

    def search(program: Callable[..., Iterator[str]], pattern: str) -> list[str]:
        here = str(context.work_dir)
        request = {"pattern": pattern, "limit": 99, "path": here, "work_dir": here}
        return list(program(".", request | {"ignore_case": False, "glob": None}))

    return search


# --- glob: names that look like patterns --------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("app/[id]/page.tsx", "app/[id]/page.tsx"),
        ("app/[id]/page.tsx", "app/[id]/*.tsx"),
        ("app/[id]/page.tsx", "**/[id]/page.tsx"),
        ("app/[id]/page.tsx", "app/\\[id\\]/page.tsx"),
        ("app/[id]/page.tsx", "app/[[]id]/page.tsx"),
        ("app/(group)/page.tsx", "app/(group)/page.tsx"),
        ("app/[...slug]/page.tsx", "app/[...slug]/page.tsx"),
        ("app/[[...slug]]/page.tsx", "app/[[...slug]]/page.tsx"),
        ("app/@modal/(.)photo/[id]/page.tsx", "app/@modal/(.)photo/[id]/page.tsx"),
        ("{a,b}.txt", "{a,b}.txt"),
        ("src/{{cookiecutter.name}}/x.py", "src/{{cookiecutter.name}}/*.py"),
        ("a*b.txt", "a*b.txt"),
        ("what?.md", "what?.md"),
        ("[z-a].txt", "[z-a].txt"),
        ("[].txt", "[].txt"),
        ("[!a].txt", "[!a].txt"),
        ("open[.txt", "open[.txt"),
        ("open{.txt", "open{.txt"),
        ("a\\b.txt", "a\\b.txt"),
        ("$x^+|.txt", "$x^+|.txt"),
        ("new\nline.txt", "new*.txt"),
        ("-", "-"),
        (".hidden/.file", "**/.file"),
        ("node_modules/x/index.ts", "node_modules/x/index.ts"),
        ("src/a.py", "src"),
        ("src/a.py", "src/"),
        ("src/a.py", "**/**/**/a.py"),
    ],
)
def test_glob_finds_a_file_by_a_name_that_looks_like_a_pattern(
    name: str, pattern: str, context: ToolContext, searched: Callable[..., list[str]]
) -> None:
    put(context, name)
    assert searched(find, pattern) == [name]


@pytest.mark.parametrize(
    ("pattern", "matching", "not_matching"),
    [
        ("[id].py", ["i.py", "d.py", "[id].py"], ["id.py", "x.py"]),
        ("[!id].py", ["x.py", "[!id].py"], ["i.py", "/.py"]),
        ("[^id].py", ["x.py"], ["d.py"]),
        ("[+-9]x", ["5x", ".x"], ["/x"]),
        ("[]-]x", ["]x", "-x"], ["ax"]),
        ("[a--b]", ["[a--b]"], ["x"]),
        ("{a,b{c,d}}x", ["ax", "bcx", "bdx", "{a,b{c,d}}x"], ["bx", "cx"]),
        ("{a,}x", ["ax", "x"], ["bx"]),
        ("a{b", ["a{b"], ["ab"]),
        ("a}b", ["a}b"], ["ab"]),
        ("{a,{b}x", ["{a,bx", "{a,{b}x"], ["ax"]),
        ("\\*.py", ["*.py"], ["a.py"]),
        ("A.py", ["A.py"], ["a.py"]),
        ("**/x", ["x", "a/x", "a/b/x"], ["ax"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b/a"]),
        ("?", ["é", "\udcff"], ["ab", "/"]),
    ],
)
def test_a_pattern_means_what_shells_mean_by_it(
    pattern: str, matching: list[str], not_matching: list[str]
) -> None:
    matches = matcher(pattern)
    assert [name for name in matching + not_matching if matches(name)] == matching


def test_many_braces_are_no_more_work_than_they_are_long() -> None:
    began = time.process_time()
    assert matcher("{a,b}" * 2_000)("ab" * 1_000)
    assert matcher("{" * 5_000 + "}" * 5_000)("x") is None
    assert time.process_time() - began < 2


async def test_glob_shows_no_path_outside_however_it_is_asked(context: ToolContext) -> None:
    outside = context.work_dir.parent / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    (context.work_dir / "way").symlink_to(outside)
    for pattern in ("way/secret", "../outside/secret", f"{outside}/secret", "way/../way/secret"):
        assert await found(glob, context, pattern=pattern) == []


async def test_glob_below_a_file_says_what_to_give(context: ToolContext) -> None:
    put(context, "a.txt")
    with pytest.raises(ToolError, match=r"a\.txt is no directory"):
        await glob.call({"pattern": "*", "path": "a.txt"}, context)


async def test_glob_holds_no_more_than_it_shows(context: ToolContext) -> None:
    for n in range(300):
        os.utime(put(context, f"{n}.txt"), (n, n))
    lines = await found(glob, context, pattern="*.txt", limit=2)
    assert lines[:2] == ["299.txt", "298.txt"]
    assert lines[2].startswith("[There are more")


# --- trees --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(("levels", "name"), [(1_100, "d"), (60, LONG_NAME)])
async def test_a_deep_tree_is_searched_to_its_end(
    levels: int, name: str, context: ToolContext, deep: Callable[[int, str], None]
) -> None:
    put(context, "needle.txt", "another needle\n")
    deep(levels, name)
    wide = attrs.evolve(context, max_output=100_000)
    inner = f"{name}/" * levels + "needle.txt"
    assert sorted(await found(glob, wide, pattern="**/needle.txt")) == sorted([inner, "needle.txt"])
    assert sorted(await found(grep, wide, pattern="needle")) == sorted(
        [f"{inner}:1:the needle", "needle.txt:1:another needle"]
    )


@pytest.mark.usefixtures("engine")
async def test_pipes_sockets_and_devices_are_passed_by_at_once(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(context, "a.txt", "needle\n")
    os.mkfifo(context.work_dir / "fifo.txt")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(context.work_dir)  # a socket's path is short
        server.bind("socket.txt")
        (context.work_dir / "null.txt").symlink_to("/dev/zero")
        with trio.fail_after(10):
            assert await found(grep, context, pattern="needle") == ["a.txt:1:needle"]
            for name in ("fifo.txt", "socket.txt"):
                with pytest.raises(ToolError, match="is no directory or file"):
                    await grep.call({"pattern": "needle", "path": name}, context)


@pytest.mark.usefixtures("engine")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_what_may_not_be_read_is_left_out(context: ToolContext) -> None:
    put(context, "a.txt", "needle\n")
    put(context, "locked/b.txt", "needle\n").parent.chmod(0)
    put(context, "c.txt", "needle\n").chmod(0)
    try:
        assert await found(grep, context, pattern="needle") == ["a.txt:1:needle"]
    finally:
        (context.work_dir / "locked").chmod(0o700)


@pytest.mark.usefixtures("engine")
async def test_hidden_and_ignored_files_are_searched_and_loops_of_symlinks_are_not(
    context: ToolContext,
) -> None:
    put(context, ".gitignore", "*.log\n")
    put(context, ".ignore", "*.log\n")
    put(context, "a.log", "needle\n")
    put(context, ".env", "needle\n")
    put(context, "sub/b.txt", "needle\n")
    (context.work_dir / "sub" / "loop").symlink_to("..")
    assert await found(grep, context, pattern="needle") == [
        ".env:1:needle",
        "a.log:1:needle",
        "sub/b.txt:1:needle",
    ]


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("name", ["-", "--help", "-e", " a ", "a\nb", "é", "C:x:1", "$(x)"])
def test_a_file_with_an_odd_name_is_searched(
    name: str, context: ToolContext, searched: Callable[..., list[str]]
) -> None:
    put(context, name, "needle\n")
    assert searched(matching, "needle") == [f"{name}:1:needle"]


@pytest.mark.usefixtures("engine")
async def test_names_that_are_no_utf_8_are_found(context: ToolContext) -> None:
    put(context, os.fsdecode(b"caf\xe9/x\xff.txt"), "needle\n")
    assert await found(glob, context, pattern="**/*.txt") == ["caf\ufffd/x\ufffd.txt"]
    assert await found(grep, context, pattern="needle") == ["caf\ufffd/x\ufffd.txt:1:needle"]


@pytest.mark.usefixtures("engine")
async def test_a_working_directory_whose_name_is_no_utf_8_is_searched(
    context: ToolContext,
) -> None:
    odd = attrs.evolve(context, work_dir=context.work_dir / os.fsdecode(b"w\xff"))
    put(odd, "a.txt", "needle\n")
    assert await found(glob, odd, pattern="*.txt") == ["a.txt"]
    assert await found(grep, odd, pattern="needle") == ["a.txt:1:needle"]


@pytest.mark.usefixtures("engine")
async def test_a_working_directory_that_is_gone_is_a_sentence(context: ToolContext) -> None:
    context.work_dir.rmdir()
    for tool in (glob, grep):
        with pytest.raises(ToolError) as caught:
            await tool.call({"pattern": "x"}, context)
        assert "Traceback" not in caught.value.message


# --- lines --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("length", [600, 5_000, 300_000])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
async def test_a_long_line_is_shown_around_its_match(
    length: int, place: float, context: ToolContext
) -> None:
    at = int(length * place)
    put(context, "a.min.js", "é;" * (at // 2) + "NEEDLE" + "é;" * ((length - at) // 2) + "\nend\n")
    [line] = await found(grep, context, pattern="NEED[A-Z]+")
    assert line.startswith("a.min.js:1:")
    assert "NEEDLE" in line
    assert "\ufffd" not in line
    assert len(line) < 550
    assert line.startswith("a.min.js:1:…") == (place > 0)
    assert line.endswith("…") == (place == 0 or (place < 1 and length > 600))


@pytest.mark.usefixtures("engine")
async def test_a_line_that_says_that_it_was_omitted_is_shown_as_it_is(context: ToolContext) -> None:
    put(context, "a.txt", "[Omitted long line with 1 matches]\n")
    assert await found(grep, context, pattern="Omitted") == [
        "a.txt:1:[Omitted long line with 1 matches]"
    ]


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("content", "pattern", "numbers"),
    [
        (b"foo\r\nbar\r\n", "o$", [1]),
        (b"foo\r\n\r\nbar\r\n", "^$", [2]),
        (b"foo\r\n", r"foo\s", []),
        (b"foo\r\n", "foo.", []),
        (b"foo\rbar\n", "^bar", []),
        (b"foo\rbar\n", "foo$", []),
        (b"\xef\xbb\xbfimport os\n", "^import", [1]),
        ("\ufeffone\nneedle\n".encode("utf-16-le"), "^needle$", [2]),
        ("\ufeffone\nneedle\n".encode("utf-16-be"), "^needle$", [2]),
        (b"caf\xe9 bar\n", "caf. bar", [1]),
        (b"\0needle\n", "needle", []),
        (b"x\n" * 5_000 + b"\0needle\n", "needle", [5_001]),
        (b"a\n\nb", "x*", [1, 2, 3]),
        (b"a\n\nb", "^", [1, 2, 3]),
        (b"a\n\nb", "^$", [2]),
        (b"no end", "end$", [1]),
        (b"", "x*", []),
        (b"one\ntwo\n", "one\ntwo", []),
        (b"one\ntwo\n", r"one\ntwo", []),
        (b"one\ntwo\n", r"\Atwo\Z", [2]),
        ("grüße\nZÜRICH\n".encode(), "ü", [1]),
        ("grüße\nZÜRICH\n".encode(), "(?i)ü", [1, 2]),
        ("naïve café\n".encode(), r"\bcaf\w\b", [1]),
        ("٣ Äpfel\n".encode(), r"\d", [1]),
        (b"a1\nb\n", "[[:digit:]]", [1]),
        (b"a-b\nab\n", "[[:punct:]]", [1]),
        (b"a b\nab\n", "a[[:space:]_]b", [1]),
        (b"[x\ny\n", "[[x]", [1]),
        (b"a&b\nc\n", "[a&&b]", [1]),
        (b"a<b\nab\n", r"a\<b", [1]),
        (b"foo(bar)\n", r"foo\(", [1]),
        (b"a{b}\n", "a{b", [1]),
        (b"aaa\n", "a{2,3}$", [1]),
        (b"x/y\n", r"x\/y", [1]),
        (b"-v\n", "-v", [1]),
        (b"aXb\nab\n", "a(?=b)", [2]),
        (b"abab\nabba\n", r"(ab)\1", [1]),
        (b"abab\n", r"(?P<one>ab)(?P=one)", [1]),
        (b"aaa\n", "a*+a", []),
        ("½\n".encode(), "½", [1]),
    ],
)
def test_a_line_matches_or_does_not(
    content: bytes,
    pattern: str,
    numbers: list[int],
    context: ToolContext,
    searched: Callable[..., list[str]],
) -> None:
    put(context, "a.txt", content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as the program does
        lines = searched(matching, pattern)
    assert [int(line.split(":")[1]) for line in lines] == numbers


@pytest.mark.usefixtures("engine")
async def test_case_is_ignored_where_that_is_asked(context: ToolContext) -> None:
    put(context, "a.txt", "Needle\nNEEDLE\nnothing\nÉté\n")
    assert len(await found(grep, context, pattern="needle", ignore_case=True)) == 2
    assert len(await found(grep, context, pattern="ÉTÉ", ignore_case=True)) == 1
    assert await found(grep, context, pattern="needle") == []


@pytest.mark.usefixtures("engine")
async def test_results_stop_at_the_limit_in_the_order_of_the_paths(context: ToolContext) -> None:
    for name in ("b.txt", "a/z.txt", "c.txt"):
        put(context, name, "needle\n" * 3)
    assert await found(grep, context, pattern="needle", limit=4) == [
        *(f"a/z.txt:{n}:needle" for n in (1, 2, 3)),
        "b.txt:1:needle",
        "[There are more: the first 4 are shown; narrow the search.]",
    ]
    assert len(await found(grep, context, pattern="needle", limit=9)) == 9


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a**", "(?P<x", r"\p{L}", "a{99999999999}"])
async def test_a_pattern_that_is_none_is_a_sentence(pattern: str, context: ToolContext) -> None:
    put(context, "a.txt")
    with pytest.raises(ToolError, match=r"^Invalid pattern: ") as caught:
        await grep.call({"pattern": pattern}, context)
    assert "Traceback" not in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.usefixtures("engine")
async def test_a_pattern_that_is_nested_too_deeply_is_a_sentence(context: ToolContext) -> None:
    put(context, "a.txt")
    with pytest.raises(ToolError, match=r"^Invalid pattern: it is nested too deeply"):
        await grep.call({"pattern": "(" * 4_000 + ")" * 4_000}, context)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("pattern", ["[[a]", "[a-z--b]", "[a||b]", "[a~~b]", "[[:alpha:]x]"])
async def test_a_warning_of_pythons_is_no_result(pattern: str, context: ToolContext) -> None:
    put(context, "a.txt", "ä\n")
    assert await grep.call({"pattern": pattern}, context) == "Nothing found."
    assert await glob.call({"pattern": pattern}, context) == "Nothing found."


TEXT = st.text(alphabet="ab1_ .-é:\r", max_size=8)
PATTERN = st.text(alphabet="ab1.*+?|()[]^$\\wsdb-é{2,}", min_size=1, max_size=7)


@pytest.mark.skipif(
    not any(os.access(f"{d}/rg", os.X_OK) for d in os.get_exec_path()), reason="no rg"
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@example(lines=["1"], pattern="()$", end="\n")
@example(lines=["", "1\x1f2\x1f3\x1f4"], pattern="()$", end="\n")
@example(lines=["", "\x1f:7"], pattern="$", end="\r\n")
@given(lines=st.lists(TEXT, max_size=4), pattern=PATTERN, end=st.sampled_from(["\n", "\r\n"]))
def test_ripgrep_and_python_find_the_same(lines: list[str], pattern: str, end: str) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        Path(name, "f").write_bytes(end.join(lines).encode())
        request = {"pattern": pattern, "ignore_case": False, "glob": None, "path": name}
        patch.chdir(name)
        outcomes = []
        for path in (os.environ["PATH"], "/nowhere"):
            patch.setenv("PATH", path)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # as the program does
                    outcomes.append(list(matching(".", request | {"limit": 99})))
            except re.error as error:
                outcomes.append([str(error)])
        assert outcomes[0] == outcomes[1]
