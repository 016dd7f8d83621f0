"""`docs/operating.md` is complete: every option with its default, every metric."""

import re

import click
import pytest

from docs.pages import REPOSITORY
from wingman.cli.serve import serve_command
from wingman.runtime import Runtime
from wingman.server import create_app

TEXT = (REPOSITORY / "docs" / "operating.md").read_text()
OPTIONS = [option for option in serve_command.params if isinstance(option, click.Option)]
ROWS = dict(re.findall(r"^\| `(--[\w-]+)` \| ([^|]*) \|", TEXT, re.MULTILINE))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.opts[0])
def test_it_names_an_option_with_its_default(option: click.Option) -> None:
    row = ROWS[option.opts[0]]
    default = option.to_info_dict()["default"]
    if isinstance(default, float) and default == int(default):
        default = int(default)
    if isinstance(default, str | int | float):
        assert row == f"`{default}`"
    else:
        assert row in ("none", "no limit") or option.opts[0] in ("--db", "--config")


def test_it_names_no_option_that_there_is_not() -> None:
    assert set(ROWS) == {option.opts[0] for option in OPTIONS}


async def test_it_names_every_metric() -> None:
    async with Runtime() as runtime:
        app = create_app(runtime)
        response = await app.test_client().get("/metrics")
        text = (await response.get_data()).decode()
    served = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert served == set(re.findall(r"^\| `(wingman_\w+)", TEXT, re.MULTILINE))
