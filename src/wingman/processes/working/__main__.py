"""The program: it works on foreign data, within limits. Run by path, with no site-packages.

The argument is the path of the module that does the work. On stdin: a line of JSON (`path`, the
directories to import from; `seconds`, of the processor's time; `memory`, bytes; `options`), then
the data, to the end. On stdout: the answer. The exit codes are those below; for REFUSED, the answer
is the sentence that says why.
"""

# ruff: noqa: PTH100, PTH118, PTH119, PTH120, PTH122, T201
# (pathlib is not imported: the start is to be quick)

import json
import os
import resource
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

if __name__ == "__main__":
    # The modules have the house's names, but its packages, and all that they import, are not run.
    _directory = os.path.dirname(os.path.abspath(__file__))
    for _name in ("wingman.processes", "wingman"):
        _directory = os.path.dirname(_directory)
        sys.modules[_name] = ModuleType(_name)
        sys.modules[_name].__path__ = [_directory]

from wingman.processes.working import Refused

DONE, CRASHED, REFUSED, NO_MEMORY = 0, 1, 3, 4
MOST_FILES = 64
NICENESS = 5  # the server on the same processors goes first

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def limit(what: int, most: int) -> None:
    """Set a limit, or the lower one that is there; leave it where this system has none."""
    try:
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, hard))
    except (OSError, ValueError):
        pass


def set_limits(seconds: float, memory: int) -> None:
    """No more memory and time than that, no file written, no core dumped."""
    os.nice(NICENESS)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NOFILE, MOST_FILES)
    limit(resource.RLIMIT_CPU, int(seconds) + 1)
    # Linux counts in DATA what is written to, and not what is only reserved, as in AS.
    limit(resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS, memory)


def load(path: str) -> Any:
    """The module that does the work, imported from its path."""
    path = os.path.abspath(path)
    name = os.path.splitext(os.path.basename(path))[0]
    if path.startswith(_ROOT + os.sep):
        package, directory = "wingman", _ROOT
        for part in os.path.relpath(path, _ROOT).split("/")[:-1]:
            package, directory = f"{package}.{part}", os.path.join(directory, part)
            if package not in sys.modules:
                sys.modules[package] = ModuleType(package)
                sys.modules[package].__path__ = [directory]
        name = f"{package}.{name}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module of Python")
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def complain(error: BaseException) -> None:
    """Say where it happened and not what it says, which may quote the data: this is logged."""
    print(type(error).__name__, file=sys.stderr)
    where = error.__traceback__
    while where is not None:
        print(f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}", file=sys.stderr)
        where = where.tb_next


def main() -> int:
    """Do the work; the exit code."""
    request = json.loads(sys.stdin.buffer.readline())
    sys.path[:] = request["path"]
    set_limits(request["seconds"], request["memory"])
    code = DONE
    try:
        program = load(sys.argv[1])
        answer = program.work(request["options"], sys.stdin.buffer.read())
    except MemoryError:
        return NO_MEMORY
    except Refused as refusal:
        answer, code = str(refusal).encode(errors="replace"), REFUSED
    except BaseException as error:  # noqa: ASYNC103 - there is no Trio here
        complain(error)
        return CRASHED  # noqa: ASYNC104
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return code


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # what is in memory needs no taking apart
