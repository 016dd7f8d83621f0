"""The form of the file: it says what the command line and the contract say, and so does its
schema."""

import json
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import jsonschema_rs
import msgspec
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from config_kit import written
from docs.pages import REPOSITORY
from wingman.api import AgentFields, CompactionConfig, McpServer, PermissionRule, ProviderConfig
from wingman.cli.serve import serve_command
from wingman.config import (
    AgentEntry,
    Configuration,
    LimitOptions,
    ServeOptions,
    ToolSources,
    schema,
)
from wingman.config.decoding import Undecodable, decode
from wingman.run import Price

OPTIONS = {
    option.name: option
    for option in serve_command.params
    if isinstance(option, click.Option) and option.name is not None
}


def names(kind: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind)}


def test_each_option_of_serve_can_be_said_in_the_file() -> None:
    # The file is the file; prices and permissions are sections of it.
    elsewhere = {"config", "prices", "permissions"}
    assert names(ServeOptions) | names(LimitOptions) | elsewhere == set(OPTIONS)
    assert names(LimitOptions) == {name for name in OPTIONS if name.startswith("max_")} - {
        "max_connections",
        "max_body_memory",
    }


@pytest.mark.parametrize("section", [ServeOptions, LimitOptions])
def test_what_an_option_takes_its_key_takes_too(section: type[msgspec.Struct]) -> None:
    for name in names(section):
        kind = OPTIONS[name].type
        for value in (-1, 0, 0.05, 0.5, 1, 2, 99, 100, 65535, 65536, "info", "text", "x.example"):
            number = isinstance(value, int | float)
            taken = number == isinstance(kind, click.types._NumberParamTypeBase)
            if taken:
                try:
                    option = OPTIONS[name]
                    text = str(value) if number else value
                    context = click.Context(serve_command)
                    given = [text] if option.multiple else text
                    taken = option.process_value(context, given) is not None
                except click.BadParameter:
                    taken = False
            try:
                table = {name: [value] if OPTIONS[name].multiple else value}
                msgspec.convert(table, section)
            except msgspec.ValidationError:
                assert not taken, (name, value)
            else:
                assert taken, (name, value)


def test_an_agent_of_the_file_has_the_fields_of_one_over_http() -> None:
    assert names(AgentEntry) == names(AgentFields) - {"name"}


def test_every_key_says_what_it_is() -> None:
    document = schema()
    for part in (document, *document["$defs"].values()):
        assert part.get("description"), part
    for section in ("ServeOptions", "LimitOptions", "AgentEntry", "ToolSources"):
        for key, value in document["$defs"][section]["properties"].items():
            assert value.get("description"), (section, key)


def test_the_schema_that_is_kept_is_that_of_the_form() -> None:
    kept = (REPOSITORY / "docs" / "wingman.schema.json").read_text()
    assert kept == json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


# --- what is written is read -------------------------------------------------------------------

texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs", "Cc")),
    min_size=1,
    max_size=20,
)
plain = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
counts = st.integers(1, 1_000_000)
numbers = st.floats(0.1, 1e6)
parts = st.floats(0.1, 1.0)
effects = st.sampled_from(["allow", "ask", "deny"])
rules: st.SearchStrategy[Any] = st.one_of(
    effects,
    st.dictionaries(
        texts, st.one_of(effects, st.dictionaries(texts, effects, max_size=3)), max_size=3
    ),
    st.lists(st.builds(PermissionRule, texts, effects, texts), max_size=3).map(tuple),
)
providers = st.builds(
    ProviderConfig, plain, st.none() | texts, st.none() | counts, st.none() | st.floats(0, 2)
)
json_values = st.recursive(
    st.booleans() | st.integers(-1000, 1000) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def some(kind: type[msgspec.Struct], **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Structs of which each field is said or not."""
    said = {name: st.just(UNSET) | value for name, value in values.items()}
    return st.fixed_dictionaries(said).map(
        lambda given: kind(**{name: value for name, value in given.items() if value is not UNSET})
    )


servers = st.one_of(
    st.builds(
        McpServer,
        command=st.lists(texts, min_size=1, max_size=3).map(tuple),
        env=st.dictionaries(plain, texts, max_size=2),
        cwd=st.none() | texts,
        tools=st.none() | st.lists(texts, max_size=2).map(tuple),
        discovery_timeout=st.floats(0.1, 86_400),
        enabled=st.booleans(),
    ),
    st.builds(
        McpServer,
        url=st.builds("http://{}/{}".format, plain, plain),
        headers=st.dictionaries(plain, texts, max_size=2),
    ),
)
configurations = some(
    Configuration,
    serve=some(
        ServeOptions,
        host=texts,
        port=st.integers(0, 65535),
        db=texts,
        log_level=st.sampled_from(["debug", "info", "warning", "error"]),
        log_format=st.sampled_from(["text", "json"]),
        token=texts,
        allowed_hosts=st.lists(plain, max_size=2).map(tuple),
        grace=numbers,
        idle_after=numbers,
        nodes=counts,
        max_connections=counts,
        max_body_memory=counts,
        compact_at=parts,
    ),
    limits=some(
        LimitOptions,
        **{
            name: numbers if "seconds" in name else counts.map(lambda n: n + 99)
            for name in names(LimitOptions)
        },
    ),
    permissions=rules,
    prices=st.dictionaries(
        st.builds("{}/{}".format, plain, plain),
        st.builds(Price, input=numbers, output=numbers, cache_read=st.none() | numbers),
        max_size=2,
    ),
    agents=st.dictionaries(
        plain | st.just("Größe ä") | st.just("with blanks"),
        some(
            AgentEntry,
            instructions=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))),
            provider=providers,
            tools=st.lists(texts, max_size=3).map(tuple),
            toolsets=st.lists(texts, max_size=2).map(tuple),
            max_steps=counts,
            permissions=rules,
            output_schema=st.dictionaries(texts, json_values, max_size=3),
            instruction_files=st.booleans(),
            compaction=st.booleans() | st.builds(CompactionConfig, parts, st.none() | providers),
        ),
        max_size=3,
    ),
    mcp=st.dictionaries(plain, servers, max_size=2),
    tools=some(
        ToolSources,
        path=st.lists(texts, max_size=2).map(tuple),
        imports=st.lists(st.just("a.b:c.d") | st.just("x:y"), max_size=2).map(tuple),
        entry_points=st.booleans() | st.lists(texts, max_size=2).map(tuple),
    ),
)


def as_toml(configuration: Configuration) -> bytes:
    """A configuration as a file. `$` stands for itself; a variable is asked for nowhere."""
    table = without_null(msgspec.to_builtins(configuration))
    for part in (table.get("serve", {}), *table.get("mcp", {}).values()):
        for key in ("token", "url", "env", "headers"):
            if key in part:
                part[key] = escaped(part[key])
    return tomli_w.dumps(table).encode()


def escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: escaped(text) for name, text in value.items()}
    return value.replace("${", "$${")


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null(part) for key, part in value.items() if part is not None}
    return value


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(configurations)
def test_what_is_written_is_read_as_it_was_and_fits_the_schema(
    configuration: Configuration,
) -> None:
    data = as_toml(configuration)
    assert decode(data, {}) == configuration
    validator = jsonschema_rs.Draft202012Validator(schema())
    assert list(validator.iter_errors(tomllib.loads(data.decode()))) == []


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(configurations, st.data())
def test_of_any_file_with_a_mistake_the_line_is_told(
    configuration: Configuration, data: st.DataObject
) -> None:
    lines = as_toml(configuration).decode().splitlines()
    tables = [
        number for number, line in enumerate(lines) if line.startswith("[") and line.endswith("]")
    ]
    at = data.draw(st.sampled_from(tables)) + 1 if tables else 0
    lines.insert(at, "no-such-key-anywhere = 1")
    with suppress(Undecodable):
        decode("\n".join(lines).encode(), {})
        return  # names are free there, and it is one
    with pytest.raises(Undecodable) as caught:
        decode("\n".join(lines).encode(), {})
    assert {mistake.line for mistake in caught.value.mistakes} == {at + 1}


def test_a_variable_stands_for_its_value_where_keys_and_addresses_are(tmp_path: Path) -> None:
    environment = {"HOST": "h", "KEY": "k"}
    text = """
    [serve]
    token = "${KEY}"
    db = "${KEY}"
    [mcp.a]
    url = "https://${HOST}/x?$${KEY}"
    headers = {A = "Bearer ${KEY}${HOST}"}
    [mcp.b]
    command = ["${KEY}"]
    env = {A = "${KEY}", B = "$KEY"}
    """
    found = decode(written(tmp_path, text).read_bytes(), environment)
    assert (found.serve.token, found.serve.db) == ("k", "${KEY}")
    assert found.mcp["a"].url == "https://h/x?${KEY}"
    assert found.mcp["a"].headers == {"A": "Bearer kh"}
    assert found.mcp["b"].command == ("${KEY}",)
    assert found.mcp["b"].env == {"A": "k", "B": "$KEY"}


def test_a_variable_that_is_empty_counts_as_not_set(tmp_path: Path) -> None:
    with pytest.raises(Undecodable):
        decode(b"[serve]\ntoken = '${KEY}'", {"KEY": ""})
