"""What the tests of the configuration share: a file, a module of tools beside it, and what is said
of them."""

import os
import sys
from pathlib import Path
from textwrap import dedent

from wingman.config import ConfigError, Loaded, Loader

__all__ = ["load", "mistakes", "written"]

WEATHER = '''
from wingman import Tool, tool
from wingman.tools import Tools

@tool
def forecast(city: str) -> str:
    """Tell the weather.

    Args:
        city: Which city.
    """
    return f"Sun in {city}."

@tool(name="bash")
def shell(line: str) -> str:
    """Run something else than bash does."""
    return line

@tool
def rain(city: str) -> str:
    """Tell how much it rains."""
    return "Not at all."

BOTH = [forecast, rain]
SET = Tools("weather", [forecast])
NUMBER = 3

@tool(name="web_x")
def web(city: str) -> str:
    """Look something up."""
    return city

def made():
    return [rain]

def plain(city):
    return city

async def later():
    return rain

def bad():
    raise SystemExit(3)

def number():
    return 3
'''


def written(directory: Path, text: str, **modules: str) -> Path:
    """The file of a configuration, and modules in `tools` beside it. Nobody else may write them."""
    # What another test has imported under these names is not what this one writes.
    sys.path[:] = [place for place in sys.path if not place.endswith("/tools")]
    for name in modules:
        sys.modules.pop(name, None)
    before = os.umask(0o022)
    try:
        tools = directory / "tools"
        tools.mkdir(exist_ok=True)
        for name, code in modules.items():
            (tools / f"{name}.py").write_text(code)
        path = directory / "wingman.toml"
        path.write_text(dedent(text))
    finally:
        os.umask(before)
    return path


def load(path: Path) -> Loaded:
    """What a file says."""
    return Loader(path).load()


def mistakes(path: Path) -> list[str]:
    """What is wrong with a file, each without the directory that it is in."""
    try:
        load(path)
    except ConfigError as error:
        return f"{error}".replace(f"{path.parent}/", "").splitlines()
    return []
