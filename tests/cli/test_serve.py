"""`wingman serve`: from the bind to the last signal."""

import json
import re
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio
from click.testing import CliRunner

from cli.terminal import PATIENCE, Command, wingman
from wingman import Limits
from wingman.cli import main
from wingman.store.sqlite import SQLStore


async def url_of(command: Command) -> str:
    """Where a server listens, once it says so."""
    await command.says("(database")
    found = re.search(r"Wingman listens on (http://\S+) \(database (.+)\)", command.err)
    assert found is not None
    return found[1]


async def post(url: str, path: str, body: dict[str, Any]) -> Any:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
        response = await http.post(path, json=body, headers={"Prefer": "respond-async"})
        return response.raise_for_status().json()


async def send(url: str, work_dir: Path, command: str) -> None:
    """Have an agent run a command, and do not wait for its end."""
    about = {"name": "A", "tools": ["bash"], "provider": {"id": "scripted"}}
    agent = await post(url, "/agents", about)
    session = await post(url, "/sessions", {"work_dir": str(work_dir), "agent_id": agent["id"]})
    await post(url, f"/sessions/{session['id']}/message", {"message": f"!bash {command}"})


async def appears(path: Path) -> None:
    """Wait until there is such a file."""
    with trio.fail_after(PATIENCE):
        while not await trio.Path(path).exists():  # noqa: ASYNC110 - another process makes it
            await trio.sleep(0.01)


def is_one_line(error: str) -> bool:
    return error.startswith("Error: ") and error.count("\n") == 1


