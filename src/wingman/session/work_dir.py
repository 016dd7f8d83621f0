"""The working directory of a session: absolute, resolved, and there."""

from functools import lru_cache
from pathlib import Path

import trio

from wingman.errors import InvalidRequest

__all__ = ["check_work_dir", "path_of"]


async def check_work_dir(work_dir: str | Path) -> str:
    """The absolute path of a working directory. Raises `InvalidRequest` if it is none."""
    if work_dir == "":  # to pathlib the current directory; to whoever sent it, a slip
        raise InvalidRequest(
            "work_dir is empty: give a directory, or leave it out - at `$.work_dir`"
        )
    try:
        # In one thread: each hand-over costs more than what is done there.
        resolved, is_dir = await trio.to_thread.run_sync(_resolved, work_dir)
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidRequest(
            f"work_dir {str(work_dir)!r} does not exist - at `$.work_dir`"
        ) from error
    if not is_dir:
        raise InvalidRequest(f"work_dir {str(work_dir)!r} is not a directory - at `$.work_dir`")
    try:
        str(resolved).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"work_dir is {str(resolved)!r}, whose name is not UTF-8: rename the directory, "
            "or give another one - at `$.work_dir`"
        ) from error
    return str(resolved)


@lru_cache(maxsize=128)
def path_of(work_dir: str) -> Path:
    """The path of a working directory as it is stored. Sessions share few, and each run asks."""
    return Path(work_dir)


def _resolved(work_dir: str | Path) -> tuple[Path, bool]:
    resolved = Path(work_dir).expanduser().resolve(strict=True)
    return resolved, resolved.is_dir()
