"""The summary of the conformance programs at the end of a run."""

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many programs agree: in all, by error category and by feature."""
    tried: list[tuple[dict[str, Any], bool]] = [
        (value, report.passed)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        for name, value in getattr(report, "user_properties", ())
        if name == "conformance" and report.when == "call"
    ]
    if not tried:
        return
    write = terminalreporter.write_line
    terminalreporter.section("conformance")
    for pass_name in ("record", "replay"):
        these = [(what, passed) for what, passed in tried if what["kind"].startswith(pass_name)]
        write(f"{sum(passed for _, passed in these)} of {len(these)} {pass_name}")
    groups = {
        "kind of comparison": lambda what: [what["kind"]],
        "error category at the end": lambda what: [what["category"]],
        "feature": lambda what: what["features"],
    }
    for title, keys in groups.items():
        total: Counter[str] = Counter()
        good: Counter[str] = Counter()
        for what, passed in tried:
            for key in keys(what):
                total[key] += 1
                good[key] += passed
        rows = [f"{key} {good[key]}/{total[key]}" for key in sorted(total)]
        write(f"by {title}: {', '.join(rows)}")
