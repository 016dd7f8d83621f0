"""`wingman demo`: a story that is checked."""

from pathlib import Path

from cli.terminal import wingman


async def test_the_demo_ends_well_and_asks_for_no_key(tmp_path: Path) -> None:
    # A provider that were asked would not be reached, and the demo would fail.
    nowhere = {"ANTHROPIC_API_KEY": "sk-secret", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    async with wingman("demo", home=tmp_path, **nowhere) as command:
        assert await command.ended() == 0, command.out + command.err
        assert command.survivors() == []
    assert "✓ none of them was left" in command.out
    assert "All was as it should be." in command.out
    assert " -m wingman serve\n" in command.out
    assert "sk-secret" not in command.out
    assert command.err == ""


async def test_a_step_that_is_not_as_it_should_be_fails_the_demo(tmp_path: Path) -> None:
    mute = tmp_path / "bin" / "bash"
    mute.parent.mkdir()
    mute.write_text("#!/bin/sh\n")
    mute.chmod(0o755)
    async with wingman("demo", home=tmp_path, PATH=f"{mute.parent}:/usr/bin:/bin") as command:
        assert await command.ended() == 1
    assert command.err.startswith("Error: Expected: they have found the file. Found: ")
