"""The program that runs a GGUF file: llama.cpp and its own server, in a process of their own.

It reads its order from stdin, one line of JSON, says `ready URL` on stdout when the model is
loaded, and ends when stdin does. Run by path; it imports nothing of Wingman.
"""

import fcntl
import json
import os
import select
import sys
from typing import Any


def main() -> None:
    """Load the model and serve it until there is nobody to serve."""
    order = json.loads(sys.stdin.buffer.readline())
    end_with_stdin()
    server = loaded(order)
    print("ready", server.listening_address, flush=True)  # noqa: T201  the reader is a program
    sys.stdin.buffer.read()  # where SIGIO ends nobody, as on macOS, it ends here
    os._exit(0)


def end_with_stdin() -> None:
    """Have the kernel end this process when the other end of stdin is closed, or is dead.

    No thread could watch for it: llama.cpp holds the interpreter's lock for as long as it loads.
    SIGIO, which ends whoever does not handle it (on Linux), needs no interpreter.
    """
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    ended, _, _ = select.select([0], [], [], 0)
    if ended:  # before it was armed
        sys.exit()


def loaded(order: dict[str, Any]) -> Any:
    """The server of a model: on loopback, on a free port, for whoever has the token."""
    import xllamacpp  # noqa: PLC0415  a tenth of a second, and not needed to be told to end

    params = xllamacpp.CommonParams()
    params.model.path = order["path"]
    params.n_ctx = order["context"]
    params.api_keys = [order["token"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.endpoint_slots = False
    params.verbosity = 1  # errors alone
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        sys.exit(str(error))  # llama.cpp has said why


if __name__ == "__main__":
    main()
