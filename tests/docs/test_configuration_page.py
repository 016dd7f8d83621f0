"""`docs/configuration.md` has every key, and its examples are configurations."""

import re
from pathlib import Path

import msgspec
import pytest

from config_kit import load, written
from docs.pages import BLOCKS, REPOSITORY
from wingman.api import McpServer
from wingman.config import AgentEntry, LimitOptions, ServeOptions, ToolSources

PAGE = "docs/configuration.md"
TEXT = (REPOSITORY / PAGE).read_text()
FILES = [block.code for block in BLOCKS if block.page == PAGE and block.language == "toml"]
(WEATHER,) = [block.code for block in BLOCKS if block.page == PAGE and "def forecast" in block.code]


def keys(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


@pytest.mark.parametrize("number", range(len(FILES)))
def test_its_examples_are_well(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKETS_KEY", "k")
    monkeypatch.setenv("FILES_TOKEN", "t")
    loaded = load(written(tmp_path, FILES[number], weather=WEATHER))
    assert loaded.configuration.agents
    tools = [tool.name for tool in loaded.tools]
    assert tools == (["forecast"] if "[tools]" in FILES[number] else [])


def test_one_example_has_every_section() -> None:
    sections = {"serve", "limits", "permissions", "prices", "agents", "mcp", "tools"}
    found = [set(re.findall(r"^\[(\w+)", file, re.MULTILINE)) for file in FILES]
    assert sections in found


@pytest.mark.parametrize("kind", [AgentEntry, McpServer, ToolSources])
def test_its_tables_have_every_key_of_a_section(kind: type[msgspec.Struct]) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert set(keys(kind)) <= set(rows)


@pytest.mark.parametrize(("section", "kind"), [("serve", ServeOptions), ("limits", LimitOptions)])
def test_it_lists_the_options_of_a_section(section: str, kind: type[msgspec.Struct]) -> None:
    (row,) = re.findall(rf"^\| `\[{section}\]` \| (.*) \|$", TEXT, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == keys(kind)


def test_its_table_of_mcp_servers_has_their_defaults() -> None:
    for field in msgspec.structs.fields(McpServer):
        if isinstance(field.default, bool | float):
            (row,) = re.findall(rf"^\| `{field.name}` \| `([^`]*)` \|", TEXT, re.MULTILINE)
            assert row == f"{field.default:g}" if type(field.default) is float else "true"
