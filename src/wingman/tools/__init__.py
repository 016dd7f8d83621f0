"""Tools: what a model can have done, and how a plain function becomes one more of them.

    base.py        Tool and ToolContext: all that the rest of Wingman knows of a tool
    output.py      ToolOutput: text, images, and a JSON value for programs
    decorator.py   @tool, from   schema.py (signature → JSON Schema, input → arguments)
                                 annotations.py (the parameters' types)
                                 docstrings.py (what the model is told)
                                 unknown.py (arguments that are no parameters)
                                 threads.py (sync functions, abandoned as a last resort)
    toolset.py     tools that are there while something is open, and ways to see them
    process.py     one command, of `wingman.processes`
    shell.py       bash                  on process.py
    search.py      glob, grep            on process.py too: searching/ is its program
    reading.py     read                  }
    writing.py     write, edit           } on paths.py: the one door to the file system
                                         writing.py also on   editing.py (a text in a text)
                                                              replacing.py (a file's content)
    web.py         webfetch              on fetching.py (the exchange with a server), which is on
                                         addresses.py (what may be fetched)
    pages/         the program that makes text of what webfetch was sent, in a worker's process

A tool is given an input and a `ToolContext`, and returns text or raises `ToolError`. This package
knows nothing of sessions, actors, stores or servers: whoever calls a tool decides what is recorded,
who hears its progress, when it is cancelled, and how long all of it may take.
"""

from collections.abc import Mapping
from types import MappingProxyType

from wingman.tools.base import Tool, ToolContext
from wingman.tools.decorator import tool
from wingman.tools.output import ToolOutput
from wingman.tools.reading import read
from wingman.tools.search import glob, grep
from wingman.tools.shell import bash
from wingman.tools.toolset import (
    Asking,
    Combined,
    Filtered,
    Prefixed,
    Tools,
    Toolset,
    Wrapped,
    toolsets_of,
)
from wingman.tools.web import webfetch
from wingman.tools.writing import edit, write

__all__ = [
    "BUILTIN",
    "Asking",
    "Combined",
    "Filtered",
    "Prefixed",
    "Tool",
    "ToolContext",
    "ToolOutput",
    "Tools",
    "Toolset",
    "Wrapped",
    "bash",
    "edit",
    "glob",
    "grep",
    "read",
    "tool",
    "toolsets_of",
    "webfetch",
    "write",
]

BUILTIN: Mapping[str, Tool] = MappingProxyType(
    {builtin.name: builtin for builtin in (bash, read, write, edit, glob, grep, webfetch)}
)
"""The tools that come with Wingman, by name."""
