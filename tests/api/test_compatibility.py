"""What clients of the last release send and read still holds: compared by oasdiff.

`released.json` is the document of the last release. `.ci/run` installs oasdiff where Go is there.
"""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wingman.api import document

RELEASED = Path(__file__).with_name("released.json")
OASDIFF = shutil.which("oasdiff", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")

pytestmark = pytest.mark.skipif(OASDIFF is None, reason="needs oasdiff, which is installed with Go")


def breaking(tmp_path: Path, new: Any) -> str:
    """What of the released document a new one breaks; empty if nothing."""
    (tmp_path / "new.json").write_text(json.dumps(new))
    argv = [str(OASDIFF), "breaking", str(RELEASED), str(tmp_path / "new.json"), "--fail-on", "ERR"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout if done.returncode else ""


def test_this_version_breaks_no_client_of_the_last_release(tmp_path: Path) -> None:
    assert breaking(tmp_path, document("0")) == ""


def remove_a_route(new: Any) -> None:
    del new["paths"]["/tools"]


def remove_a_field(new: Any) -> None:
    del new["components"]["schemas"]["Result"]["properties"]["response"]


def need_a_field(new: Any) -> None:
    new["components"]["schemas"]["MessageBody"]["required"].append("agent_id")


def need_a_header(new: Any) -> None:
    parameters = new["paths"]["/sessions/{session_id}/message"]["post"]["parameters"]
    next(p for p in parameters if p["name"] == "Idempotency-Key")["required"] = True


def take_less(new: Any) -> None:
    on_busy = new["components"]["schemas"]["MessageBody"]["properties"]["on_busy"]
    on_busy["enum"].remove("interrupt")


@pytest.mark.parametrize(
    "change", [remove_a_route, remove_a_field, need_a_field, need_a_header, take_less]
)
def test_a_change_that_breaks_clients_is_seen(
    tmp_path: Path, change: Callable[[Any], None]
) -> None:
    new = copy.deepcopy(document("0"))
    change(new)
    assert breaking(tmp_path, new)
