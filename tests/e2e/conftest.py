"""What end-to-end tests measured, said at the end of the run: which faults were real, how long a pause was."""

from typing import Any

PROPERTY = "measured"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each `record_property("measured", text)`; properties come from xdist's workers, too."""
    reports = [each for group in ("passed", "failed", "skipped") for each in terminalreporter.stats.get(group, [])]
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and getattr(report, "when", "call") == "call"
    ]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.line(line)
