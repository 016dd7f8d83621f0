"""Work that a command hands to a service is not reached by a cancel, and the receipt says so."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from wingman import Agent, Session
from wingman.conversation import ToolUseBlock
from wingman.providers import Keyless
from wingman.session.handed_over import note_of
from wingman.tools import bash

# It takes commands out of a pipe, as a tmux server takes them over its socket.
SERVICE = "while read -r line < orders; do $line & echo $! > started; done"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Path]:
    """A service that runs before any session does; its directory."""
    os.mkfifo(tmp_path / "orders")
    with subprocess.Popen(["sh", "-c", SERVICE], cwd=tmp_path, start_new_session=True) as process:
        try:
            yield tmp_path
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def written(path: Path) -> None:
    """Return when a process has written a line into this file."""
    with trio.fail_after(20):
        while not (path.exists() and path.read_text().endswith("\n")):  # noqa: ASYNC110, ASYNC240
            await trio.sleep(0.01)


async def test_what_a_service_does_for_a_command_goes_on_and_the_receipt_says_so(
    service: Path,
) -> None:
    client = service / "tmux"  # what the service's client is called
    client.write_text("#!/bin/sh\necho sleep 300 > orders\n")
    client.chmod(0o755)
    command = "./tmux new -d; until test -s started; do sleep 0.01; done; echo $$ > own; sleep 300"
    async with Session(Agent("a", provider=Keyless(), tools=[bash]), work_dir=service) as session:
        run = await session.submit(f"!bash {command}")
        await written(service / "own")
        receipt = await run.cancel()
    [cancelled] = receipt.cancelled
    [call] = cancelled.tools
    assert call.outcome == "stopped"
    assert call.note is not None
    assert "tmux" in call.note
    assert "is not stopped with it" in call.note
    assert not runs(int((service / "own").read_text()))
    assert runs(int((service / "started").read_text()))


async def test_a_call_that_uses_no_service_has_no_note(tmp_path: Path) -> None:
    async with Session(Agent("a", provider=Keyless(), tools=[bash]), work_dir=tmp_path) as session:
        run = await session.submit("!bash echo yes > begun; sleep 300")
        await written(tmp_path / "begun")
        [cancelled] = (await run.cancel()).cancelled
    assert cancelled.tools[0].note is None


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("tmux new-session -d 'make'", "tmux"),
        ("/usr/bin/tmux new -d", "tmux"),
        ("cd app && docker run -d nginx", "docker"),
        ("docker-compose up -d", "docker-compose"),
        ("sudo systemd-run --unit=x make", "systemd-run"),
        ("sudo -E systemctl start nginx; tail -f log", None),  # options before it are not looked at
        ("echo make | at now", "at"),
        ("echo make | batch", "batch"),
        ("crontab jobs", "crontab"),
        ("ssh build make", "ssh"),
        ("DOCKER_HOST=tcp://x docker ps", "docker"),
        ("(\n  ssh host 'make' )", "ssh"),
        ("out=$(kubectl apply -f x.yaml)", "kubectl"),
        ("bash -c 'docker run x'", "docker"),
        ("env A=1 B=2 screen -dm make", "screen"),
        ("docker stop a; ssh host b", "docker, ssh"),
        ("ls", None),
        ("echo look at this screen", None),
        ("cat docker/Dockerfile", None),
        ("docker.sh", None),
        ("at=5; echo $at", None),
        ("./ssh-keys list", None),
        ("grep -rn service src", None),
    ],
)
def test_the_clients_of_services_are_known_by_their_names(command: str, named: str | None) -> None:
    note = note_of(ToolUseBlock("1", "bash", {"command": command, "timeout": 5}).input)
    if named is None:
        assert note is None
    else:
        assert note is not None
        assert f"uses {named}:" in note


@pytest.mark.parametrize("text", ["(", "a=", "sudo ", "x/", " ", "a=b ", ";a/b/", "'"])
def test_a_long_input_is_looked_at_in_no_time(text: str) -> None:
    begun = time.process_time()
    assert note_of({"command": text * 1_000_000}) is None
    assert time.process_time() - begun < 1.0
