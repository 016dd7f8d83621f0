"""Every option is an environment variable as well."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from wingman.cli import main
from wingman.cli.run import run_command
from wingman.cli.serve import serve_command


def options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


def variable(option: click.Option) -> str:
    """The rule: `--max-steps` is `WINGMAN_MAX_STEPS`."""
    name = next(name for name in option.opts if name.startswith("--"))
    return "WINGMAN_" + name.removeprefix("--").upper().replace("-", "_")


def sample(option: click.Option, tmp_path: Path) -> str:
    """A value that the option takes, other than its default."""
    match option.type:
        case click.Choice(choices=choices):
            return str(next(each for each in choices if each != option.default))
        case click.Path(file_okay=False):
            return str(tmp_path)
        case click.Path() if option.name == "config":
            config = tmp_path / "wingman.toml"
            config.write_text("[limits]\nmax_queued = 7\n")
            config.chmod(0o600)
            return str(config)
        case click.Path():
            prices = tmp_path / "prices.json"
            prices.write_text('{"a/b": {"input": 1, "output": 2}}')
            return str(prices)
        case click.types.BoolParamType():
            return "1"
        case click.types.StringParamType() if option.name == "tools":
            return "bash,read"
        case click.types.StringParamType():
            return "some"
        case _ if option.name in ("permissions", "rules"):
            return "ask"
        case click.types.IntParamType():
            return "1717"
        case click.FloatRange(max=1.0):
            return "0.5"
        case click.types.FloatParamType():
            return "1.5"
    return "one.example"


def parsed(command: click.Command, *arguments: str) -> dict[str, Any]:
    parent = click.Context(main)
    return dict(command.make_context("command", list(arguments), parent=parent).params)


@pytest.mark.parametrize("command", [serve_command, run_command], ids=lambda command: command.name)
def test_a_variable_does_what_its_option_does(
    command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(options(command)) > 5
    plain = parsed(command)
    for option in options(command):
        value, name = sample(option, tmp_path), option.name or ""
        given = [max(option.opts, key=len)] + ([] if option.is_flag else [value])
        by_option = parsed(command, *given)
        assert by_option[name] != plain[name], option.opts
        monkeypatch.setenv(variable(option), value)
        assert parsed(command)[name] == by_option[name], option.opts
        monkeypatch.setenv(variable(option), "")
        assert parsed(command)[name] == plain[name], option.opts
        monkeypatch.delenv(variable(option))


def test_the_command_line_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINGMAN_PORT", "1")
    monkeypatch.setenv("WINGMAN_ALLOWED_HOST", "a.example")
    given = parsed(serve_command, "--port", "2", "--allowed-host", "b.example")
    assert (given["port"], given["allowed_hosts"]) == (2, ("b.example",))


@pytest.mark.parametrize(
    "value", ["a.example b.example", "a.example,b.example", " a.example , b.example\n"]
)
def test_several_names_are_separated_by_commas_or_blanks(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("WINGMAN_ALLOWED_HOST", value)
    assert parsed(serve_command)["allowed_hosts"] == ("a.example", "b.example")


@pytest.mark.parametrize(
    "name", ["a", "my_host.internal", "b\u00fccher.example", "10.0.0.7", "fd00::1"]
)
def test_a_host_is_allowed_by_its_name_or_address(name: str) -> None:
    assert parsed(serve_command, "--allowed-host", name)["allowed_hosts"] == (name,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WINGMAN_PORT", "tcp://10.0.0.1:2323"),
        ("WINGMAN_PORT", "70000"),
        ("WINGMAN_GRACE", "-1"),
        ("WINGMAN_GRACE", "nan"),
        ("WINGMAN_IDLE_AFTER", "0"),
        ("WINGMAN_IDLE_AFTER", "nan"),
        ("WINGMAN_ALLOWED_HOST", "http://wingman.example/"),
        ("WINGMAN_ALLOWED_HOST", "a.example,wingman.example:443"),
        ("WINGMAN_ALLOWED_HOST", "wingman.example/path"),
        ("WINGMAN_ALLOWED_HOST", "*.example"),
        ("WINGMAN_ALLOWED_HOST", "[::1]"),
        ("WINGMAN_LOG_LEVEL", "loud"),
        ("WINGMAN_LOG_FORMAT", "xml"),
        ("WINGMAN_PRICES", "/none.json"),
        ("WINGMAN_MAX_STEPS", "0"),
        ("WINGMAN_MAX_TOKENS", "many"),
    ],
)
def test_a_bad_value_names_the_variable(name: str, value: str) -> None:
    result = CliRunner().invoke(main, ["serve"], env={name: value})
    assert result.exit_code == 2
    assert f"'{name}'" in result.output
    option = "--" + name.removeprefix("WINGMAN_").lower().replace("_", "-")
    assert option not in result.output


def test_a_bad_option_is_named_by_itself_whatever_the_environment_has() -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "x"], env={"WINGMAN_PORT": "1"})
    assert result.exit_code == 2
    assert "'--port'" in result.output
    assert "in the environment" not in result.output
