"""The door of `wingman.tools`."""

import subprocess
import sys

import wingman.tools
from wingman.tools import BUILTIN, Tool


def test_the_exported_names() -> None:
    assert wingman.tools.__all__ == [
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
    for name in wingman.tools.__all__:
        assert hasattr(wingman.tools, name)


def test_the_built_in_tools_by_name() -> None:
    assert list(BUILTIN) == ["bash", "read", "write", "edit", "glob", "grep", "webfetch"]
    for name, builtin in BUILTIN.items():
        assert isinstance(builtin, Tool)
        assert builtin.name == name
        assert builtin.description
        for parameter in builtin.input_schema["properties"].values():
            assert parameter["description"]


def test_the_door_does_not_load_what_only_webfetch_needs() -> None:
    needed = {"html_to_markdown", "webencodings", "wingman.tools.pages"}
    program = f"import sys, wingman.tools; print(sorted({needed} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert loaded.stdout == b"[]\n"
