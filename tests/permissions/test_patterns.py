"""Patterns: what they match, holes, and how long it takes."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman.permissions.patterns import HOLE, match_path, match_text


@pytest.mark.parametrize(
    ("pattern", "text", "match"),
    [
        ("*", "anything", "yes"),
        ("*", "", "yes"),
        ("git push *", "git push", "yes"),
        ("git push *", "git push origin", "yes"),
        ("git push *", "git pushx", "no"),
        ("git status*", "git statusx", "yes"),
        ("rm *", "rm", "yes"),
        ("rm *", "rmdir x", "no"),
        ("a*b*c", "axxbxxc", "yes"),
        ("a*b*c", "acb", "no"),
        ("*b", "ab\nb", "yes"),
        ("a.c", "abc", "no"),
        ("a?c", "abc", "no"),
        ("[ab]", "a", "no"),
        ("ab*ba", "aba", "no"),
        ("*a*", "b", "no"),
        ("", "", "yes"),
        ("", "x", "no"),
        ("git *", f"git {HOLE}", "yes"),
        ("git status*", f"git {HOLE}", "maybe"),
        ("rm -rf *", f"rm {HOLE}", "maybe"),
        ("rm *", f"ls {HOLE}", "no"),
        ("rm *", HOLE, "maybe"),
        ("*", HOLE, "yes"),
        ("* x", f"ls {HOLE} y", "no"),
        ("cp * /etc", f"cp a {HOLE}", "maybe"),
        ("rm 'my file'", f"rm my{HOLE}", "maybe"),
        ("rm 'my *", f"rm 'my {HOLE}'", "yes"),
        ("rm", f"rm {HOLE}", "maybe"),
    ],
)
def test_a_pattern_matches_a_text_or_may(pattern: str, text: str, match: str) -> None:
    assert match_text(pattern, text) == match


@pytest.mark.parametrize(
    ("pattern", "path", "match"),
    [
        ("*", "a/b", "yes"),
        ("*.py", "a.py", "yes"),
        ("*.py", "a/b.py", "no"),
        ("**/*.py", "a/b.py", "yes"),
        ("**/*.py", "b.py", "yes"),
        ("src/**", "src", "yes"),
        ("src/**", "src/a/b", "yes"),
        ("src/**", "srcs/a", "no"),
        ("src/**/x/**/y", "src/a/x/b/y", "yes"),
        ("src/**/x/**/y", "src/a/b/y", "no"),
        ("/etc/*", "/etc/passwd", "yes"),
        ("/etc/*", "etc/passwd", "no"),
        ("src/*", f"src/{HOLE}", "maybe"),
        ("src/**", f"src/{HOLE}", "yes"),
        ("src/a", f"lib/{HOLE}", "no"),
        (".env", HOLE, "maybe"),
        ("**/.env", f"a/{HOLE}", "maybe"),
    ],
)
def test_a_pattern_matches_a_path_or_may(pattern: str, path: str, match: str) -> None:
    assert match_path(pattern, path) == match


@given(st.text("ab *", max_size=8), st.text("ab ", max_size=10))
def test_a_pattern_is_what_a_regular_expression_says(pattern: str, text: str) -> None:
    expected = bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text))
    expected = expected or (pattern.endswith(" *") and text == pattern[:-2])
    assert (match_text(pattern, text) == "yes") == expected


@given(st.text("ab *'", max_size=8), st.text("ab'", max_size=6), st.text("ab ", max_size=6))
def test_what_may_fill_a_hole_is_never_left_out(pattern: str, text: str, filling: str) -> None:
    """A pattern that matches the text with the hole filled matches the hole at least perhaps."""
    for at in range(len(text) + 1):
        holed, filled = text[:at] + HOLE + text[at:], text[:at] + filling + text[at:]
        if match_text(pattern, filled) == "yes":
            assert match_text(pattern, holed) != "no"
        if match_text(pattern, holed) == "yes" and not pattern.endswith(" *"):
            assert match_text(pattern, filled) == "yes"


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**", "a*"]), min_size=1),
    st.lists(st.sampled_from("ab")),
)
def test_a_pattern_of_names_matches_by_name(patterns: list[str], names: list[str]) -> None:
    def holds(p: int, n: int) -> bool:
        if p == len(patterns):
            return n == len(names)
        if patterns[p] == "**":
            return holds(p + 1, n) or (n < len(names) and holds(p, n + 1))
        return n < len(names) and match_text(patterns[p], names[n]) == "yes" and holds(p + 1, n + 1)

    patterns, names = patterns[:6], names[:6] or ["a"]
    expected = patterns in (["*"], ["**"]) or holds(0, 0)
    assert (match_path("/".join(patterns), "/".join(names)) == "yes") == expected


@pytest.mark.parametrize("unit", ["*a", "*", "**", "a*", "*ab*", "* "])
def test_a_pattern_takes_linear_time(unit: str) -> None:
    began = time.process_time()
    for text in ("a" * 100_000, "ab" * 50_000 + "c", HOLE * 50_000, "a/" * 50_000):
        match_text((unit * 1000)[:999] + "x", text)
        match_path((f"{unit}/" * 1000)[:999] + "x", text)
    assert time.process_time() - began < 5
