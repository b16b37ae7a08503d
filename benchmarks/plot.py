"""Four pictures of the tables: trace, spec, dispatch and cold init, over the size of the model."""

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


def draw(tables: list[Table], path: Path) -> str:
    """Write a PNG; return a line that says why not, where matplotlib is missing."""
    try:
        import matplotlib as mpl
    except ImportError:
        return "no plot: matplotlib is not installed"
    mpl.use("Agg")
    from matplotlib import pyplot as plt

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
        axis.set_xticks(range(len(cases)), [case.split(",")[0] for case in cases], rotation=30, ha="right")
        axis.set_title(label, fontsize=9)
        if label.startswith("trace"):
            axis.set_yscale("symlog", linthresh=10)
        else:
            axis.set_yscale("log")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    return f"wrote {path}"
