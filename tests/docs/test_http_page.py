"""`docs/http.md` is complete: every route, every error, every field and every event is on it."""

import re
from typing import get_args

import msgspec
import pytest

from docs.pages import REPOSITORY
from wingman.api import (
    CODES,
    STATUSES,
    AgentRecord,
    CancelledRun,
    MessageBody,
    ProviderConfig,
    RunView,
    SessionView,
)
from wingman.events import Kind, Result, StopReason
from wingman.runtime import Runtime
from wingman.server import create_app
from wingman.server.errors import status_of

TEXT = (REPOSITORY / "docs" / "http.md").read_text()
ROUTES = set(re.findall(r"^\| `([A-Z]+ /\S*)` \|", TEXT.partition("## A tour")[0], re.MULTILINE))
ERROR_ROWS = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", TEXT, re.MULTILINE)

# What the guard and the HTTP machinery answer, beside the codes of Wingman's own errors.
OTHERS = {
    "unauthorized": 401,
    "forbidden_host": 403,
    "forbidden_origin": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
}


async def test_its_routes_are_those_of_the_server() -> None:
    async with Runtime() as runtime:
        app = create_app(runtime)
    served = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in rule.methods or ():
            if method not in ("HEAD", "OPTIONS"):
                served.add(f"{method} {path}")
    assert served == ROUTES


def test_its_errors_are_those_of_the_server() -> None:
    rows = {code: int(status) for status, code in ERROR_ROWS}
    assert len(rows) == len(ERROR_ROWS)
    for code, status in {**{c: e.status for c, e in CODES.items()}, **OTHERS}.items():
        assert rows.get(code) == status, code
    for code, status in rows.items():
        if code not in OTHERS:
            assert status_of(code) == status, code


@pytest.mark.parametrize(
    "struct", [AgentRecord, ProviderConfig, SessionView, MessageBody, Result, RunView, CancelledRun]
)
def test_it_names_every_field(struct: type[msgspec.Struct]) -> None:
    for name in struct.__struct_fields__:
        assert f'"{name}"' in TEXT or f"`{name}`" in TEXT, name


def test_it_names_every_kind_of_event_and_every_way_to_end() -> None:
    for name in (*get_args(Kind), *get_args(StopReason), *STATUSES):
        assert f"`{name}`" in TEXT, name
