"""Each mistake is one line: the file, the line, the key, and what to do."""

# ruff: noqa: E501 - a case is a line

import os
import re
from pathlib import Path

import pytest

from config_kit import WEATHER, load, mistakes, written
from wingman.cli import main  # noqa: F401 - all that the command line needs is imported

FORM = [
    ("[serve]\nport = 99999", "2: serve.port: Expected a whole number <= 65535."),
    ("[serve]\nport = 'x'", "2: serve.port: Expected a whole number, got a text."),
    ("[serve]\n\nprot = 1", "3: serve.prot: There is no such key; did you mean 'port'?"),
    ("[serve]\nlog-level = 'info'", "2: serve.log-level: There is no such key; did you mean 'log_level'?"),
    ("[serve]\nlog_level = 'inof'", "2: serve.log_level: Expected one of debug, info, warning, error; did you mean 'info'?"),
    ("[serve]\ngrace = nan", "2: serve.grace: nan is no number."),
    ("[serve]\ngrace = -1", "2: serve.grace: Expected a number >= 0.0."),
    ("[serve]\nidle_after = 0", "2: serve.idle_after: Expected a number > 0.0."),
    ("[serve]\ndb = ''", "2: serve.db: Expected a text of length >= 1."),
    (
        "[serve]\nallowed_hosts = [\n 'a.example',\n 'http://b']",
        "4: serve.allowed_hosts[1]: Expected the name alone, as in wingman.example, without a "
        "scheme, a port or a path.",
    ),
    ("[serve]\nallowed_hosts = 'a'", "2: serve.allowed_hosts: Expected a list, got a text."),
    ("[serve]\ntoken = '${NO_SUCH}'", "2: serve.token: The variable NO_SUCH is not set in Wingman's environment."),
    ("serve = 3", "1: serve: Expected a table, got a whole number."),
    ("[limits]\nsteps = 3", "2: limits.steps: There is no such key; did you mean 'max_steps'?"),
    ("[limits]\nmax_steps = 0", "2: limits.max_steps: Expected a whole number >= 1."),
    ("[limits]\nmax_steps = 1.5", "2: limits.max_steps: Expected a whole number, got a number."),
    ("permissions = 'alow'", "1: permissions: Expected one of allow, ask, deny; did you mean 'allow'?"),
    ("[permissions]\nbash = {'git *' = 'no'}", '2: permissions.bash."git *": Expected one of allow, ask, deny.'),
    ("[permissions.bash]\n'*' = 'ask'\n'ls *' = 3", '3: permissions.bash."ls *": Expected a text, got a whole number.'),
    ("[[permissions]]\naction = 'bash'\n", "1: permissions[0]: It lacks the key 'effect'."),
    (
        "[[permissions]]\naction = 'a'\neffect = 'ask'\n[[permissions]]\naction = 'b'\nefect = 'ask'",
        "4: permissions[1]: It lacks the key 'effect'.",
        "6: permissions[1].efect: There is no such key; did you mean 'effect'?",
    ),
    ("[prices]\n'a/b' = {input = 1}", "2: prices.\"a/b\": It lacks the key 'output'."),
    ("[prices.'a/b']\ninput = -1\noutput = 1", '2: prices."a/b".input: Expected a number >= 0.0.'),
    (
        "[prices]\nclaude = {input = 1, output = 1}",
        "2: prices.claude: 'claude' cannot be a name here: expected a provider and a model, as in "
        "anthropic/claude-sonnet-4-5.",
    ),
    (
        "[agents.'a/b']\n",
        "1: agents.\"a/b\": 'a/b' cannot be a name here: expected up to 200 characters without a slash.",
    ),
    ("[agents.a]\nname = 'b'", "2: agents.a.name: There is no such key."),
    ("[agents.a]\ntools = 'bash'", "2: agents.a.tools: Expected a list, got a text."),
    ("[agents.a]\nmax_steps = 0", "2: agents.a.max_steps: Expected a whole number >= 1."),
    ("[agents.a.provider]\nmodel = 'x'", "1: agents.a.provider: It lacks the key 'id'."),
    ("agents.a.provider = {id = 'x', temperature = 3}", "1: agents.a.provider.temperature: Expected a number <= 2.0."),
    ("[agents.a]\ncompaction = {threshold = 2}", "2: agents.a.compaction.threshold: Expected a number <= 1.0."),
    ("[agents.a]\ncompaction = 3", "2: agents.a.compaction: Expected true or false or a table, got a whole number."),
    ("[mcp.git]\ncomand = ['x']", "2: mcp.git.comand: There is no such key; did you mean 'command'?"),
    ("[mcp.git]", "1: mcp.git: An MCP server has either a `command` or a `url`."),
    ("[mcp.git]\nurl = 'git'", "1: mcp.git: `url` begins with http:// or https:// and a host."),
    ("[mcp.git]\nurl = '${NO_SUCH}'", "2: mcp.git.url: The variable NO_SUCH is not set in Wingman's environment."),
    ("[mcp.git]\ncommand = []", "2: mcp.git.command: Expected a list of length >= 1."),
    ("[mcp.'a b']\nurl = 'http://x'", "1: mcp.\"a b\": 'a b' cannot be a name here: expected up to 32 letters, digits and hyphens."),
    ("[mcp.a]\nurl = 'http://${HOST'", "2: mcp.a.url: After ${ stands the name of a variable, and } ends it."),
    ("[mcp.a]\ncommand = ['a']\n[mcp.a.env]\nKEY = '${NO_SUCH}'", "4: mcp.a.env.KEY: The variable NO_SUCH is not set in Wingman's environment."),
    ("[mcp.a]\nurl = 'http://u'\nheaders.X = '${}'", "3: mcp.a.headers.X: After ${ stands the name of a variable, and } ends it."),
    ("[tools]\nimport = ['x']", "2: tools.import[0]: Expected module:name, as in mypkg.tools:forecast."),
    ("[tools]\nentry_points = 3", "2: tools.entry_points: Expected true or false or a list, got a whole number."),
    ("[[toolz]]\na = 1", "1: toolz: There is no such key; did you mean 'tools'?"),
    ("a = [1,\n2", "2: It is no TOML: Unclosed array."),
    ("[a]\n[a]", "2: It is no TOML: Cannot declare ('a',) twice."),
    ("\n\nport 1", "3: It is no TOML: Expected '=' after a key in a key/value pair."),
]  # fmt: skip

