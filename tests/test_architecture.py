"""The house as it is drawn: imports run one way, and each package is entered by its door."""

import ast
import importlib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import wingman
import wingman.cli
import wingman.server
import wingman.testing

ROOT = Path(wingman.__file__).parent
REPOSITORY = ROOT.parent.parent

# What each part of the house may import of the others. `errors` is free to all above it.
VALUES = {
    "given",
    "ids",
    "under_trio",
    "errors",
    "foreign",
    "telemetry",
    "conversation",
    "events",
} | {
    "output",
    "api",
    "permissions",
    "agent",
    "nearest",
}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "foreign": set(),
    "under_trio": set(),
    "given": {"foreign"},
    "conversation": set(),
    "events": {"conversation"},
    "lazy": set(),
    "ids": set(),
    "api": {"conversation", "events", "lazy"},
    "sse": set(),
    "request_body": set(),
    "face": {"errors", "api", "conversation", "events"},
    "client": {"errors", "conversation", "events", "api", "face", "sse", "lazy", "request_body"},
    "actor": {"foreign", "under_trio"},
    "telemetry": set(),
    "metrics": {"conversation"},
    "providers": {
        "errors",
        "foreign",
        "telemetry",
        "under_trio",
        "conversation",
        "api",
        "sse",
        "request_body",
    },
    "testing": {"under_trio", "conversation", "providers"},
    "processes": {"foreign"},
    "schemas": set(),
    "images": {"errors", "conversation", "processes"},
    "tools": {
        "errors",
        "foreign",
        "given",
        "under_trio",
        "conversation",
        "images",
        "processes",
        "schemas",
    },
    "mcp": {"errors", "foreign", "api", "conversation", "processes", "schemas", "tools"},
    "permissions": {"api", "processes"},
    "output": {"schemas"},
    "nearest": set(),
    "agent": {
        "foreign",
        "given",
        "conversation",
        "output",
        "api",
        "permissions",
        "providers",
        "tools",
    },
    "store": VALUES,
    "run": VALUES | {"sse", "images", "providers", "processes", "tools", "store", "metrics"},
    "session": VALUES | {"images", "actor", "tools", "store", "metrics", "run"},
    "cluster": VALUES | {"store", "session"},
    "runtime": VALUES
    | {
        "actor",
        "cluster",
        "face",
        "mcp",
        "providers",
        "processes",
        "tools",
        "store",
        "metrics",
        "run",
        "session",
    },
    "config": VALUES | {"providers", "tools", "run", "runtime"},
    "server": VALUES | {"sse", "actor", "store", "run", "schemas", "session", "cluster", "runtime"},
    "cli": VALUES
    | {
        "client",
        "config",
        "face",
        "lazy",
        "processes",
        "providers",
        "tools",
        "run",
        "runtime",
        "server",
        "session",
    },
    "__main__": {"cli"},
    "__init__": VALUES | {"lazy", "tools", "run", "session", "runtime"},
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
    # And `typing_extensions`, which type checkers bring along: it is not imported at run time.
    third_party = {
        name.split(".")[0]
        for own, path in modules()
        if own == "actor"
        for name in imports(path)
        if name != "typing_extensions"
    }
    stdlib = set(importlib.import_module("sys").stdlib_module_names)
    assert third_party - stdlib == {"trio", "attrs", "wingman"}


def test_the_server_speaks_no_http_of_its_own_to_others() -> None:
    for own, path in modules():
        if own == "server":
            assert "httpx" not in set(imports(path)), path


PACKAGES = (
    "actor",
    "actor.testing",
    "client",
    "cluster",
    "config",
    "errors",
    "images",
    "mcp",
    "permissions",
    "processes",
    "providers",
    "run",
    "runtime",
    "schemas",
    "server",
    "session",
    "store",
    "testing",
    "tools",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_names_what_it_offers(package: str) -> None:
    module = importlib.import_module(f"wingman.{package}")
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)  # their order is ruff's to hold
    for name in module.__all__:
        assert getattr(module, name) is not None


PUBLIC = ["wingman", *(f"wingman.{package}" for package in PACKAGES)]


def test_the_public_names_are_these() -> None:
    """What a door offers, others rely on: a name that comes or goes is a line of the file."""
    computed = "".join(
        f"{name}.{public}\n" for name in PUBLIC for public in importlib.import_module(name).__all__
    )
    assert Path(__file__).with_name("public_names.txt").read_text() == computed


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


def imported_by(path: Path) -> Iterator[str]:
    """The modules that a module imports at run time, those among them that a door is asked for."""
    for node in at_run_time(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            ours = node.module.split(".")[0] == "wingman"
            door = importlib.import_module(node.module) if ours else None
            offered = getattr(door, "__all__", ())  # `serve` is both
            found = [
                name for name in names if is_module(name) and name.split(".")[-1] not in offered
            ]
            yield from found
            if len(found) < len(names):
                yield node.module


def at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that stand under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from at_run_time(node)


def is_package(name: str) -> bool:
    return (ROOT.parent.joinpath(*name.split(".")) / "__init__.py").exists()


def is_module(name: str) -> bool:
    place = ROOT.parent.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def test_a_package_is_entered_by_its_door() -> None:
    """From elsewhere a package is imported, never a module within it."""
    for _, path in modules():
        own = path.relative_to(ROOT.parent).parts[:-1]
        for name in imported_by(path):
            parts = tuple(name.split("."))
            if parts[0] == "wingman" and not is_package(name):
                within = parts[:-1]
                assert within == own[: len(within)], f"{path} imports {name}"


@pytest.mark.parametrize(
    "room", sorted(path.parent.name for path in ROOT.glob("providers/*/__init__.py"))
)
def test_a_room_of_providers_names_what_it_offers_and_what_it_does_not_know(room: str) -> None:
    module = importlib.import_module(f"wingman.providers.{room}")
    for name in module.__all__:
        assert getattr(module, name) is not None
    said = " ".join((module.__doc__ or "").split())
    assert "does not know" in said or "knows no" in said


def test_no_module_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for _, path in modules():
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        graph[name.removesuffix(".__init__")] = {
            other for other in imported_by(path) if other.startswith("wingman")
        }
    assert len(graph) > 150
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names it
    assert (
        order.index("wingman.run") < order.index("wingman.session") < order.index("wingman.runtime")
    )


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
