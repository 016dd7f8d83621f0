"""The figures on `docs/performance.md`, and the picture beside them, from what was measured."""

import os
import re
from pathlib import Path
from typing import Any, Final

from bench._report import Report, Row, goals

__all__ = ["draw", "write_page"]

BEGIN: Final = "<!-- figures: python -m bench --write -->"
END: Final = "<!-- end of the figures -->"

_SCRIPT: Final = re.compile(r"<script.*?</script>", re.DOTALL)

_MOST: Final = 4.0
"""Bars end there: what is four times as good as its goal needs no longer one."""


def write_page(
    page: Path, kept: dict[str, Any], reports: list[Report], picture: Path | None
) -> None:
    """Put the figures between the page's two marks; raises `ValueError` where these are not."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for figures: {BEGIN} … {END}")
    lines = [BEGIN, "", *_machine(kept), ""]
    if picture is not None:
        place = os.path.relpath(picture, page.parent)
        lines += [f"![how far each figure is beyond its goal]({place})", ""]
    lines += _goals(reports)
    for report in reports:
        lines += ["", f"### {report.title}", ""]
        lines += [f"{load}: not to be trusted.\n" for load in report.load if load.high][:1]
        lines += _table(("", "median", "quartiles", "goal"), [row.cells() for row in report.rows])
    page.write_text(before + "\n".join([*lines, "", END]) + after)


def _machine(kept: dict[str, Any]) -> list[str]:
    machine = ", ".join(f"{name} {value}" for name, value in kept["machine"].items())
    how = "with `--quick`, which says little" if kept["quick"] else "in one run"
    return [f"Measured {how} on {kept['measured'][:10]}: {machine}."]


def _goals(reports: list[Report]) -> list[str]:
    """The rows that have a goal, all together."""
    rows = goals(reports)
    met = sum(bool(row.met) for row in rows)
    lines = [(row.title, row.cells()[1], row.goal or "", row.verdict) for row in rows]
    head = [f"### The goals: {met} of {len(rows)} reached", ""]
    return [*head, *_table(("", "figure", "goal", ""), lines)] if rows else []


def _table(head: tuple[str, ...], lines: list[tuple[str, str, str, str]]) -> list[str]:
    rule = tuple("---:" if column == 1 else "---" for column in range(len(head)))
    return ["| " + " | ".join(line) + " |" for line in (head, rule, *lines)]


def draw(picture: Path, reports: list[Report]) -> None:
    """Draw a bar for each goal, as long as the figure is good; an SVG without scripts."""
    import pygal  # an extra, `bench`, and only this needs it
    from pygal.style import CleanStyle

    rows = [row for row in goals(reports) if row.figure is not None]
    chart = pygal.HorizontalBar(
        js=(),
        style=CleanStyle(colors=("#2a7f62", "#b5543c")),
        height=60 + 28 * len(rows),
        width=900,
        show_legend=False,
        truncate_label=-1,
        title="How far each figure is beyond its goal (1: just reached)",
        range=(0, _MOST),
        value_formatter=lambda value: f"{value:.2g} ×",
    )
    ordered = rows[::-1]  # the first is drawn at the bottom
    chart.x_labels = [row.title for row in ordered]
    chart.add("", [_bar(row) for row in ordered])
    drawn = chart.render(disable_xml_declaration=True, is_unicode=True)
    picture.write_text(_SCRIPT.sub("", drawn) + "\n")


def _bar(row: Row) -> dict[str, Any]:
    assert row.figure is not None
    assert row.goal is not None
    sign, bound = row.goal.split()
    value = max(row.figure.value, 1e-9)
    good = value / float(bound) if sign == "≥" else float(bound) / value
    color = "#2a7f62" if row.met else "#b5543c"
    label = f"{row.cells()[1]}, goal {row.goal}"
    return {"value": min(good, _MOST), "color": color, "label": label}
