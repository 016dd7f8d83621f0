"""Modules that libraries import where they are installed, and that a command has no use for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["HTTPX_PROGRAM", "HTTP_2", "left_out"]

HTTPX_PROGRAM: Final = "httpx._main"
"""httpx's own command line, which brings rich and Pygments."""

HTTP_2: Final = "h2"
"""What httpcore would speak HTTP/2 with."""


@contextmanager
def left_out(module: str) -> Iterator[None]:
    """Have a module not be imported meanwhile, as if it were not installed.

    Whoever can do without it goes on without. None is how Python is told so:
    https://docs.python.org/3/reference/import.html#the-module-cache
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment] # typeshed does not know of this
    try:
        yield
    finally:
        del sys.modules[module]
