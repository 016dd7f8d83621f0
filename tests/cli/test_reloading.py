"""A configuration that is read again: what it changes, what it cannot, and what is told of it."""

import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from click.testing import CliRunner, Result

from config_kit import WEATHER, written
from mcp_client.servers import PROGRAM, Room, gone
from server_kit import serving
from wingman import Runtime
from wingman.api import Reloaded
from wingman.cli import main
from wingman.cli.configuration import ConfigFile
from wingman.cli.reloading import Reloader
from wingman.client import Client
from wingman.config import Loader
from wingman.errors import NotReloaded
from wingman.permissions import Rules

FILE = """
permissions = {bash = "ask"}
[serve]
port = 2323
grace = 5
[limits]
max_steps = 7
[prices]
"a/b" = {input = 1, output = 2}
[agents.helper]
tools = ["bash", "forecast"]
provider = {id = "scripted"}
[tools]
path = ["tools"]
import = ["weather:forecast"]
"""


@attrs.define(eq=False)
class World:
    """A runtime that goes by a file."""

    path: Path
    runtime: Runtime
    reloader: Reloader

    def change(self, old: str, new: str) -> None:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    async def reload(self) -> Reloaded:
        return await self.reloader.reload(self.runtime)


@asynccontextmanager
async def world(home: Path, *overridden: str) -> AsyncIterator[World]:
    path = written(home, FILE, weather=WEATHER)
    loader = Loader(path)
    reloader = Reloader(ConfigFile(loader, loader.load()), overridden)
    async with Runtime(settings=reloader.settings, permissions="deny") as runtime:
        yield World(path, runtime, reloader)


async def test_each_thing_that_changes_is_named(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        assert (await it.reload()).changed == ()
        it.change('{bash = "ask"}', '"ask"')
        it.change("input = 1", "input = 3")
        it.change("[agents.helper]", "[agents.other]\n[agents.helper]\nmax_steps = 2")
        it.change('"weather:forecast"', '"weather:forecast", "weather:made"')
        reloaded = await it.reload()
        assert reloaded.changed == (
            "agents.helper",
            "agents.other",
            'prices."a/b"',
            "permissions",
            "tools",
        )
        assert reloaded.needs_restart == ()
        terms = it.runtime._root.services.terms
        assert (terms.rules, terms.prices["a/b"].input) == (Rules.of("ask"), 3)
        assert "rain" in it.runtime.agents.tools


async def test_what_needs_a_restart_is_said_as_long_as_it_does(tmp_path: Path) -> None:
    async with world(tmp_path, "grace") as it:
        it.change("port = 2323", "port = 2424\nhost = '127.0.0.2'")
        it.change("max_steps = 7", "max_steps = 8")
        it.change("grace = 5", "grace = 6")  # the command line says it anyway
        for _ in range(2):
            reloaded = await it.reload()
            assert reloaded.needs_restart == ("serve.host", "serve.port", "limits.max_steps")
            assert reloaded.changed == ()
        it.change("port = 2424\nhost = '127.0.0.2'", "port = 2323")
        it.change("max_steps = 8", "max_steps = 7")
        assert (await it.reload()).needs_restart == ()


async def test_of_what_the_command_line_says_the_file_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, "permissions", "prices") as it:
        it.change('"ask"', '"allow"')
        it.change("input = 1", "input = 3")
        assert (await it.reload()).changed == ()
        terms = it.runtime._root.services.terms
        assert (terms.rules, terms.prices) == (Rules.of("deny"), {})


async def test_all_mistakes_are_told_and_logged_each_in_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as it:
        before = it.runtime.agents.list()
        it.change("port = 2323", "port = -1")
        it.change('"bash", ', '"bash", 3, ')
        with caplog.at_level(logging.ERROR), pytest.raises(NotReloaded) as caught:
            await it.reload()
        lines = caught.value.message.splitlines()
        assert [line.split(": ")[1] for line in lines] == ["serve.port", "agents.helper.tools[1]"]
        expected = [f"the configuration stays as it was: {line}" for line in lines]
        assert [record.getMessage() for record in caplog.records] == expected
        assert it.runtime.agents.list() == before


