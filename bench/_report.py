"""What the benchmarks report: rows, as tables and as JSON."""

from typing import Any

import attrs

from bench._machine import Load
from bench._rounds import Figure

__all__ = ["Report", "Row", "tabled"]


def _figure(value: Figure | float) -> Figure:
    return value if isinstance(value, Figure) else Figure(value, value, value)


@attrs.frozen
class Row:
    """One figure. A ratio says what it is `ratio_to`; a goal is a sign and a bound: "≥ 1.6"."""

    name: str
    figure: Figure = attrs.field(converter=_figure)
    unit: str
    ratio_to: str | None = None
    goal: str | None = None

    @property
    def value(self) -> float:
        """The median."""
        return self.figure.value

    @property
    def title(self) -> str:
        """The name, and what it is a ratio to."""
        return self.name if self.ratio_to is None else f"{self.name} ÷ {self.ratio_to}"

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached, if there is one."""
        if self.goal is None:
            return None
        sign, bound = self.goal.split()
        if sign == "≥":
            return self.value >= float(bound)
        return self.value <= float(bound)

    def cells(self) -> tuple[str, str, str, str]:
        """Its line of a table: title, median, spread, goal."""
        goal = "" if self.goal is None else f"{'✓' if self.met else '✗'} {self.goal}"
        spread = ""
        if self.figure.low != self.figure.high:
            spread = f"{_number(self.figure.low)} … {_number(self.figure.high)}"
        return self.title, f"{_number(self.value)} {self.unit}", spread, goal

    def as_json(self) -> dict[str, Any]:
        """The row as a JSON object."""
        return {
            "name": self.title,
            "median": self.value,
            "quartiles": [self.figure.low, self.figure.high],
            "unit": self.unit,
            "goal": self.goal,
            "met": self.met,
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

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "name": self.name,
            "title": self.title,
            "seconds": round(self.seconds, 1),
            "others": [round(load.share, 3) for load in self.load],
            "load_average": [round(load.average, 2) for load in self.load],
            "rows": [row.as_json() for row in self.rows],
        }

    def __str__(self) -> str:
        lines = [f"\n{self.title}", *tabled(row.cells() for row in self.rows)]
        lines += [f"  Not to be trusted: {load}." for load in self.load if load.high][:1]
        return "\n".join(lines)


def tabled(lines: Any) -> list[str]:
    """Lines of cells as a table: the first column to the left, the second to the right."""
    table = list(lines)
    widths = [max(len(line[column]) for line in table) for column in range(4)] if table else []
    return [
        (
            f"  {line[0]:<{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:<{widths[2]}}  {line[3]}"
        ).rstrip()
        for line in table
    ]
