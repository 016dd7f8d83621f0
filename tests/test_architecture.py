"""The house as it is drawn: imports run one way, and each package is entered by its door."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import wingman

ROOT = Path(wingman.__file__).parent
REPOSITORY = ROOT.parent.parent

# What each part of the house may import of the others. `errors` is free to all above it.
VALUES = {"errors", "foreign", "conversation", "events", "output", "agent"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "foreign": set(),
    "conversation": set(),
    "events": {"conversation"},
    "actor": {"foreign"},
    "telemetry": set(),
    "metrics": {"conversation"},
    "providers": {"errors", "conversation"},
    "testing": {"conversation", "providers"},
    "tools": {"errors", "foreign", "conversation"},
    "output": set(),
    "agent": {"conversation", "output", "providers", "tools"},
    "store": VALUES,
    "session": VALUES | {"actor", "providers", "tools", "store", "metrics"},
    "runtime": VALUES | {"actor", "providers", "tools", "store", "session"},
    "server": VALUES | {"actor", "store", "session", "runtime"},
    "cli": VALUES | {"actor", "providers", "tools", "session", "runtime", "server", "telemetry"},
    "__main__": {"cli"},
    "__init__": VALUES | {"tools", "session", "runtime"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).parts[0].removesuffix(".py"), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module


@pytest.mark.parametrize("part", sorted({part for part, _ in modules()}))
def test_imports_run_one_way(part: str) -> None:
    for own, path in modules():
        if own != part:
            continue
        for name in imports(path):
            package, _, rest = name.partition(".")
            if package != "wingman" or not rest:
                continue
            other = rest.split(".")[0]
            assert other == part or other in ALLOWED[part], f"{path} imports {name}"


def test_the_actor_runtime_imports_trio_and_attrs_alone() -> None:
    third_party = {
        name.split(".")[0] for own, path in modules() if own == "actor" for name in imports(path)
    }
    stdlib = set(importlib.import_module("sys").stdlib_module_names)
    assert third_party - stdlib == {"trio", "attrs", "wingman"}


def test_the_server_speaks_no_http_of_its_own_to_others() -> None:
    for own, path in modules():
        if own == "server":
            assert "httpx" not in set(imports(path)), path


@pytest.mark.parametrize(
    "package", ["actor", "providers", "runtime", "server", "session", "store", "testing", "tools"]
)
def test_a_package_names_what_it_offers(package: str) -> None:
    module = importlib.import_module(f"wingman.{package}")
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)  # their order is ruff's to hold
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_the_public_names_are_these() -> None:
    assert wingman.__all__ == [
        "Agent",
        "Done",
        "Event",
        "ImageBlock",
        "Limits",
        "Message",
        "Price",
        "Receipt",
        "Result",
        "Run",
        "RunStream",
        "Runtime",
        "Session",
        "Step",
        "Text",
        "Thinking",
        "Tool",
        "ToolCallResult",
        "ToolContext",
        "ToolOutput",
        "ToolProgress",
        "ToolResult",
        "ToolUse",
        "Usage",
        "WingmanError",
        "tool",
    ]
    for name in wingman.__all__:
        assert hasattr(wingman, name)


def test_every_module_says_what_it_is() -> None:
    for _, path in modules():
        assert ast.get_docstring(ast.parse(path.read_text())), path


@pytest.mark.parametrize(
    "package", sorted(path.parent for path in ROOT.rglob("__init__.py")), ids=lambda path: path.name
)
def test_a_packages_map_names_all_that_is_in_it(package: Path) -> None:
    text = (package / "__init__.py").read_text()
    modules = {path for path in package.glob("*.py") if not path.name.startswith("_")}
    packages = {path.parent for path in package.glob("*/__init__.py")}
    for path in modules | packages:
        assert path.name in text, f"{path} is not on the map of its package"


def test_modules_fit_in_the_head() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for _, path in modules()
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long


def test_an_error_has_one_code_and_its_place_in_the_drawing() -> None:
    errors = importlib.import_module("wingman.errors")
    for name in errors.__all__:
        assert f" {name}" in errors.__doc__ or name == "WingmanError", name
        assert issubclass(getattr(errors, name), errors.WingmanError)