async def test_a_name_that_the_store_has_is_a_mistake_that_changes_nothing(tmp_path: Path) -> None:
    from wingman.api import NewAgent

    async with world(tmp_path) as it:
        stored = await it.runtime.agents.create(NewAgent(name="x"))
        it.change("[agents.helper]", f"[agents.{stored.id}]\n[agents.helper]")
        with pytest.raises(NotReloaded, match="There is another agent whose id is"):
            await it.reload()
        assert (await it.runtime.create_session(stored.id)).id


@pytest.mark.skipif(sys.platform != "linux", reason="keepers need Linux")
async def test_a_server_a_tool_and_a_permission_are_added_while_it_runs(tmp_path: Path) -> None:
    room = Room(tmp_path)
    command = json.dumps([sys.executable, "-I", "-S", str(PROGRAM), room.log])
    server = f"[mcp.fake]\ncommand = {command}\n"
    async with world(tmp_path) as it:
        session = await it.runtime.create_session("helper", work_dir=tmp_path)

        async def say(text: str) -> str:
            return (await session.run(f"!fake_echo {json.dumps({'text': text})}")).response

        assert "no tool" in (await say("nobody")).lower()
        it.change('"ask"}', '"ask", fake = "deny", fake_echo = "allow"}')
        it.change("[agents.helper]", f"{server}[agents.helper]\ntoolsets = ['fake']")
        assert (await it.reload()).changed == ("agents.helper", "mcp.fake", "permissions")
        assert "hello" in await say("hello")
        it.change("max_steps = 7", "max_steps = 8")
        await it.reload()
        assert "again" in await say("again")
        assert len(room.heard("pid")) == 1  # its connection has stayed

        it.change('fake_echo = "allow"', 'fake_echo = "deny"')
        await it.reload()
        assert "deny" in await say("denied")
        it.change('fake_echo = "deny"', 'fake_echo = "allow"')
        it.change(server, f"{server}env = {{A = '1'}}\n")
        assert (await it.reload()).changed == ("mcp.fake", "permissions")
        assert "anew" in await say("anew")
        assert len(room.heard("pid")) == 2
        it.change(server, f"{server}enabled = false\n")
        await it.reload()
        assert "anew" not in await say("off")
    await gone(*room.heard("pid"))


async def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.path.unlink()
        with pytest.raises(NotReloaded, match="There is no such file"):
            await it.reload()
        assert it.runtime.agents.get("helper")


