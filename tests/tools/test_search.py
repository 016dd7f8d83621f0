"""The tools `glob` and `grep`, with ripgrep where there is one, and without."""

import os
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trio

from wingman.errors import ToolError
from wingman.tools import ToolContext, glob, grep, search

CATASTROPHE = r"^(a+)+(?!.)\1$"  # ripgrep does not know it, and Python never ends with it


@pytest.fixture
def tree(context: ToolContext) -> Path:
    """A little project; `new.py` is the last modified."""
    for age, (name, content) in enumerate(
        {
            "src/new.py": "import os\nTODO = 1\n",
            "src/deep/er/old.py": "# todo: later\n",
            "src/view.ts": "let todo;\n",
            "src/view.tsx": "<b/>\n",
            "top.py": "TODO\n",
            ".hidden": "TODO hidden\n",
            "README.md": "nothing\n",
            "node_modules/x/index.ts": "TODO\n",
            ".git/config": "TODO\n",
            "weird [name].txt": "TODO\n",
        }.items()
    ):
        path = context.work_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    (context.work_dir / "data.bin").write_bytes(b"TODO\0\n")
    (context.work_dir.parent / "secret").write_text("TODO\n")
    (context.work_dir / "link").symlink_to("../secret")
    return context.work_dir


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.py", ["src/new.py", "src/deep/er/old.py", "top.py"]),
        ("*.py", ["top.py"]),
        ("src/*.{ts,tsx}", ["src/view.ts", "src/view.tsx"]),
        ("src/**/old.py", ["src/deep/er/old.py"]),
        ("src/**", ["src/new.py", "src/deep/er/old.py", "src/view.ts", "src/view.tsx"]),
        ("./t?p.[!x]y", ["top.py"]),
        ("weird [[]name].txt", ["weird [name].txt"]),
        ("[a-z]op.py", ["top.py"]),
        ("{src/{new,view},top}.{py,ts}", ["src/new.py", "src/view.ts", "top.py"]),
        ("../*", []),
        ("**/index.ts", []),
    ],
)
async def test_glob_finds_by_path_the_last_modified_first(
    pattern: str, found: list[str], context: ToolContext
) -> None:
    output = await glob.call({"pattern": pattern}, context)
    assert output == ("".join(f"{name}\n" for name in found) or "Nothing found.")


async def test_glob_searches_below_a_path_and_names_from_the_working_directory(
    tree: Path, context: ToolContext
) -> None:
    assert await glob.call({"pattern": "*.py", "path": "src"}, context) == "src/new.py\n"
    assert await glob.call({"pattern": f"{tree}/src/*.py"}, context) == "src/new.py\n"
    assert await glob.call({"pattern": "x/*", "path": "node_modules"}, context) == (
        "node_modules/x/index.ts\n"
    )


@pytest.mark.usefixtures("tree")
async def test_what_is_beyond_the_limit_is_left_out_and_said(context: ToolContext) -> None:
    assert await glob.call({"pattern": "**/*.py", "limit": 1}, context) == (
        "src/new.py\n[There are more: the first 1 are shown; narrow the search.]\n"
    )
    output = await grep.call({"pattern": "."}, attrs.evolve(context, max_output=240))
    assert "[There are more" in output
    assert len(output) <= 240


@pytest.mark.usefixtures("tree", "engine")
async def test_grep_shows_path_line_and_text(context: ToolContext) -> None:
    assert (await grep.call({"pattern": "TODO"}, context)).splitlines() == [
        ".hidden:1:TODO hidden",
        "src/new.py:2:TODO = 1",
        "top.py:1:TODO",
        "weird [name].txt:1:TODO",
    ]


@pytest.mark.usefixtures("tree", "engine")
@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"glob": "*.py"}, ["src/deep/er/old.py", "src/new.py", "top.py"]),
        ({"glob": "src/*.py"}, ["src/new.py"]),
        ({"glob": "*.{ts,md}"}, ["src/view.ts"]),
        ({"glob": "!*.py", "path": "src"}, ["src/view.ts"]),
        ({"path": "src/deep"}, ["src/deep/er/old.py"]),
        ({"path": "src/view.ts"}, ["src/view.ts"]),
        ({"path": "README.md"}, []),
    ],
)
async def test_grep_searches_where_it_is_told(
    more: dict[str, str], found: list[str], context: ToolContext
) -> None:
    output = await grep.call({"pattern": "todo", "ignore_case": True, **more}, context)
    names = [line.partition(":")[0] for line in output.splitlines()]
    assert names == (found or ["Nothing found."])


@pytest.mark.usefixtures("tree", "engine")
async def test_a_pattern_that_is_none_is_a_tool_error(context: ToolContext) -> None:
    with pytest.raises(ToolError, match="Invalid pattern"):
        await grep.call({"pattern": "(a"}, context)


@pytest.mark.usefixtures("tree", "engine")
async def test_look_around_and_back_references_are_understood(context: ToolContext) -> None:
    assert await grep.call({"pattern": r"(o)s(?!\1)"}, context) == "src/new.py:1:import os\n"


@pytest.mark.usefixtures("engine")
async def test_a_catastrophic_pattern_is_ended_with_its_process(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch, survivors: Callable[[], list[int]]
) -> None:
    monkeypatch.setattr(search, "_TIMEOUT", 0.5)
    (context.work_dir / "a.txt").write_text("a" * 60 + "b\n")
    with pytest.raises(ToolError, match=r"took longer than 0\.5 s"):
        await grep.call({"pattern": CATASTROPHE}, context)
    assert survivors() == []


async def test_a_catastrophic_pattern_is_cancelled_at_once(
    context: ToolContext, survivors: Callable[[], list[int]]
) -> None:
    (context.work_dir / "a.txt").write_text("a" * 60 + "b\n")
    with trio.move_on_after(0.3) as scope:
        await grep.call({"pattern": CATASTROPHE}, context)
    assert scope.cancelled_caught
    assert survivors() == []


@pytest.mark.parametrize("path", ["..", "/etc", "link", "none"])
@pytest.mark.usefixtures("tree")
async def test_nothing_is_searched_outside_of_the_working_directory(
    path: str, context: ToolContext
) -> None:
    for call in (
        glob.call({"pattern": "**", "path": path}, context),
        grep.call({"pattern": ".", "path": path}, context),
    ):
        with pytest.raises(ToolError, match=r"outside of|There is no none"):
            await call


async def test_a_link_does_not_tell_what_is_beside_the_directory_that_is_searched(
    tree: Path, context: ToolContext
) -> None:
    (tree / "src" / "up").symlink_to("..")
    found = await glob.call({"pattern": "up/top.py", "path": "src"}, context)
    assert found == "Nothing found."
