"""Chromium, once for the tests of a file."""

from collections.abc import Iterator

import pytest

from browser_kit import Chromium, chromium_running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with chromium_running() as running:
        yield running
