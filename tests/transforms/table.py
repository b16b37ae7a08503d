"""The table in reference/transforms.md, as tests expect it: `python -m tests.transforms.table` writes it."""

from collections.abc import Callable, Iterable
from pathlib import Path

from tests.transforms.outcomes import BACKWARD, MODES
from tests.transforms.wrappers import ALL, Wrapper

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "transforms.md"
BEGIN = "<!-- The table is written by `python -m tests.transforms.table`. -->\n"
END = "<!-- End of the table. -->\n"
_FORWARD = [mode for mode in MODES if mode not in BACKWARD]


def table() -> str:
    """Return the table in Markdown: one row for each transform, and the reasons below it."""
    reasons: list[str] = []

    def mark(why: str) -> str:
        if why not in reasons:
            reasons.append(why)
        return f" ({reasons.index(why) + 1})"

    rows = ["| around code that asks for variables | names and values | gradients by the variables |"]
    rows.append("| --- | --- | --- |")
    for wrapper in ALL:
        forward = _cell(wrapper, _FORWARD, mark) + (mark(wrapper.note) if wrapper.note else "")
        rows.append(f"| `{wrapper.name}` | {forward} | {_cell(wrapper, BACKWARD, mark)} |")
    notes = [f"{number}. {why[0].upper()}{why[1:]}." for number, why in enumerate(reasons, 1)]
    return "\n".join([*rows, "", *notes]) + "\n"


def _cell(wrapper: Wrapper, modes: Iterable[str], mark: Callable[[str], str]) -> str:
    refused = {mode: wrapper.refused[mode] for mode in modes if mode in wrapper.refused}
    if not refused:
        return "as bare"
    why = mark(next(iter(refused.values())).why)
    if all(mode in refused for mode in modes):
        return f"refused{why}"
    return f"as bare, but for {', '.join(f'`{mode}`' for mode in refused)}{why}"


def rewritten(page: str) -> str:
    """Return the text of the page, with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
