"""How this program is called: by the name under which it can be called again, from here."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

__all__ = ["program"]

_NAME: Final = "wingman"


def program() -> str:
    """What to type for `wingman`: the name, where it is on the PATH; else as it was called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == _NAME:
        return f"{_typed(Path(sys.executable).name, sys.executable)} -m {_NAME}"
    return _typed(_NAME, sys.argv[0]) if called.name == _NAME else _NAME


def _typed(name: str, called: str) -> str:
    found = shutil.which(name)
    if found is not None and Path(found).absolute() == Path(called).absolute():
        return name
    return shlex.quote(called)