MEANING = [
    (
        "[agents.a]\ntools = ['read',\n'bsh']",
        "3: agents.a.tools[1]: There is no tool 'bsh'; did you mean 'bash'? There are: bash, edit, "
        "glob, grep, read, webfetch, write.",
    ),
    ("[agents.a]\ntoolsets = ['gti']\n[mcp.git]\nurl = 'http://u'", "2: agents.a.toolsets[0]: There is no toolset 'gti'; did you mean 'git'? There are: git."),
    ("[agents.a]\ntoolsets = ['weather']", "2: agents.a.toolsets[0]: There is no toolset 'weather'; there are: none."),
    (
        "[agents.a]\ntoolsets = ['web']\ntools = ['web_x']\n[mcp.web]\nurl = 'http://u'\n[tools]\nimport = ['weather_kit:web']",
        "2: agents.a.toolsets[0]: The tools of 'web' are called web_…, as the tool 'web_x' is: leave one of the two out.",
    ),
    ("[agents.a]\ntools = ['bash', 'bash']", "2: agents.a.tools[1]: Tool 'bash' is named twice."),
    (
        "[agents.a]\nprovider = {id = 'antropic'}",
        "2: agents.a.provider.id: There is no provider 'antropic'; did you mean 'anthropic'? There "
        "are: anthropic, gemini, local, ollama, openai, openai-compatible, scripted.",
    ),
    (
        "[agents.a]\ncompaction = {provider = {id = 'x'}}",
        "2: agents.a.compaction.provider.id: There is no provider 'x'; there are: anthropic, "
        "gemini, local, ollama, openai, openai-compatible, scripted.",
    ),
    (
        "[agents.a.output_schema]\ntype = 'objekt'",
        "2: agents.a.output_schema.type: Not a valid JSON Schema: \"objekt\" is not valid under any "
        "of the schemas listed in the 'anyOf' keyword.",
    ),
    ("[mcp.edit]\nurl = 'http://u'", "1: mcp.edit: It has the name of a tool, whose rules would hold for it, too."),
    ("[tools]\nimport = [\n'nosuch.tools:x']", "3: tools.import[0]: There is no module 'nosuch' where Python looks; `path` in [tools] names more directories."),
    ("[tools]\nimport = ['weather_kit:forcast']", "2: tools.import[0]: weather_kit has no 'forcast'; did you mean 'forecast'?"),
    ("[tools]\nimport = ['weather_kit:plain']", "2: tools.import[0]: weather_kit:plain is a function with parameters, and no tool: decorate it with @tool."),
    ("[tools]\nimport = ['weather_kit:later']", "2: tools.import[0]: weather_kit:later is an async function, and no tool: decorate it with @tool."),
    ("[tools]\nimport = ['weather_kit:bad']", "2: tools.import[0]: Importing weather_kit:bad failed: SystemExit: 3 (HERE/weather_kit.py:43)."),
    ("[tools]\nimport = ['weather_kit:number']", "2: tools.import[0]: weather_kit:number gives 3, which is neither a tool nor a toolset: decorate a function with @tool."),
    ("[tools]\nimport = ['weather_kit:NUMBER']", "2: tools.import[0]: weather_kit:NUMBER gives 3, which is neither a tool nor a toolset: decorate a function with @tool."),
    ("[tools]\nimport = ['weather_kit:shell']", "2: tools.import[0]: The tool has the name 'bash', as has Wingman's own tool."),
    ("[tools]\nimport = ['weather_kit:rain', 'weather_kit:made']", "2: tools.import[1]: The tool has the name 'rain', as has another tool."),
    ("[tools]\nimport = ['weather_kit:SET']\n[mcp.weather]\nurl = 'http://u'", "2: tools.import[0]: The toolset has the name 'weather', as has an MCP server."),
    ("[tools]\nimport = ['broken_kit:x']", "2: tools.import[0]: Importing broken_kit:x failed: ZeroDivisionError: division by zero (HERE/broken_kit.py:1)."),
    ("[tools]\nimport = ['leaving_kit:x']", "2: tools.import[0]: Importing leaving_kit:x failed: SystemExit: bye (HERE/leaving_kit.py:1)."),
    ("[tools]\nimport = ['lacking_kit:x']", "2: tools.import[0]: Importing lacking_kit:x failed: ModuleNotFoundError: No module named 'nosuch_dependency' (HERE/lacking_kit.py:1)."),
    ("[tools]\nentry_points = ['nosuch']", "2: tools.entry_points[0]: No installed package has an entry point 'nosuch' in wingman.tools."),
]  # fmt: skip


