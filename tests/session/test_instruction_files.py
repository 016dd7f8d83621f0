"""Instruction files: which `AGENTS.md` the model is told of, and how much of them."""

import os
from pathlib import Path
from typing import Any

import pytest

from session_kit import opened
from wingman import Agent
from wingman.providers import Scripted
from wingman.session.instruction_files import with_instruction_files

KIB = 1024


def reading(own: str = "") -> Agent:
    return Agent(
        "reader",
        instructions=own,
        provider=Scripted(lambda request: "read"),
        instruction_files=True,
    )


async def told(work_dir: Path, own: str = "") -> str:
    return (await with_instruction_files(reading(own), work_dir)).instructions


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    return root


def write(directory: Path, text: str | bytes) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "AGENTS.md"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


async def test_the_files_up_to_the_root_of_the_repository_are_told_the_nearest_last(
    repository: Path,
) -> None:
    write(repository.parent, "Above the repository.")
    root, near = write(repository, "Of the root."), write(repository / "a" / "b", "Of b.")
    text = await told(repository / "a" / "b", "Be brief.")
    assert text == (
        f"Be brief.\n\nInstructions from {root}:\n\nOf the root."
        f"\n\nInstructions from {near}:\n\nOf b."
    )


async def test_a_repository_may_be_marked_by_a_file(tmp_path: Path) -> None:
    """So it is in a worktree, and in a submodule."""
    write(tmp_path, "Above.")
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "tree" / ".git").write_text("gitdir: elsewhere\n")
    write(tmp_path / "tree", "Of the tree.")
    text = await told(tmp_path / "tree" / "a")
    assert "Of the tree." in text
    assert "Above." not in text


async def test_outside_of_a_repository_only_the_directory_itself_counts(tmp_path: Path) -> None:
    write(tmp_path, "Above.")
    write(tmp_path / "here", "Here.")
    assert "Above." not in await told(tmp_path / "here")
    assert "Here." in await told(tmp_path / "here")


async def test_without_a_file_the_agent_stays_as_it_is(repository: Path) -> None:
    agent = reading("Be brief.")
    assert await with_instruction_files(agent, repository) is agent
    assert await with_instruction_files(agent, repository / "gone") is agent


async def test_what_is_no_regular_file_is_left_out(repository: Path) -> None:
    write(repository, "Of the root.")
    fifo, directory, loop = (repository / name for name in ("fifo", "directory", "loop"))
    fifo.mkdir()
    os.mkfifo(fifo / "AGENTS.md")
    (directory / "AGENTS.md").mkdir(parents=True)
    loop.mkdir()
    (loop / "AGENTS.md").symlink_to(loop / "AGENTS.md")
    expected = await told(repository)
    for each in (fifo, directory, loop):
        assert await told(each) == expected


async def test_a_link_within_the_repository_is_followed_and_no_link_out_of_it(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("A secret of the machine.")
    (repository / "CLAUDE.md").write_text("Of the other file.")
    (repository / "a").mkdir()
    (repository / "a" / "AGENTS.md").symlink_to("../CLAUDE.md")
    (repository / "AGENTS.md").symlink_to(tmp_path / "secret")
    text = await told(repository / "a")
    assert "Of the other file." in text
    assert "secret" not in text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_what_may_not_be_read_is_left_out(repository: Path) -> None:
    write(repository / "a", "Of a.").chmod(0)
    write(repository, "Of the root.")
    text = await told(repository / "a")
    assert "Of the root." in text
    assert "Of a." not in text


async def test_a_directory_that_may_not_be_looked_into_has_no_repository(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, "Of the root.")

    stat = os.stat

    def refuse(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if str(path).endswith(".git"):
            raise PermissionError(13, "Permission denied")
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", refuse)
    assert "Of the root." in await told(repository)


async def test_a_huge_file_is_cut_at_a_whole_character_and_that_is_said(repository: Path) -> None:
    write(repository, "é" * 40 * KIB)
    text = await told(repository)
    assert text.count("é") == 16 * KIB
    assert "\ufffd" not in text
    assert text.endswith("\n[… the rest of this file is left out …]")


async def test_all_files_together_are_bounded_and_the_nearest_go_first(repository: Path) -> None:
    deep = repository
    for name in "abcd":
        write(deep, name * 30 * KIB)
        deep = deep / name
    write(deep, "The nearest.")
    text = await told(deep)
    assert "The nearest." in text
    assert len(text.encode()) < 66 * KIB
    assert "a" * KIB not in text
    assert "d" * 30 * KIB in text


@pytest.mark.parametrize(
    "content",
    [b"\0\xff\xfe" * 20 * KIB, b"\xff" * 100 * KIB, bytes(range(256)) * 400],
    ids=["nul", "not utf-8", "binary"],
)
async def test_what_is_no_text_is_still_bounded_and_can_be_sent(
    repository: Path, content: bytes
) -> None:
    write(repository, content)
    text = await told(repository)
    assert "\0" not in text
    assert len(text.encode()) < 33 * KIB


@pytest.mark.parametrize("content", [b"", b" \n\t\n"])
async def test_a_file_without_text_says_nothing(repository: Path, content: bytes) -> None:
    write(repository, content)
    assert await told(repository) == ""


async def test_files_are_read_for_each_run_as_they_and_the_directory_are_then(
    repository: Path, tmp_path: Path
) -> None:
    file = write(repository, "First.")
    write(tmp_path / "elsewhere", "Elsewhere.")
    agent = reading("Be brief.")
    provider = agent.provider
    assert isinstance(provider, Scripted)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent, work_dir=repository)
        await session.run("one")
        file.write_text("Second.")
        await session.run("two")
        file.unlink()
        await session.run("three")
        await runtime.update_session(session.id, work_dir=str(tmp_path / "elsewhere"))
        await session.run("four")
        view = await session.describe()
    first, second, third, fourth = (request.system for request in provider.requests)
    assert "First." in first
    assert "Second." in second
    assert "First." not in second
    assert third == "Be brief."
    assert "Elsewhere." in fourth
    # They are the model's instructions, and no messages.
    assert "First." not in repr(view.history)


async def test_an_agent_that_does_not_ask_for_them_is_told_nothing(repository: Path) -> None:
    write(repository, "First.")
    agent = Agent("plain", instructions="Be brief.", provider=Scripted(lambda request: "said"))
    provider = agent.provider
    assert isinstance(provider, Scripted)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent, work_dir=repository)
        await session.run("one")
    assert [request.system for request in provider.requests] == ["Be brief."]
