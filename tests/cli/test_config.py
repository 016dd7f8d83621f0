"""`wingman serve` with a configuration file: what it takes of it, and how it reads it again."""

import signal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from cli.terminal import PATIENCE, Command, wingman
from cli.test_remote_terminal import in_terminal
from cli.test_serve import url_of
from config_kit import WEATHER, written

SERVE = ("serve", "--config", "wingman.toml")

FILE = """
[serve]
port = 0
db = "w.db"
grace = 5
[limits]
max_steps = 7
[agents.helper]
tools = ["bash", "forecast"]
provider = {id = "scripted"}
[tools]
path = ["tools"]
import = ["weather:forecast"]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    written(tmp_path, FILE, weather=WEATHER)
    return tmp_path


def change(home: Path, old: str, new: str) -> None:
    path = home / "wingman.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def http(url: str, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE, headers=headers)


async def agents(url: str) -> dict[str, dict[str, Any]]:
    async with http(url) as client:
        return {each["id"]: each for each in (await client.get("/agents")).json()}


async def run(*arguments: str, home: Path, **environment: str) -> Command:
    """A command, once it has ended; its exit code is in `process.returncode`."""
    async with wingman(*arguments, home=home, **environment) as command:
        await command.ended()
    return command


async def test_it_serves_what_the_file_says(home: Path) -> None:
    async with wingman(*SERVE, home=home) as command:
        url = await url_of(command)
        await command.says(f"Configuration: {home}/wingman.toml\n")
        assert "/w.db)" in command.err
        found = await agents(url)
        assert found["helper"]["tools"] == ["bash", "forecast"]
        async with http(url) as client:
            session = (await client.post("/sessions", json={"agent_id": "helper"})).json()
            body = {"message": '!forecast {"city": "Bern"}'}
            answer = await client.post(f"/sessions/{session['id']}/message", json=body)
            assert "Sun in Bern." in answer.json()["response"]
            changed = await client.put("/agents/helper", json={"max_steps": 3})
            assert changed.status_code == 400
            assert "wingman reload" in changed.json()["error"]["message"]
        command.process.send_signal(signal.SIGTERM)
        await command.says("what runs has 5 s")
        assert await command.ended() == 0


async def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    home: Path,
) -> None:
    change(home, "grace = 5", 'grace = 5\ntoken = "of-the-file"')
    arguments = (*SERVE, "--grace", "1")
    async with wingman(*arguments, home=home, WINGMAN_TOKEN="t", WINGMAN_GRACE="2") as command:
        url = await url_of(command)
        async with http(url) as client:
            assert (await client.get("/tools")).status_code == 401
        async with http(url, authorization="Bearer t") as client:
            assert (await client.get("/tools")).status_code == 200
        command.process.send_signal(signal.SIGTERM)
        await command.says("what runs has 1 s")


async def test_a_file_at_home_is_found_and_one_that_lies_about_is_not(home: Path) -> None:
    async with wingman("serve", "--port", "0", "--db", "memory", home=home) as command:
        url = await url_of(command)
        place = home / ".config/wingman/wingman.toml"
        await command.says(f"Configuration: none; it would be {place}\n")
        assert await agents(url) == {}
        async with http(url) as client:
            refused = await client.post("/reload")
            assert refused.status_code == 409
            assert refused.json()["error"]["message"] == f"{place}: There is no such file."
            place.parent.mkdir(parents=True)
            (home / "wingman.toml").rename(place)
            change(place.parent, '"tools"', f'"{home}/tools"')
            reloaded = (await client.post("/reload")).json()
        assert reloaded["changed"] == ["agents.helper", "tools"]
        assert set(await agents(url)) == {"helper"}


async def test_it_is_read_again_by_command_and_by_signal_and_a_mistake_changes_nothing(
    home: Path,
) -> None:
    async with wingman(*SERVE, home=home) as command:
        url = await url_of(command)
        reload = partial(trio.to_thread.run_sync, in_terminal, url, "reload")
        assert await reload() == f"nothing has changed in {home}/wingman.toml\n"
        change(home, "port = 0", "port = 1")
        change(home, "[agents.helper]", "[agents.helper]\nmax_steps = 3")
        assert await reload() == "changed: agents.helper\nneeds a restart: serve.port\n"
        before = await agents(url)
        assert before["helper"]["max_steps"] == 3

        change(home, "[agents.helper]", "[agents.new]\n[agents.helper]")
        change(home, '"bash", ', '"bsh", ')
        reloaded = await run("reload", "--server", url, home=home)
        assert reloaded.process.returncode == 1
        mistake = f"{home}/wingman.toml:11: agents.helper.tools[0]: There is no tool 'bsh'; did "
        assert reloaded.err.startswith(mistake)
        assert reloaded.err.count("\n") == 1
        await command.says(f"the configuration stays as it was: {mistake}")
        assert await agents(url) == before

        change(home, '"bsh", ', "")
        command.process.send_signal(signal.SIGHUP)
        await command.says('changed="agents.helper, agents.new"')
        assert set(await agents(url)) == {"helper", "new"}


async def test_no_run_is_dropped_while_the_file_is_read_again(home: Path) -> None:
    """One in flight, one in the queue, and one that waits for a person."""
    change(
        home,
        "[agents.helper]",
        "[agents.asks]\ntools = ['bash']\npermissions = 'ask'\n"
        "provider = {id = 'scripted'}\n[agents.helper]",
    )
    async with wingman(*SERVE, home=home) as command:
        url = await url_of(command)
        async with http(url) as client:

            async def send(session_id: str, message: str) -> str:
                headers = {"Prefer": "respond-async"}
                target = f"/sessions/{session_id}/message"
                answer = await client.post(target, json={"message": message}, headers=headers)
                return str(answer.json()["run_id"])

            async def session(agent_id: str) -> str:
                body = {"agent_id": agent_id, "work_dir": str(home)}
                return str((await client.post("/sessions", json=body)).json()["id"])

            busy, asked = await session("helper"), await session("asks")
            wait = "touch began; until [ -e go ]; do sleep 0.01; done; echo in flight"
            runs = [(busy, await send(busy, f"!bash {wait}"))]
            runs += [(busy, await send(busy, '!forecast {"city": "Bern"}'))]
            runs += [(asked, await send(asked, "!bash echo asked"))]
            with trio.fail_after(PATIENCE):
                while not (home / "began").exists():  # noqa: ASYNC110, ASYNC240
                    await trio.sleep(0.01)
                while not (  # noqa: ASYNC110
                    requests := (await client.get("/permissions")).json()
                ):
                    await trio.sleep(0.01)
            (home / "wingman.toml").write_text("")
            command.process.send_signal(signal.SIGHUP)
            await command.says('changed="agents.asks, agents.helper, tools"')
            assert (await client.get("/agents")).json() == []
            (home / "go").touch()
            target = f"/sessions/{asked}/permissions/{requests[0]['id']}"
            await client.post(target, json={"decision": "once"})
            said = []
            for session_id, run_id in runs:
                view = (await client.get(f"/sessions/{session_id}/runs/{run_id}?wait=10")).json()
                assert view["status"] == "completed", view
                said.append(view["result"]["response"])
    for text, response in zip(("in flight", "Sun in Bern.", "asked"), said, strict=True):
        assert text in response
