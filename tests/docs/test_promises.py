"""The promises of `docs/promises.md`: each has a test, and each test that it names is there."""

import re

import pytest

from docs.pages import REPOSITORY

PAGE = REPOSITORY / "docs" / "promises.md"
TEXT = PAGE.read_text()
PROMISES = re.findall(r"^- (.*?)(?=^- |^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\[test\]\((\S+) "(\w+)"\)')
LINKS = LINK.findall(TEXT)


def test_each_promise_has_a_test() -> None:
    assert len(PROMISES) >= 20
    for promise in PROMISES:
        assert LINK.search(promise), promise
    assert len(LINKS) == len(set(LINKS)) == TEXT.count("[test](")


@pytest.mark.parametrize(("path", "name"), LINKS)
def test_the_test_of_a_promise_is_there(path: str, name: str) -> None:
    assert path.startswith("../tests/")
    source = (PAGE.parent / path).resolve().read_text()
    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{path} has no {name}"
