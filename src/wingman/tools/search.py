"""The tools `glob` and `grep`: what is where in the working directory.

A walk through a large tree and a regular expression that backtracks for ever have one thing in
common: in a thread they cannot be stopped. So the search is a program of its own, `searching`, and
is run like any command, with the promises of `process`.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import msgspec

from wingman.errors import ToolError
from wingman.processes import Output
from wingman.tools.base import ToolContext
from wingman.tools.decorator import tool
from wingman.tools.paths import resolve
from wingman.tools.process import run_process
from wingman.tools.threads import run_in_thread

__all__ = ["glob", "grep"]

_WORKER = Path(__file__).with_name("searching") / "__main__.py"
_TIMEOUT = 30.0  # seconds
_NOTE_ROOM = 200  # characters for how the search ended
_INVALID, _FAILED = 2, 3  # the worker's exit codes for a pattern that is none, and for a failure

Limit = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]


@tool(permission="read", resources=("path",), leave_out_unknown=True)
async def glob(pattern: Pattern, context: ToolContext, path: str = ".", limit: Limit = 100) -> str:
    """Find files in the working directory by their path; the last modified come first.

    `*` and `?` stay within a name, `**` crosses directories, `[a-z]` and `{py,toml}` are choices;
    a file whose name has brackets or braces is found by its name as well. Version control,
    dependencies and caches (.git, node_modules, .venv, …) are left out, unless `path` is inside of
    them.

    Args:
        pattern: What the path below `path` must match, such as `**/*.py` or `src/*.{ts,tsx}`.
        path: The directory to search, relative to the working directory or absolute.
        limit: How many to show at most.
    """
    return await _search(context, path, search="glob", pattern=pattern, limit=limit)


@tool(permission="read", resources=("path",), leave_out_unknown=True)
async def grep(
    pattern: Pattern,
    context: ToolContext,
    path: str = ".",
    glob: str | None = None,
    ignore_case: bool = False,
    limit: Limit = 200,
) -> str:
    """Search the text files of the working directory with a regular expression, line by line.

    Each matching line is shown as `path:line:text`, a long one around its first match. Hidden
    files are searched, whatever .gitignore says. Binary files, symlinks and what glob leaves out
    are not.

    Args:
        pattern: The regular expression; escape what is meant literally, such as `\\(`.
        path: The directory or file to search, relative to the working directory or absolute.
        glob: Search only the files that match this, such as `*.py` or `src/**/*.ts`.
        ignore_case: Take upper and lower case for the same.
        limit: How many matching lines to show at most.
    """
    return await _search(
        context,
        path,
        search="grep",
        pattern=pattern,
        limit=limit,
        glob=glob,
        ignore_case=ignore_case,
    )


async def _search(context: ToolContext, path: str, **request: object) -> str:
    """Run the worker. It stops by itself at `limit` lines or `room` characters, and says so."""
    wanted = "directory" if request["search"] == "glob" else "directory or file"
    base = await run_in_thread(
        lambda: _existing(context, path, wanted), context, "a look at a path"
    )
    room = max(context.max_output - _NOTE_ROOM, 0)
    request |= {"work_dir": str(context.work_dir), "path": str(base), "room": room}
    # -I -S: nothing of the environment or of site-packages; the worker starts in 15 ms.
    argv = [sys.executable, "-I", "-S", "-X", "utf8", str(_WORKER)]
    argv.append(json.dumps(request))  # a name that is no UTF-8 comes through as it is
    completed = await run_process(
        argv, context, seconds=_TIMEOUT, output=Output(context.max_output)
    )
    match completed.exit_code:
        case 0:
            return completed.output or "Nothing found."
        case None:
            raise ToolError(
                f"{completed.output}[The search took longer than {_TIMEOUT:g} s: "
                "give a narrower path or a simpler pattern.]"
            )
        case code if code == _INVALID:
            raise ToolError(completed.output.strip())
        case code if code == _FAILED:
            raise ToolError(f"The search failed: {completed.output.strip()}")
        case code:
            raise ToolError(f"The search failed: its process ended with exit code {code}.")


def _existing(context: ToolContext, path: str, wanted: str) -> Path:
    resolved = resolve(context, path)
    if not resolved.exists():
        raise ToolError(f"There is no {path}.")
    if not resolved.is_dir() and (wanted == "directory" or not resolved.is_file()):
        raise ToolError(f"{path} is no {wanted}: give one, or leave `path` out to search all.")
    return resolved
