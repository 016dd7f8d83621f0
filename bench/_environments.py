"""Environments of peers, each its own: made once in the cache directory, and used again."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["NotThere", "with_npm", "with_pip"]

_PATIENCE: Final = 300
"""Seconds for an installation."""


class NotThere(Exception):
    """A peer cannot take part; the message is a sentence that says why."""


def with_pip(name: str, packages: Sequence[str], *, install: bool) -> Path:
    """The Python of the environment that has these packages; raises `NotThere`."""
    place = _place(f"{name}-{sys.version_info[0]}.{sys.version_info[1]}")
    python = place / "bin" / "python"
    if _wanted(name, place, packages, install=install):
        venv.create(place, clear=True)
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-compile"]
        _install(name, [*pip, *packages], place)
        _keep(place, packages)
    return python


def with_npm(name: str, package: str, *, install: bool) -> Path:
    """The program of this name, which is installed with npm; raises `NotThere`."""
    place = _place(name)
    if _wanted(name, place, [package], install=install):
        if shutil.which("npm") is None:
            raise NotThere(f"{name} is not installed, as npm is not there.")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "package.json").write_text('{"private": true}')
        _install(name, ["npm", "install", "--no-audit", "--no-fund", package], place)
        _keep(place, [package])
    return place / "node_modules" / ".bin" / name


def _place(name: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "wingman-bench" / name


def _complete(place: Path) -> Path:
    """The file that says what is installed, once all of it is."""
    return place / "complete"


def _wanted(name: str, place: Path, packages: Sequence[str], *, install: bool) -> bool:
    """Whether it is still to be installed; raises `NotThere` where it may not be."""
    complete = _complete(place)
    if complete.exists() and complete.read_text().splitlines() == list(packages):
        return False
    if not install:
        raise NotThere(f"{name} is not installed; python -m bench peers installs it.")
    return True


def _keep(place: Path, packages: Sequence[str]) -> None:
    _complete(place).write_text("\n".join(packages))


def _install(name: str, command: Sequence[Any], place: Path) -> None:
    try:
        subprocess.run(
            command,
            cwd=place,
            check=True,
            timeout=_PATIENCE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except subprocess.TimeoutExpired as error:
        raise NotThere(f"{name} was not installed within {_PATIENCE} s.") from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotThere(f"{name} could not be installed: {error}.") from error
