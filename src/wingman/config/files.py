"""The file: where it is, who may write it, and its bytes.

A configuration starts programs. So it is read only where nobody but its owner could have written
it, and never from the current directory or a session's.
"""

import os
import stat
from pathlib import Path
from typing import Final

from wingman.config.mistakes import ConfigError, Mistake

__all__ = ["default_path", "read", "refusal_of_directory"]

_MOST_BYTES: Final = 1024 * 1024
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def default_path() -> Path:
    """Where the file is if nobody says: https://specifications.freedesktop.org/basedir-spec."""
    home = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if not home.is_absolute():  # the specification has it ignored, as if it were not set
        home = Path.home() / ".config"
    return home / "wingman" / "wingman.toml"


def read(path: Path) -> bytes:
    """The bytes of the file. Raises `ConfigError` for one that cannot be read, or that others may
    write, and `FileNotFoundError` where there is none."""
    try:
        # A pipe with nobody at its other end would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except NotADirectoryError as error:  # a system's users may be at home in /dev/null
        raise FileNotFoundError(path) from error
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ConfigError(path, [Mistake(f"It cannot be read: {_why(error)}.")]) from error
    try:
        found = os.fstat(descriptor)
        refusal = None if stat.S_ISREG(found.st_mode) else "It is no file."
        refusal = refusal or _refusal(found, "It") or _refusal_of_parents(path)
        if refusal:
            raise ConfigError(path, [Mistake(refusal)])
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(path, [Mistake(f"It cannot be read: {_why(error)}.")]) from error
    finally:
        os.close(descriptor)
    if len(data) > _MOST_BYTES:
        raise ConfigError(path, [Mistake("It has more than 1 MiB, which is the most.")])
    return data


def refusal_of_directory(path: Path) -> str | None:
    """Why modules may not be imported from a directory; None: they may."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {_why(error)}."
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is no directory."
    return _refusal(found, f"{path}") or _refusal_of_parents(path)


def _refusal(found: os.stat_result, name: str) -> str | None:
    """Why a file or a directory is not trusted; None: it is."""
    if found.st_uid not in (os.geteuid(), 0):
        return (
            f"{name} belongs to another user (uid {found.st_uid}), who could have any program "
            "started: make it your own (chown)."
        )
    if found.st_mode & _OTHERS_WRITE:
        return (
            f"{name} may be written by others (mode {stat.S_IMODE(found.st_mode):o}), who could "
            "have any program started: chmod go-w."
        )
    return None


def _refusal_of_parents(path: Path) -> str | None:
    """Why a directory above is not trusted: anybody could put another file in this one's place."""
    for parent in Path(os.path.realpath(path)).parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return (
                f"Anybody may write to the directory {parent}, and so replace it: "
                f"chmod o-w {parent}."
            )
    return None


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
