"""`wingman` itself."""

import subprocess
import sys
from importlib.metadata import version

from click.testing import CliRunner

from wingman.cli import main


def test_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.output == f"wingman {version('wingman-runtime')}\n"


def test_help_names_the_commands() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    assert all(f"\n  {name} " in shown for name in ("serve", "run", "demo"))


def test_the_heavy_libraries_are_imported_only_where_they_are_needed() -> None:
    look = "import sys, wingman.cli; print({'quart', 'hypercorn', 'sqlite3'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=15)
    assert done.stdout == "set()\n"
