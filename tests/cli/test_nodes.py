"""`wingman serve --nodes N`: processes on one port, and the one that starts them."""

import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio

from cli.terminal import PATIENCE, Command, running, wingman
from cli.test_serve import appears, is_one_line, url_of
from postgres_kit import Cluster
from wingman.cli.listening import address_of
from wingman.cli.node import Inheritance, Node
from wingman.server import ServerConfig

NODES = (sys.executable, "-m", "wingman", "serve", "--port", "0", "--nodes")

# How processes are started and ended has nothing to do with the store. Nodes on `memory` are each
# alone with their sessions.
ON_MEMORY = (
    sys.executable,
    "-c",
    "import wingman.cli.serve; wingman.cli.serve._check_several = print; wingman.cli.main()",
    *("serve", "--port", "0", "--db", "memory", "--nodes"),
)


@asynccontextmanager
async def nodes(home: Path, count: int = 2, *arguments: str) -> AsyncIterator[Command]:
    async with running(*ON_MEMORY, f"{count}", *arguments, home=home) as command:
        await command.says("Permissions: ")
        await command.says("all nodes serve")
        yield command


async def send(command: Command, work_dir: Path, work: str) -> None:
    """Have an agent of one of the nodes run a command, and do not wait for its end."""
    url = await url_of(command)
    about = {"name": "A", "tools": ["bash"], "provider": {"id": "scripted"}}
    headers = {"Prefer": "respond-async"}
    # One connection, and so one node: in memory no other knows of what is made here.
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
        agent = (await http.post("/agents", json=about)).json()["id"]
        body = {"work_dir": str(work_dir), "agent_id": agent}
        session = (await http.post("/sessions", json=body)).json()["id"]
        path, message = f"/sessions/{session}/message", {"message": f"!bash {work}"}
        (await http.post(path, json=message, headers=headers)).raise_for_status()


def children(command: Command) -> set[int]:
    """The nodes' processes."""
    path = Path("/proc", f"{command.process.pid}", "task")
    return {int(pid) for task in path.iterdir() for pid in (task / "children").read_text().split()}


async def says(command: Command, text: str, times: int) -> None:
    """Wait until it has said this so many times."""
    with trio.fail_after(PATIENCE):
        while command.err.count(text) < times:  # noqa: ASYNC110 - another process says it
            await trio.sleep(0.01)


def listened(pid: int) -> set[str]:
    """The sockets of a process that listen, by their inodes."""
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = {f"socket:[{line.split()[9]}]" for line in table if line.split()[3] == "0A"}
    descriptors = Path("/proc", f"{pid}", "fd").iterdir()
    return {f"{each.readlink()}" for each in descriptors if each.is_symlink()} & listening


async def test_nodes_share_a_port_start_again_when_they_die_and_end_in_order(
    tmp_path: Path,
) -> None:
    place = tmp_path / ".config" / "wingman" / "wingman.toml"
    place.parent.mkdir(parents=True)
    place.write_text("")
    place.chmod(0o600)
    async with nodes(tmp_path) as command:
        assert command.err.count("Wingman listens on") == 1
        assert command.err.count("The console:") == 1
        first, second = children(command)
        assert len(listened(first) & listened(second)) == 1
        # Each has one of its own beside it.
        assert len(listened(first)) == len(listened(second)) == 2

        url = await url_of(command)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
            assert (await http.post("/reload")).status_code == 200
        await says(command, "the configuration was read again", times=2)
        command.process.send_signal(signal.SIGHUP)
        await says(command, "the configuration was read again", times=4)

        os.kill(first, signal.SIGKILL)
        await command.says("a node ended code=-9")
        await says(command, ": listening url=", times=3)
        assert f"wingman.server[{second}]: listening" in command.err
        assert second in children(command)

        work = "touch began; until [ -e go ]; do sleep 0.01; done; touch ended"
        await send(command, tmp_path, work)
        await appears(tmp_path / "began")
        # A terminal and a service manager tell all processes, and so the nodes twice.
        for pid in (command.process.pid, *children(command)):
            os.kill(pid, signal.SIGINT)
        await command.says("what runs has 30 s")
        assert command.err.count("A second signal interrupts it.") == 1
        (tmp_path / "go").touch()
        assert await command.ended() == 0
    assert (tmp_path / "ended").exists()
    assert command.survivors() == []


async def test_the_second_signal_ends_what_runs_at_once_also_in_a_node_that_is_stopped(
    tmp_path: Path,
) -> None:
    async with nodes(tmp_path) as command:
        await send(command, tmp_path, "touch began; sleep 60")
        await appears(tmp_path / "began")
        os.kill(min(children(command)), signal.SIGSTOP)
        command.process.send_signal(signal.SIGTERM)
        await command.says("A second signal interrupts it.")
        command.process.send_signal(signal.SIGTERM)
        assert await command.ended() == 128 + signal.SIGTERM
        assert command.survivors() == []


async def test_nodes_whose_parent_is_killed_stop_in_order(tmp_path: Path) -> None:
    async with nodes(tmp_path) as command:
        await send(command, tmp_path, "touch began; sleep 0.3; touch ended")
        await appears(tmp_path / "began")
        command.process.kill()
        await command.ended()  # nobody holds its standard error open any more
        assert (tmp_path / "ended").exists()
        assert command.survivors() == []