def told(path: Path) -> list[str]:
    return [line.removeprefix("wingman.toml:") for line in mistakes(path)]


@pytest.mark.parametrize("case", FORM, ids=lambda case: case[1])
def test_a_mistake_of_form_is_told_with_its_line_and_key(
    case: tuple[str, ...], tmp_path: Path
) -> None:
    text, *expected = case
    assert told(written(tmp_path, text)) == expected


@pytest.mark.parametrize("case", MEANING, ids=lambda case: case[1])
def test_a_mistake_of_meaning_is_told_with_its_line_and_key(
    case: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, *expected = case
    modules = {
        "weather_kit": WEATHER,
        "broken_kit": "x = 1 / 0",
        "leaving_kit": "raise SystemExit('bye')",
        "lacking_kit": "import nosuch_dependency",
    }
    path = written(tmp_path, text, **modules)
    monkeypatch.syspath_prepend(str(tmp_path / "tools"))
    assert [re.sub(r"\(\S*/", "(HERE/", line) for line in told(path)] == expected


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [mcp.git]
        [serve]
        port = -1
        prot = 2
        [agents.a]
        tools = [1, "bash", 2]
        """,
    )
    assert told(path) == [
        "2: mcp.git: An MCP server has either a `command` or a `url`.",
        "4: serve.port: Expected a whole number >= 0.",
        "5: serve.prot: There is no such key; did you mean 'port'?",
        "7: agents.a.tools[0]: Expected a text, got a whole number.",
        "7: agents.a.tools[2]: Expected a text, got a whole number.",
    ]


def test_where_a_tool_cannot_be_imported_an_agent_may_still_name_it(tmp_path: Path) -> None:
    text = (
        "[tools]\nimport = ['nosuch:forecast']\n[agents.a]\ntools = ['forecast']\nprovider.id = 'x'"
    )
    lines = told(written(tmp_path, text))
    assert [line.split(": ")[1] for line in lines] == ["tools.import[0]", "agents.a.provider.id"]


def test_a_mistake_shows_no_value_of_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "hunter2")
    text = (
        "[mcp.a]\ncommand = ['x']\nenv = {A = '${SOME_KEY}', B = 3}\nheaders = {X = '${SOME_KEY}'}"
    )
    lines = told(written(tmp_path, text))
    assert lines
    assert "hunter2" not in "".join(lines)


def test_a_key_that_would_move_the_cursor_is_escaped(tmp_path: Path) -> None:
    (line,) = told(written(tmp_path, '"\\u001b[2J" = 1'))
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a = 1\nb = '\xff'", "wingman.toml:2: It is not UTF-8."),
        (b"a = " + b"[" * 5000, "wingman.toml: It is no TOML that can be read: "),
        (b"a = " + b"1" * 5000, "wingman.toml: It is no TOML that can be read: "),
        (b"#" * (1024 * 1024 + 1), "wingman.toml: It has more than 1 MiB, which is the most."),
    ],
    ids=["not UTF-8", "deep", "a long number", "large"],
)
def test_what_is_no_toml_is_one_sentence(data: bytes, expected: str, tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.write_bytes(data)
    (line,) = mistakes(path)
    assert line.startswith(expected)


def test_a_mark_of_byte_order_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.write_bytes(b"\xef\xbb\xbf[serve]\nport = 1\n")
    assert mistakes(path) == []


@pytest.mark.parametrize(("mode", "shown"), [(0o664, "664"), (0o646, "646"), (0o666, "666")])
def test_a_file_that_others_may_write_is_refused(mode: int, shown: str, tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.chmod(mode)
    assert mistakes(path) == [
        f"wingman.toml: It may be written by others (mode {shown}), who could have any program "
        "started: chmod go-w."
    ]


def test_a_file_in_a_directory_that_all_may_write_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    tmp_path.chmod(0o777)
    (line,) = mistakes(path)
    assert f"Anybody may write to the directory {tmp_path.resolve()}" in line


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "")
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    (line,) = mistakes(path)
    assert "belongs to another user" in line


def test_a_link_to_a_file_is_followed_and_its_target_looked_at(tmp_path: Path) -> None:
    target = written(tmp_path, "[serve]\nport = 'x'")
    link = tmp_path / "link.toml"
    link.symlink_to(target)
    assert mistakes(link) == ["link.toml:2: serve.port: Expected a whole number, got a text."]
    target.chmod(0o666)
    assert "may be written by others" in mistakes(link)[0]


def test_what_is_no_file_is_one_sentence(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "..")[0].endswith("It is no file.")
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert mistakes(tmp_path / "pipe") == ["pipe: It is no file."]


def test_where_the_way_leads_through_a_file_there_is_none(tmp_path: Path) -> None:
    written(tmp_path, "")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "wingman.toml" / "wingman" / "wingman.toml")


def test_a_directory_of_modules_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "[tools]\npath = ['tools', 'nosuch', 'wingman.toml']")
    (tmp_path / "tools").chmod(0o775)
    lines = mistakes(path)
    assert [line.split(": ")[1] for line in lines] == [f"tools.path[{index}]" for index in range(3)]
    assert "tools may be written by others (mode 775)" in lines[0]
    assert "nosuch cannot be read: No such file or directory." in lines[1]
    assert "wingman.toml is no directory." in lines[2]
