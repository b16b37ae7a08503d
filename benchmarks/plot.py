"""Four pictures of the tables: trace, spec, dispatch and cold init, over the size of the model.

`python -m benchmarks.plot docs/reference/benchmarks.md` draws those of a page anew, without measuring.
"""

import re
import sys
from pathlib import Path

from benchmarks.report import Table

PANELS = (
    (
        "Trace of apply: deep MLPs, us per variable above handwritten",
        "trace: us a variable over handwritten",
    ),
    ("Abstract init", "spec: ratio to the handwritten forward trace"),
    (
        "Dispatch of a compiled step: variables in, one scalar out",
        "dispatch in: ratio to handwritten",
    ),
    ("Cold eager init", "cold eager init: ratio to handwritten, CPU"),
)


#: What a case says of its unit, at its end.
_UNIT = re.compile(r", (us|ms|s)(/variable)?$")


def read(page: str) -> list[Table]:
    """Return the tables of a page that `Table.markdown` wrote, with numbers as they are rounded there."""
    tables = list[Table]()
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        rows = [
            [cell.strip() for cell in line[1:-1].split("|")] for line in body.splitlines() if line[:1] == "|"
        ]
        if not rows:
            continue
        head, _, *cases = rows
        tables.append(Table(title, tuple(head[1:])))
        for case, *cells in cases:
            for column, cell in zip(head[1:], cells, strict=True):
                if cell != "-":
                    ratio = re.fullmatch(r"(-?[\d.]+) \(.*\)", cell)
                    tables[-1].put(case, column, cell, float(ratio[1]) if ratio else 1.0)
    return tables


def draw(tables: list[Table], path: Path) -> str:
    """Write a PNG; return a line that says why not, where matplotlib is missing."""
    try:
        import matplotlib as mpl
    except ImportError:
        return "no plot: matplotlib is not installed"
    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    titled = {table.title: table for table in tables}
    panels = [(titled[title], label) for title, label in PANELS if title in titled]
    if not panels:
        return "no plot: none of its rows was run"
    names = dict.fromkeys(name for table, _ in panels for name in table.columns)
    colours = {name: f"C{i}" for i, name in enumerate(names)}
    rows = (len(panels) + 1) // 2
    figure, axes = plt.subplots(rows, 2, figsize=(11, 4.2 * rows), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (table, label) in zip(axes.flat, panels, strict=False):
        cases = list(table.rows)
        for name, values in table.series.items():
            there = [(i, values[case]) for i, case in enumerate(cases) if case in values]
            axis.plot(*zip(*there, strict=True), "o-", color=colours[name], label=name)
        axis.set_xticks(range(len(cases)), [_UNIT.sub("", case) for case in cases], rotation=30, ha="right")
        axis.set_title(label, fontsize=9)
        if label.startswith("trace"):
            axis.set_yscale("symlog", linthresh=10)
            axis.set_ylim(-1, 2 * max(max(values.values()) for values in table.series.values()))
        else:
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    # One legend for all, above them, where it hides no curve.
    lines = {str(line.get_label()): line for axis in axes.flat for line in axis.get_lines()}
    figure.legend(
        [lines[name] for name in names if name in lines],
        [name for name in names if name in lines],
        loc="upper center",
        ncols=len(lines),
        fontsize=9,
        frameon=False,
    )
    figure.tight_layout(rect=(0, 0, 1, 0.97))
    figure.savefig(path, dpi=110)
    return f"wrote {path}"


if __name__ == "__main__":
    source = Path(sys.argv[1])
    print(draw(read(source.read_text()), source.with_suffix(".png")))
