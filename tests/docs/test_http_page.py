"""`docs/http.md` is complete: every route, every error, every field and every event is on it."""

import re
from typing import get_args

import msgspec
import pytest

from docs.pages import REPOSITORY
from wingman import api
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

TEXT = (REPOSITORY / "docs" / "http.md").read_text()
ROUTES = set(re.findall(r"^\| `([A-Z]+ /\S*)` \|", TEXT.partition("## A tour")[0], re.MULTILINE))
ERROR_ROWS = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", TEXT, re.MULTILINE)


def test_its_routes_are_those_of_the_contract() -> None:
    assert {f"{route.method} {route.path.replace('...', '')}" for route in api.ROUTES} == ROUTES


def test_its_errors_are_those_of_the_contract() -> None:
    rows = [(code, int(status)) for status, code in ERROR_ROWS]
    assert sorted(rows) == sorted((entry.code, entry.status) for entry in CODES.values())


@pytest.mark.parametrize(
    "struct", [AgentRecord, ProviderConfig, SessionView, MessageBody, Result, RunView, CancelledRun]
)
def test_it_names_every_field(struct: type[msgspec.Struct]) -> None:
    for name in struct.__struct_fields__:
        assert f'"{name}"' in TEXT or f"`{name}`" in TEXT, name


def test_it_names_every_kind_of_event_and_every_way_to_end() -> None:
    for name in (*get_args(Kind), *get_args(StopReason), *STATUSES):
        assert f"`{name}`" in TEXT, name