async def test_it_says_where_it_listens_and_ends_at_sigterm(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with wingman("serve", "--port", "0", home=tmp_path, XDG_DATA_HOME=str(data)) as command:
        url = await url_of(command)
        assert f"; its contract: {url}/docs\n" in command.err
        assert f"(database {data}/wingman/wingman.db)" in command.err
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{url}/health")).json()["status"] == "ok"
        command.process.send_signal(signal.SIGTERM)
        assert await command.ended() == 0
    assert command.out == ""
    assert re.search(
        r"^\d{4}-\d\d-\d\dT[\d:.]+Z INFO +wingman\.server: ", command.err, re.MULTILINE
    )
    assert (data / "wingman" / "wingman.db").exists()


async def test_the_first_signal_lets_a_run_in_flight_end(tmp_path: Path) -> None:
    async with wingman("serve", "--port", "0", "--db", "memory", home=tmp_path) as command:
        url = await url_of(command)
        await send(url, tmp_path, "touch began; until [ -e go ]; do sleep 0.01; done; touch ended")
        await appears(tmp_path / "began")
        command.process.send_signal(signal.SIGINT)
        await command.says("what runs has 30 s")
        (tmp_path / "go").touch()
        assert await command.ended() == 0
    assert (tmp_path / "ended").exists()


async def test_the_second_signal_ends_what_runs_at_once(tmp_path: Path) -> None:
    async with wingman("serve", "--port", "0", "--db", "memory", home=tmp_path) as command:
        await send(await url_of(command), tmp_path, "touch began; sleep 60")
        await appears(tmp_path / "began")
        command.process.send_signal(signal.SIGINT)
        await command.says("A second signal interrupts it.")
        command.process.send_signal(signal.SIGTERM)
        assert await command.ended() == 128 + signal.SIGTERM
        assert command.survivors() == []
    assert "Traceback" not in command.err


async def test_an_idle_session_leaves_memory_and_comes_back(tmp_path: Path) -> None:
    async with wingman(
        "serve", "--port", "0", "--db", "w.db", "--idle-after", "0.1", home=tmp_path
    ) as command:
        url = await url_of(command)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
            session = (await http.post("/sessions", json={})).json()
            with trio.fail_after(PATIENCE):
                while (await http.get("/actors")).json()["actors"]:  # noqa: ASYNC110 - over HTTP
                    await trio.sleep(0.02)
            about = {"name": "A", "provider": {"id": "scripted"}}
            agent = (await http.post("/agents", json=about)).json()
            message = {"agent_id": agent["id"], "message": "Hello"}
            answer = await http.post(f"/sessions/{session['id']}/message", json=message)
            assert answer.json()["stop_reason"] == "end_turn"


async def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with wingman("serve", "--port", port, "--db", "memory", home=tmp_path) as command:
            assert await command.ended() == 1
    assert is_one_line(command.err)
    assert f"127.0.0.1:{port} is in use" in command.err


async def test_a_database_in_use_is_one_line(tmp_path: Path) -> None:
    arguments = ("serve", "--port", "0", "--db", "one.db")
    async with wingman(*arguments, home=tmp_path) as owner:
        await url_of(owner)
        async with wingman(*arguments, home=tmp_path) as command:
            assert await command.ended() == 1
        assert is_one_line(command.err)
        assert f"in use by process {owner.process.pid}" in command.err


async def test_a_newer_database_is_one_line(tmp_path: Path) -> None:
    async with SQLStore(tmp_path / "newer.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "newer.db")) as connection:
        connection.execute("PRAGMA user_version = 9999")
    async with wingman("serve", "--port", "0", "--db", "newer.db", home=tmp_path) as command:
        assert await command.ended() == 1
    assert is_one_line(command.err)
    assert "later Wingman" in command.err


async def test_beyond_loopback_it_refuses_to_start_without_a_token(tmp_path: Path) -> None:
    async with wingman("serve", "--host", "0.0.0.0", home=tmp_path) as command:
        assert await command.ended() == 2
    assert "set a token (--token or WINGMAN_TOKEN)" in command.err
    assert "Traceback" not in command.err


async def test_the_token_of_the_environment_is_asked_for(tmp_path: Path) -> None:
    environment = {"WINGMAN_TOKEN": "open-sesame"}
    arguments = ("serve", "--port", "0", "--db", "memory")
    async with wingman(*arguments, home=tmp_path, **environment) as command:
        url = await url_of(command)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            assert (await http.get("/tools")).status_code == 401
            bearer = {"Authorization": "Bearer open-sesame"}
            assert (await http.get("/tools", headers=bearer)).status_code == 200
    assert "open-sesame" not in command.err


async def test_it_prints_a_link_that_logs_in_to_the_console_once(tmp_path: Path) -> None:
    arguments = ("serve", "--host", "0.0.0.0", "--port", "0", "--db", "memory")
    environment = {"WINGMAN_TOKEN": "open-sesame", "WINGMAN_LOG_LEVEL": "debug"}
    async with wingman(*arguments, home=tmp_path, **environment) as command:
        await command.says("Permissions:")
        found = re.search(
            r"The console: (http://127.0.0.1:\d+)/#link=(\S+) \(works once", command.err
        )
        assert found is not None
        async with httpx.AsyncClient(base_url=found[1], trust_env=False) as http:
            assert (await http.get("/")).status_code == 200
            for status in (200, 401):
                answer = await http.post("/console/login", json={"link": found[2]})
                assert answer.status_code == status
            assert (await http.get("/tools")).status_code == 200  # by the cookie alone
            cookies = list(http.cookies.jar)
    assert command.err.count(found[2]) == 1  # where it is printed, and in no line of the log
    assert [cookie.name for cookie in cookies] == [f"wingman-{found[1].rpartition(':')[2]}"]
    assert not any(str(cookie.value) in command.err for cookie in cookies)


async def test_without_a_token_the_console_needs_no_link(tmp_path: Path) -> None:
    async with wingman("serve", "--port", "0", "--db", "memory", home=tmp_path) as command:
        await command.says("Permissions:")
    assert re.search(r"^The console: http://127.0.0.1:\d+/$", command.err, re.MULTILINE)


def test_help_shows_every_limit_with_its_default() -> None:
    shown = CliRunner().invoke(main, ["serve", "--help"], terminal_width=100).output
    for field in attrs.fields(Limits):
        option = f"--max-{field.name}".replace("_", "-")
        default = r"\(no limit\)" if field.default is None else re.escape(str(field.default))
        assert re.search(rf"{option} (?:.|\n)*?\[default:\s+{default}\]", shown), option


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_limit_that_cannot_be_is_wrong_usage(value: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--max-steps", value])
    assert result.exit_code == 2
    assert "'--max-steps'" in result.output


async def test_results_have_the_cost_of_the_files_prices(tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"scripted/keyless": {"input": 1_000_000, "output": 2_000_000}}))
    async with wingman(
        "serve", "--port", "0", "--db", "memory", "--prices", str(prices), home=tmp_path
    ) as command:
        url = await url_of(command)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
            about = {"name": "A", "provider": {"id": "scripted"}}
            agent = (await http.post("/agents", json=about)).json()
            session = (await http.post("/sessions", json={"agent_id": agent["id"]})).json()
            target = f"/sessions/{session['id']}/message"
            result = (await http.post(target, json={"message": "hello"})).json()
            run = (await http.get(f"/sessions/{session['id']}/runs/{result['run_id']}")).json()
    usage = result["usage"]
    assert result["cost"] == usage["input_tokens"] + 2 * usage["output_tokens"]
    assert run["result"]["cost"] == result["cost"]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"a/b": {"input": 1}}', '{"a/b": {"input": -1, "output": 1}}']
)
def test_a_file_that_holds_no_prices_is_wrong_usage(tmp_path: Path, content: str) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(content)
    result = CliRunner().invoke(main, ["serve", "--prices", str(prices)])
    assert result.exit_code == 2
    assert "'--prices'" in result.output
