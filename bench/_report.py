"""What the benchmarks report: rows, as tables and as JSON."""

from collections.abc import Iterable
from typing import Any

import attrs

from bench._machine import Load
from bench._rounds import Figure

__all__ = ["Report", "Row", "goals", "tabled"]


def _figure(value: Figure | float | None) -> Figure | None:
    return Figure(value, value, value) if isinstance(value, (int, float)) else value


@attrs.frozen
class Row:
    """One figure. A ratio says what it is `ratio_to`; a goal is a sign and a bound: "≥ 1.6".

    Where nothing was measured, there is no figure, and `why` says so in a sentence.
    """

    name: str
    figure: Figure | None = attrs.field(converter=_figure)
    unit: str = ""
    ratio_to: str | None = None
    goal: str | None = None
    why: str = ""

    @classmethod
    def unmeasured(cls, name: str, why: str, goal: str | None = None) -> "Row":
        """A row without a figure."""
        return cls(name, None, goal=goal, why=why)

    @property
    def title(self) -> str:
        """The name, and what it is a ratio to."""
        return self.name if self.ratio_to is None else f"{self.name} ÷ {self.ratio_to}"

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None if there is no goal, or no figure."""
        if self.goal is None or self.figure is None:
            return None
        sign, bound = self.goal.split()
        if sign == "≥":
            return self.figure.value >= float(bound)
        return self.figure.value <= float(bound)

    @property
    def verdict(self) -> str:
        """Of the goal: `reached` or `missed`; `not measured` where there is no figure."""
        if self.figure is None:
            return "not measured"
        return {True: "reached", False: "missed", None: ""}[self.met]

    def cells(self) -> tuple[str, str, str, str]:
        """Its line of a table: title, median, spread, goal and verdict."""
        goal = f"{self.goal or ''} {self.verdict}".strip()
        if self.figure is None:
            return self.title, "", "", f"{goal}: {self.why}"
        low, high = self.figure.low, self.figure.high
        spread = "" if low == high else f"{_number(low)} … {_number(high)}"
        return self.title, f"{_number(self.figure.value)} {self.unit}", spread, goal

    def as_json(self) -> dict[str, Any]:
        """The row as a JSON object."""
        figure = self.figure
        return {
            "name": self.title,
            "median": None if figure is None else figure.value,
            "quartiles": None if figure is None else [figure.low, figure.high],
            "unit": self.unit,
            "goal": self.goal,
            "met": self.met,
            "why": self.why,
        }


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.3g}"


@attrs.frozen
class Report:
    """What one benchmark measured, and how busy others kept the machine before and after."""

    name: str
    title: str
    rows: list[Row]
    load: tuple[Load, Load]
    seconds: float
    failed: bool = False
    """Whether it ended by an error: its one row says so."""

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "name": self.name,
            "title": self.title,
            "seconds": round(self.seconds, 1),
            "failed": self.failed,
            "others": [round(load.share, 3) for load in self.load],
            "load_average": [round(load.average, 2) for load in self.load],
            "rows": [row.as_json() for row in self.rows],
        }

    def __str__(self) -> str:
        title = f"\n{self.title} ({self.seconds:.0f} s)"
        lines = [title, *tabled(row.cells() for row in self.rows)]
        lines += [f"  Not to be trusted: {load}." for load in self.load if load.high][:1]
        return "\n".join(lines)


def goals(reports: Iterable[Report]) -> list[Row]:
    """The rows that have a goal, of all benchmarks together, and what benchmarks failed."""
    return [
        row for report in reports for row in report.rows if row.goal is not None or report.failed
    ]


def tabled(lines: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """Lines of cells as a table: the first column to the left, the second to the right."""
    table = list(lines)
    widths = [max(len(line[column]) for line in table) for column in range(4)] if table else []
    return [
        (
            f"  {line[0]:<{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:<{widths[2]}}  {line[3]}"
        ).rstrip()
        for line in table
    ]
