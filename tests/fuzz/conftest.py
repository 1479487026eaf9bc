"""How many cases run, and that they really did: the whole volume is asked for with CLAIMNODE_FUZZ_CASES=60000.

The number of cases of each test travels as a property of its report, so it also arrives from other processes; the sum
is printed, and a run that asked for a volume and stayed below it fails.
"""

import os
from typing import Any

import pytest

VARIABLE = "CLAIMNODE_FUZZ_CASES"
PROPERTY = "fuzz_cases"


def _ran(config: pytest.Config) -> int:
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    reports = (report for group in ("passed", "failed") for report in reporter.stats.get(group, ()))
    return sum(count for report in reports for name, count in report.user_properties if name == PROPERTY)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    terminalreporter.write_line(f"fuzz cases that ran: {_ran(config):,}; asked for: {os.environ.get(VARIABLE, 'few')}")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    wanted = int(os.environ.get(VARIABLE, "0"))
    if not hasattr(session.config, "workerinput") and _ran(session.config) < wanted and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
