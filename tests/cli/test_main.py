"""`wingman` itself."""

from importlib.metadata import version

from click.testing import CliRunner

from wingman.cli import main


def test_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.output == f"wingman {version('wingman-runtime')}\n"


def test_help_names_the_commands() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    assert all(f"\n  {name} " in shown for name in ("serve", "run", "demo"))
