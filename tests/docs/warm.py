"""A Python that has loaded Wingman, and runs programs in forked copies of itself: to load it takes
each of them longer than all that it does.

A line of its input is the JSON of a program: its `code`, its `home`, and the files that take what
it prints and complains of. A line of its output is the exit code.
"""

import json
import os
import sys
import types

import trio

import wingman.actor
import wingman.client
import wingman.providers
import wingman.server
import wingman.store.sqlite
import wingman.tools

LOADED = [getattr(wingman, name) for name in wingman.__all__], trio


def main() -> None:
    """Run what is asked for, one program after the other."""
    for line in sys.stdin:
        program = json.loads(line)
        child = os.fork()
        if child == 0:
            become(**program)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(code: str, home: str, printed: str, complained: str) -> None:
    """Be this program: `python -c` with this code, at this home."""
    os.chdir(home)
    os.environ["HOME"] = home
    for number, path in enumerate((os.devnull, printed, complained)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["-c"]
    sys.path[0] = ""
    sys.modules["__main__"] = itself = types.ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), vars(itself))


if __name__ == "__main__":
    main()
