"""What a benchmark reports, and how it is printed."""

import attrs

__all__ = ["Row", "print_rows"]


@attrs.frozen
class Row:
    """One figure. A ratio says what it is `ratio_to`; a goal is a sign and a bound: "≥ 1.6"."""

    name: str
    value: float
    unit: str
    ratio_to: str | None = None
    goal: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached, if there is one."""
        if self.goal is None:
            return None
        sign, bound = self.goal.split()
        if sign == "≥":
            return self.value >= float(bound)
        return self.value <= float(bound)


def print_rows(title: str, rows: list[Row]) -> None:
    """Print the rows of one benchmark as a table."""
    cells = [_cells(row) for row in rows]
    names, values, units, goals = ([cell[i] for cell in cells] for i in range(4))
    print(f"\n{title}")
    for name, value, unit, goal in cells:
        line = (
            f"  {name:<{_width(names)}}  {value:>{_width(values)}} "
            f"{unit:<{_width(units)}}  {goal:<{_width(goals)}}"
        )
        print(line.rstrip())


def _cells(row: Row) -> tuple[str, str, str, str]:
    name = row.name if row.ratio_to is None else f"{row.name} ÷ {row.ratio_to}"
    value = f"{row.value:,.0f}" if row.value >= 1_000 else f"{row.value:,.2f}"
    goal = "" if row.goal is None else f"{'✓' if row.met else '✗'} {row.goal}"
    return name, value, row.unit, goal


def _width(column: list[str]) -> int:
    return max(map(len, column))
