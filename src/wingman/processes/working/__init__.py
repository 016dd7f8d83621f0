"""The program of a worker: what a worker's process does before and after its work.

    __main__.py   sets the limits, reads what is to be done, does it, answers

A worker's work is a module of its own beside whoever has it done, with a function

    def work(options: dict[str, Any], data: bytes) -> bytes: ...

that raises `Refused` for data which it will not take. The module is loaded from its path. It may
import the standard library and what is installed; of Wingman, only modules that import no more than
that: the `__init__` of `wingman` and of the module's own package are not run.

Nothing in here imports more than the standard library.
"""

__all__ = ["Refused"]


class Refused(Exception):
    """The data are not what they should be; its text, a sentence, is for who sent them."""