async def test_a_module_that_has_just_been_written_is_found_and_one_that_is_known_stays(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        known = it.runtime.agents.tools["forecast"]
        (tmp_path / "tools" / "weather.py").write_text(WEATHER.replace("Sun", "Snow"))
        (tmp_path / "tools" / "later.py").write_text(WEATHER)
        it.change('"weather:forecast"', '"weather:forecast", "later:made"')
        assert (await it.reload()).changed == ("tools",)
        assert it.runtime.agents.tools["forecast"] is known
        assert "rain" in it.runtime.agents.tools


async def test_many_who_ask_at_once_are_served_one_after_the_other(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        it.change("[agents.helper]", "[agents.other]\n[agents.helper]")
        answers: list[tuple[str, ...]] = []

        async def ask() -> None:
            answers.append((await it.reload()).changed)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
        assert sorted(answers) == [(), (), (), (), ("agents.other",)]


async def test_a_tools_command_cannot_have_it_read_again() -> None:
    asked: list[str] = []

    async def reload() -> Reloaded:
        asked.append("reload")
        return Reloaded("wingman.toml", (), ())

    async with serving(reload=reload) as server:
        answer = await server.client.post("/reload")
        assert answer.json() == {"file": "wingman.toml", "changed": [], "needs_restart": []}
        session = await server.session(provider={"id": "scripted"}, tools=["bash"])
        message = f"!bash curl -s -X POST {server.url}/reload"
        result = (await server.send(session, message)).json()
    assert "forbidden_tool" in result["response"]
    assert asked == ["reload"]


async def test_a_program_of_ones_own_has_no_file_to_read_again() -> None:
    async with serving() as server:
        answer = await server.client.post("/reload")
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "not_reloaded"
        async with Client(server.url) as client:
            with pytest.raises(NotReloaded, match="has no configuration file"):
                await client.reload()


# --- the commands that need no server ----------------------------------------------------------


def test_a_server_does_not_start_with_mistakes_and_tells_all_of_them(tmp_path: Path) -> None:
    path = written(tmp_path, "[serve]\ngrace = -5\n[limits]\nsteps = 1")
    result = CliRunner().invoke(main, ["serve", "--config", str(path)])
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{path}:2: serve.grace: Expected a number >= 0.0.",
        f"{path}:4: limits.steps: There is no such key; did you mean 'max_steps'?",
    ]


def test_a_file_that_is_named_and_not_there_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["serve", "--config", "nosuch.toml"])
    assert result.exit_code == 2
    assert "'--config': there is no file nosuch.toml." in result.stderr
    result = CliRunner().invoke(main, ["serve"], env={"WINGMAN_CONFIG": "nosuch.toml"})
    assert result.exit_code == 2
    assert "'WINGMAN_CONFIG' (in the environment)" in result.stderr


def test_check_says_that_a_file_is_well_or_all_that_is_not(tmp_path: Path) -> None:
    path = written(tmp_path, FILE, weather=WEATHER)
    result = CliRunner().invoke(main, ["config", "check", str(path)])
    assert (result.exit_code, result.output) == (
        0,
        f"{path} is well: 1 agent, 0 MCP servers, 1 tool.\n",
    )
    path.write_text(FILE.replace('"bash"', '"bsh"').replace('"scripted"', '"scripted2"'))
    result = CliRunner().invoke(main, ["config", "check", str(path)])
    assert result.exit_code == 1
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        [f"{path}:11", "agents.helper.tools[0]"],
        [f"{path}:12", "agents.helper.provider.id"],
    ]
    result = CliRunner().invoke(main, ["config", "check", str(tmp_path / "nosuch")])
    assert result.exit_code == 1
    assert result.stderr == f"Error: There is no file {tmp_path}/nosuch.\n"


# --- wingman run --agent ------------------------------------------------------------------------


def run(path: Path, *arguments: str) -> Result:
    given = ["run", "--agent", "helper", "--config", str(path), *arguments]
    return CliRunner().invoke(main, given, env={"WINGMAN_SERVER": ""})


def test_an_agent_of_the_file_runs_in_the_terminal_with_its_tools_and_rules(tmp_path: Path) -> None:
    path = written(tmp_path, FILE, weather=WEATHER)
    result = run(path, '!forecast {"city": "Bern"}')
    assert (result.exit_code, result.stdout.strip()[-12:]) == (0, "Sun in Bern.")
    result = run(path, "!bash echo hello")
    assert "nobody can be asked" in result.output
    result = run(path, "--yes", "!bash echo hello")
    assert "hello" in result.stdout


def test_what_the_agent_says_itself_is_not_said_beside_it(tmp_path: Path) -> None:
    path = written(tmp_path, FILE, weather=WEATHER)
    result = run(path, "--tools", "bash", "hello")
    assert result.exit_code == 2
    assert "--agent says --tools itself" in result.stderr


def test_an_agent_that_is_not_in_the_file_is_wrong_usage(tmp_path: Path) -> None:
    path = written(tmp_path, FILE, weather=WEATHER)
    result = run(path, "--agent", "helpr", "hello")
    assert result.exit_code == 2
    assert f"There is no agent 'helpr' in {path}; did you mean 'helper'?" in result.stderr
    result = run(tmp_path / "nosuch", "hello")
    assert "There is no configuration file" in result.stderr
