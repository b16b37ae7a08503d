"""Tables of measurements: printed as each row ends, and written as Markdown with a plot."""

from dataclasses import dataclass, field

from benchmarks.setup import BASE
from benchmarks.timing import Samples

UNITS = {"us": 1e6, "ms": 1e3, "s": 1.0}


@dataclass
class Table:
    """Cells by case and column: mostly ratios to hand-written JAX, whose own column comes first.

    Attributes:
        title: What was measured, in which unit, on which clock.
        columns: Libraries in order.
        rows: Text of each cell, by case and column.
        series: Numbers for the plot, by column and case.
        note: What a reader must know to read the cells.
    """

    title: str
    columns: tuple[str, ...]
    note: str = ""
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    series: dict[str, dict[str, float]] = field(default_factory=dict)

    def put(self, case: str, column: str, text: str, value: float | None = None) -> None:
        """Set one cell, and its number for the plot."""
        self.rows.setdefault(case, {})[column] = text
        if value is not None:
            self.series.setdefault(column, {})[case] = value

    def put_samples(
        self, case: str, samples: dict[str, Samples], unit: str, *, per: int = 1, base: Samples | None = None
    ) -> None:
        """Fill one case: the base's time, and for the others `median ratio (ratio of minima)`."""
        print(f"  {self.title} / {case}", flush=True)  # tables are long in coming: show that they do
        base = base or samples[BASE]
        scale = UNITS[unit] / per
        for column, taken in samples.items():
            if taken is base:
                self.put(case, column, f"{scale * base.median:.3g} {unit}", 1.0)
            else:
                median, minimum = taken.ratios(base)
                self.put(case, column, f"{median:.2f} ({minimum:.2f})", median)

    def markdown(self) -> str:
        """Return the table as Markdown, with its title as a heading."""
        head = ["", *self.columns]
        lines = [f"## {self.title}", ""]
        lines += [f"{self.note}", ""] if self.note else []
        lines += ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
        for case, cells in self.rows.items():
            lines.append("| " + " | ".join([case, *(cells.get(c, "-") for c in self.columns)]) + " |")
        return "\n".join(lines) + "\n"
