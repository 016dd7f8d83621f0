"""The README's promises: each has a test, and each test that it names is there."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
SECTION = README.partition("\n## What Wingman promises\n")[2].partition("\n## ")[0]
PROMISES = re.findall(r"^- (.*?)(?=^- |^\*\*|\Z)", SECTION, re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\[test\]\((\S+) "(\w+)"\)')
LINKS = LINK.findall(SECTION)


def test_each_promise_has_a_test() -> None:
    assert len(PROMISES) >= 20
    for promise in PROMISES:
        assert LINK.search(promise), promise
    assert len(LINKS) == len(set(LINKS)) == SECTION.count("](")


@pytest.mark.parametrize(("path", "name"), LINKS)
def test_the_test_of_a_promise_is_there(path: str, name: str) -> None:
    assert path.startswith("tests/")
    source = (REPOSITORY / path).read_text()
    assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{path} has no {name}"
