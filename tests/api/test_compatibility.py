"""What clients of the last release send and read still holds.

`released.json` is the document of the last release. oasdiff compares the bodies, and `said.py` what
oasdiff does not look at. `.ci/run` installs oasdiff where Go is there.
"""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from api.said import said
from wingman.api import document

RELEASED = Path(__file__).with_name("released.json")
OASDIFF = shutil.which("oasdiff", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")

needs_oasdiff = pytest.mark.skipif(
    OASDIFF is None, reason="needs oasdiff, which is installed with Go"
)


def breaking(tmp_path: Path, new: Any) -> str:
    """What of the released document a new one breaks, as oasdiff sees it; empty if nothing."""
    (tmp_path / "new.json").write_text(json.dumps(new))
    argv = [str(OASDIFF), "breaking", str(RELEASED), str(tmp_path / "new.json"), "--fail-on", "ERR"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout if done.returncode else ""


@cache
def _released() -> set[str]:
    return said(json.loads(RELEASED.read_text()))


def unsaid(new: Any) -> set[str]:
    """What the released document says and a new one does not."""
    return _released() - said(json.loads(json.dumps(new)))


@needs_oasdiff
def test_this_version_breaks_no_client_of_the_last_release(tmp_path: Path) -> None:
    assert breaking(tmp_path, document("0")) == ""


def test_this_version_says_all_that_the_last_release_said() -> None:
    assert unsaid(document("0")) == set()


def operation(new: Any, path: str, method: str = "get") -> Any:
    return new["paths"][path][method]


def schema(new: Any, name: str) -> Any:
    return new["components"]["schemas"][name]


def parameter(new: Any, path: str, method: str, name: str) -> Any:
    return next(p for p in operation(new, path, method)["parameters"] if p["name"] == name)


MESSAGE = "/sessions/{session_id}/message"


def remove_a_route(new: Any) -> None:
    del new["paths"]["/tools"]


def remove_a_field(new: Any) -> None:
    del schema(new, "Result")["properties"]["response"]


def need_a_field(new: Any) -> None:
    schema(new, "MessageBody")["required"].append("agent_id")


def need_a_body(new: Any) -> None:
    operation(new, "/sessions", "post")["requestBody"]["required"] = True


def need_a_header(new: Any) -> None:
    parameter(new, MESSAGE, "post", "Idempotency-Key")["required"] = True


def take_less(new: Any) -> None:
    schema(new, "MessageBody")["properties"]["on_busy"]["enum"].remove("interrupt")


def take_fewer(new: Any) -> None:
    parameter(new, "/runs", "get", "limit")["schema"]["maximum"] = 10


def answer_a_new_value(new: Any) -> None:
    schema(new, "ActorView")["properties"]["state"]["enum"].append("asleep")


def answer_null(new: Any) -> None:
    fields = schema(new, "SessionView")["properties"]
    fields["status"] = {"anyOf": [fields["status"], {"type": "null"}]}


@needs_oasdiff
@pytest.mark.parametrize(
    "change",
    [
        remove_a_route,
        remove_a_field,
        need_a_field,
        need_a_body,
        need_a_header,
        take_less,
        take_fewer,
        answer_a_new_value,
        answer_null,
    ],
)
def test_a_change_that_breaks_clients_is_seen(
    tmp_path: Path, change: Callable[[Any], None]
) -> None:
    new = copy.deepcopy(document("0"))
    change(new)
    assert breaking(tmp_path, new)


def remove_a_method(new: Any) -> None:
    del new["paths"]["/agents/{agent_id}"]["delete"]


def rename_an_operation(new: Any) -> None:
    operation(new, "/sessions", "post")["operationId"] = "new_session"


def remove_a_parameter(new: Any) -> None:
    parameters = operation(new, "/runs")["parameters"]
    parameters.remove(parameter(new, "/runs", "get", "status"))


def remove_a_header_of_requests(new: Any) -> None:
    parameters = operation(new, MESSAGE, "post")["parameters"]
    parameters.remove(parameter(new, MESSAGE, "post", "Prefer"))


def change_a_default(new: Any) -> None:
    parameter(new, "/runs", "get", "limit")["schema"]["default"] = 10


def change_a_fields_default(new: Any) -> None:
    schema(new, "MessageBody")["properties"]["on_busy"]["description"] = 'By default `"reject"`.'


def remove_a_header_of_answers(new: Any) -> None:
    del operation(new, "/runs")["responses"]["200"]["headers"]["Link"]


def remove_a_header_of_errors(new: Any) -> None:
    del operation(new, "/runs")["responses"]["503"]["headers"]["Retry-After"]


def remove_an_errors_code(new: Any) -> None:
    content = operation(new, MESSAGE, "post")["responses"]["409"]["content"]["application/json"]
    error = content["schema"]["properties"]["error"]
    error["properties"]["code"]["enum"].remove("session_busy")


def remove_an_errors_status(new: Any) -> None:
    del operation(new, "/agents/{agent_id}")["responses"]["404"]


def ask_for_a_token(new: Any) -> None:
    del operation(new, "/health")["security"]


def answer_another_status(new: Any) -> None:
    responses = operation(new, "/sessions", "post")["responses"]
    responses["200"] = responses.pop("201")


def answer_another_type(new: Any) -> None:
    schema(new, "SessionView")["properties"]["last_event_id"] = {"type": "string"}


def answer_in_another_kind(new: Any) -> None:
    content = operation(new, "/metrics")["responses"]["200"]["content"]
    content["application/json"] = content.pop("text/plain")


def leave_a_field_out_at_times(new: Any) -> None:
    schema(new, "SessionView")["required"].remove("status")


def remove_an_optional_field_of_answers(new: Any) -> None:
    del schema(new, "RunView")["properties"]["cost"]


def remove_a_field_of_bodies(new: Any) -> None:
    del schema(new, "MessageBody")["properties"]["images"]


def remove_an_event(new: Any) -> None:
    schema(new, "RunFrame")["oneOf"].pop(0)


def rename_an_event(new: Any) -> None:
    schema(new, "ResyncSessionFrame")["properties"]["event"]["const"] = "again"


def remove_a_field_of_an_event(new: Any) -> None:
    del schema(new, "ToolProgress")["properties"]["tool_use_id"]


def leave_a_field_of_an_event_out_at_times(new: Any) -> None:
    schema(new, "Thinking")["required"].remove("text")


def change_the_type_of_an_events_field(new: Any) -> None:
    schema(new, "Step")["properties"]["step"]["type"] = "string"


def remove_the_run_from_an_event(new: Any) -> None:
    properties = schema(new, "TextSessionFrame")["properties"]
    properties["data"] = properties["data"]["allOf"][0]


def remove_the_ids_of_events(new: Any) -> None:
    del schema(new, "DoneRunFrame")["properties"]["id"]


@pytest.mark.parametrize(
    "change",
    [
        remove_a_method,
        rename_an_operation,
        remove_a_parameter,
        remove_a_header_of_requests,
        change_a_default,
        change_a_fields_default,
        remove_a_header_of_answers,
        remove_a_header_of_errors,
        remove_an_errors_code,
        remove_an_errors_status,
        ask_for_a_token,
        answer_another_status,
        answer_another_type,
        answer_in_another_kind,
        leave_a_field_out_at_times,
        remove_an_optional_field_of_answers,
        remove_a_field_of_bodies,
        remove_an_event,
        rename_an_event,
        remove_a_field_of_an_event,
        leave_a_field_of_an_event_out_at_times,
        change_the_type_of_an_events_field,
        remove_the_run_from_an_event,
        remove_the_ids_of_events,
    ],
)
def test_what_is_not_said_any_more_is_seen(change: Callable[[Any], None]) -> None:
    new = copy.deepcopy(document("0"))
    change(new)
    assert unsaid(new)