async def test_a_port_in_use_is_one_line_and_starts_no_node(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with running(*ON_MEMORY, "2", "--port", port, home=tmp_path) as command:
            assert await command.ended() == 1
    assert is_one_line(command.err)
    assert f"127.0.0.1:{port} is in use" in command.err


async def test_a_database_that_is_not_there_is_one_line_for_all_nodes(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    url = f"postgresql:///wingman?host={tmp_path}"
    async with running(*NODES, "3", "--db", url, home=tmp_path) as command:
        assert await command.ended() == 1
    assert is_one_line(command.err)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "only PostgreSQL lets them"),
        (("--node-url", "http://10.0.0.5:2323"), "each node has a port"),
    ],
)
async def test_what_several_nodes_cannot_have_is_wrong_usage(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    async with wingman("serve", "--nodes", "2", *arguments, home=tmp_path) as command:
        assert await command.ended() == 2
    assert told in " ".join(command.err.split())


async def test_nodes_have_the_address_that_is_given_and_a_port_of_their_own() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    line, other = socket.socketpair()
    with line, other:
        node = Node(Inheritance(0, (), 0, 0, tells=False), line, [])
        async with listener:
            port = listener.socket.getsockname()[1]
            given, none = ServerConfig(node_url="http://10.0.0.5/"), ServerConfig()
            assert address_of(given, node, [listener]) == f"http://10.0.0.5:{port}"
            assert address_of(given, None, [listener]) == "http://10.0.0.5/"
            assert address_of(none, node, [listener]) is None


async def output_of(http: httpx.AsyncClient, session: str, work: str) -> str:
    """What a command of a session's agent gives."""
    message = {"message": f"!bash {work}"}
    answer = await http.post(f"/sessions/{session}/message", json=message)
    [call] = answer.raise_for_status().json()["tool_calls"]
    return str(call["output"])


def curls(everywhere: Iterable[str], path: str, body: str) -> str:
    """A command that asks each of these servers the same."""
    head = "curl -s -m 20 -H 'Authorization: Bearer open-sesame' --json"
    return "; ".join(f"{head} '{body}' {url}{path}" for url in everywhere)


@asynccontextmanager
async def on_postgresql(
    home: Path, cluster: Cluster, database: str
) -> AsyncIterator[tuple[Command, httpx.AsyncClient, list[str]]]:
    """Two nodes with a token, a client, and the addresses: the shared one, and each node's own."""
    arguments = (*NODES, "2", "--db", cluster.url(database), "--grace", "0")
    async with running(*arguments, home=home, WINGMAN_TOKEN="open-sesame") as command:
        await command.says("Permissions: ")
        await command.says("all nodes serve")
        own = [url for (url,) in cluster.run("SELECT url FROM nodes", database)]
        url = await url_of(command)
        assert len({url, *own}) == 3
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
            yield command, http, [url, *own]
        command.process.send_signal(signal.SIGTERM)
        assert await command.ended() == 0


async def test_links_logins_and_commands_are_known_on_every_node(
    tmp_path: Path, cluster: Cluster, clean_database: str
) -> None:
    async with on_postgresql(tmp_path, cluster, clean_database) as (command, http, everywhere):
        found = re.search(r"#link=(\S+) \(works once", command.err)
        assert found is not None
        statuses, secret = [], ""
        for url in everywhere:
            answer = await http.post(f"{url}/console/login", json={"link": found[1]})
            statuses.append(answer.status_code)
            secret = secret or answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        assert statuses == [200, 401, 401]
        http.cookies.clear()
        for url in everywhere:
            # A cookie's name has the port, which is not that of all nodes here.
            cookie = {"Cookie": f"wingman-{url.rpartition(':')[2]}={secret}"}
            assert (await http.get(f"{url}/sessions", headers=cookie)).status_code == 200

        http.headers["Authorization"] = "Bearer open-sesame"
        about = {"name": "A", "tools": ["bash"], "provider": {"id": "scripted"}}
        body = {"work_dir": str(tmp_path)}
        body["agent_id"] = (await http.post("/agents", json=about)).json()["id"]
        session = (await http.post("/sessions", json=body)).json()["id"]
        work = curls(everywhere, f"/sessions/{session}/message", '{"message": "again"}')
        assert (await output_of(http, session, work)).count("waits_for_itself") == 3

        asked = (await http.post("/sessions", json={**body, "permissions": "ask"})).json()["id"]
        path, message = f"/sessions/{asked}/message", {"message": "!bash touch answered"}
        await http.post(path, json=message, headers={"Prefer": "respond-async"})
        with trio.fail_after(PATIENCE):
            while not (requests := (await http.get("/permissions")).json()):  # noqa: ASYNC110
                await trio.sleep(0.02)
        path, answer_it = f"/sessions/{asked}/permissions/{requests[0]['id']}", {"decision": "once"}
        work = curls(everywhere, path, '{"decision": "once"}')
        assert (await output_of(http, session, work)).count("forbidden_tool") == 3
        assert (await http.post(path, json=answer_it)).status_code == 200
        await appears(tmp_path / "answered")
