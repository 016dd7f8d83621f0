"""The configuration: what `wingman.toml` says, or what is wrong with it, and where.

    form.py       which keys there are, and what each may be
    files.py      where the file is, who may write it, its bytes
    decoding.py   from bytes to a `Configuration`, or to all of its mistakes
    variables.py  `${NAME}` in a value
    mistakes.py   a mistake, and how it is told
    places.py     in which line a key stands
    imports.py    tools by import path and by entry point
    loading.py    all of these together
    changes.py    what another configuration changes, and what needs a restart
    schema.py     the form as a JSON Schema

It knows no command line and no server, and changes no runtime: it gives the settings that one can
be given.
"""

from wingman.config.changes import changed, needing_restart
from wingman.config.files import default_path
from wingman.config.form import AgentEntry, Configuration, LimitOptions, ServeOptions, ToolSources
from wingman.config.loading import Loaded, Loader
from wingman.config.mistakes import ConfigError, Mistake
from wingman.config.schema import schema

__all__ = [
    "AgentEntry",
    "ConfigError",
    "Configuration",
    "LimitOptions",
    "Loaded",
    "Loader",
    "Mistake",
    "ServeOptions",
    "ToolSources",
    "changed",
    "default_path",
    "needing_restart",
    "schema",
]
