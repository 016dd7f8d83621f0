"""The example in the package's docstring runs as it stands."""

import re
import textwrap
from typing import Any

import wingman.actor


async def test_the_example_of_the_docstring_runs_as_it_stands() -> None:
    indented = re.search(r"^ {4}from .*\n( {4}.*\n|\n)+", wingman.actor.__doc__ or "", re.MULTILINE)
    assert indented is not None
    example = textwrap.dedent(indented.group()).strip()
    assert "async with ActorSystem()" in example
    namespace: dict[str, Any] = {}
    exec(
        "async def example():\n" + textwrap.indent(example, "    ") + "\n    return locals()",
        namespace,
    )
    left = await namespace["example"]()
    assert (await left["account"].wait_stopped()).cause == "stopped"
