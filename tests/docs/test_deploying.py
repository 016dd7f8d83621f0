"""The systemd units, the Dockerfile and the compose file fit the server, and are tried."""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
import pytest
import yaml

from docs.pages import BLOCKS, TIMEOUT, environment
from wingman.cli.serve import serve_command

VARIABLES = {option.envvar for option in serve_command.params if isinstance(option, click.Option)}
CLUSTER = Path(__file__).parents[2] / "examples" / "cluster"
(UNIT,) = [block.code for block in BLOCKS if block.language == "ini"]
(DOCKERFILE,) = [block.code for block in BLOCKS if block.code.startswith("FROM ")]

DOCKER_STOPS_AFTER = 10.0
"""Seconds that `docker stop` waits by default."""


def unit(text: str = UNIT) -> dict[str, str]:
    """The unit's section for the service; of its variables, each under its own name."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    variables = re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE)
    return {**parser["Service"], **dict(variables)}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each whole."""
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def image() -> dict[str, str]:
    """What the image puts into the environment."""
    (given,) = [rest for name, rest in instructions() if name == "ENV"]
    return dict(part.split("=", 1) for part in shlex.split(given))  # type: ignore[misc]


def test_the_variables_are_options() -> None:
    assert {name for name in unit() if name.startswith("WINGMAN_")} <= VARIABLES
    assert set(image()) <= VARIABLES
    assert {"WINGMAN_DB", "WINGMAN_GRACE"} <= set(unit()) & set(image())


def test_what_waits_for_the_end_waits_longer_than_the_grace_and_a_second() -> None:
    assert float(unit()["TimeoutStopSec"]) > float(unit()["WINGMAN_GRACE"]) + 1
    assert float(image()["WINGMAN_GRACE"]) + 1 < DOCKER_STOPS_AFTER


def test_neither_runs_as_root_and_each_has_a_place_that_lasts() -> None:
    assert unit()["User"] == "wingman"
    assert unit()["WINGMAN_DB"].startswith(f"/var/lib/{unit()['StateDirectory']}/")
    found = dict(instructions())
    assert found["USER"] == "wingman"
    assert image()["WINGMAN_DB"].startswith(f"{found['VOLUME']}/")
    assert found["EXPOSE"] == image()["WINGMAN_PORT"]


UNITS = {"wingman.service": UNIT, "wingman@.service": (CLUSTER / "wingman@.service").read_text()}


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit(name: str, tmp_path: Path) -> None:
    program = tmp_path / "wingman"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / name).write_text(
        UNITS[name].replace("/opt/wingman/.venv/bin/wingman", str(program))
    )
    instance = name.replace("@", "@2323")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / instance)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    about_it = [line for line in done.stderr.splitlines() if "wingman" in line]
    assert about_it == []


def test_the_unit_of_a_node_is_that_of_a_server_but_for_what_nodes_share() -> None:
    node, server = unit(UNITS["wingman@.service"]), unit()
    assert {name for name in node if name.startswith("WINGMAN_")} <= VARIABLES
    assert float(node["TimeoutStopSec"]) > float(node["WINGMAN_GRACE"]) + 1
    same = ("User", "KillMode", "ExecReload", "TimeoutStopSec", "WINGMAN_GRACE")
    assert {name: node[name] for name in same} == {name: server[name] for name in same}
    assert node["ExecStart"].endswith("serve --port %i --node-url http://%H:%i")


def test_the_nodes_of_the_compose_file_are_those_that_nginx_knows() -> None:
    services = yaml.safe_load((CLUSTER / "compose.yaml").read_text())["services"]
    nginx = (CLUSTER / "nginx.conf").read_text()
    balanced = re.findall(r"^ *server (\w+):(\d+) ", nginx, re.MULTILINE)
    nodes = {name: about for name, about in services.items() if about["image"] == "wingman"}
    assert [name for name, _ in balanced] == sorted(nodes)
    for name, port in balanced:
        node = nodes[name]
        own = {each for each in node["environment"] if each.startswith("WINGMAN_")}
        assert own <= VARIABLES
        assert node["environment"]["WINGMAN_NODE_URL"] == f"http://{name}:{port}"
        assert node["expose"] == [port] == [image()["WINGMAN_PORT"]]
        grace = float(node["environment"]["WINGMAN_GRACE"])
        assert float(node["stop_grace_period"].removesuffix("s")) > grace + 1
        # The image's user may write there: it is the directory that the image has made.
        assert {each.partition(":")[2] for each in node["volumes"]} == {
            dict(instructions())["VOLUME"]
        }
        assert node["working_dir"] == dict(instructions())["VOLUME"]


@contextmanager
def entry_point(
    home: Path, variables: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """What the image starts, with these variables in place of its own; and its URL."""
    (command,) = [rest for name, rest in instructions() if name == "ENTRYPOINT"]
    program, *arguments = json.loads(command)
    process = subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        env={**environment(home), **image(), **variables},
        cwd=home,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        yield process, str(first["url"])
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT)


def test_the_images_entry_point_serves_is_healthy_and_stops(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(0o700)
    variables = {
        "WINGMAN_PORT": "0",
        "WINGMAN_DB": f"{data}/wingman.db",
        "WINGMAN_TOKEN": "open-sesame",
    }
    (check,) = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
    with entry_point(tmp_path, variables) as (process, url):
        port = url.rpartition(":")[2]
        assert url.startswith("http://0.0.0.0:")
        here = f"http://127.0.0.1:{port}"
        _, *arguments = json.loads(check.removeprefix("CMD ").replace("2323", port))
        subprocess.run([sys.executable, *arguments], timeout=TIMEOUT, check=True)
        assert httpx.get(f"{here}/tools", trust_env=False).status_code == 401
        token = {"Authorization": "Bearer open-sesame"}
        assert httpx.get(f"{here}/tools", trust_env=False, headers=token).status_code == 200
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=DOCKER_STOPS_AFTER)
        assert process.returncode == 0
        assert all(json.loads(line)["level"] == "info" for line in said.splitlines())
    assert (data / "wingman.db").stat().st_uid == os.getuid()


def test_without_a_token_the_image_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wingman", "serve"],
        env={**environment(tmp_path), **image(), "WINGMAN_DB": "memory"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 2
    assert "WINGMAN_TOKEN" in done.stderr
