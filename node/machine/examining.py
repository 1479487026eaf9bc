"""A node's own look at a proposed claim contract, in a process of its own: lint, rules, every example.

Knows how the check is started, bounded and summed up. Must not know the ledger. Always true: whatever the proposal
holds, the caller gets a report within EXAMINE_SECONDS, of bounded size; a release whose check crashed, ran out of time
or of memory is reported as unfit with a code, and nothing of it runs in the caller's process.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

import node
from contracts.errors import shorten
from contracts.machine.bundle import ProgramBundle
from contracts.machine.errors import MachineError
from contracts.products.checking import CheckReport, check_release
from contracts.products.faults import ProductRefused
from contracts.products.release import Release, decode_release
from node.machine.limits import MEBIBYTE, limit_process
from node.machine.runner import MachineRunner

EXAMINE_SECONDS: Final = 120.0
"""All examples together; those of the standard program take a second. Who votes has days."""
EXAMINER_MEMORY: Final = 1024 * MEBIBYTE
MAX_LISTED: Final = 50
"""Faults of one kind in a report; a release with more is broken throughout. The counts are whole."""
MAX_TEXT: Final = 300
"""Characters of one text of a report."""
MAX_REPORT_BYTES: Final = 2**20
"""A report with 200 examples that all differ is a third of it."""
_ROOT: Final = str(Path(node.__file__).parent.parent)
_BOOT: Final = "import sys; sys.path.insert(0, sys.argv[1]); from node.machine.examining import main; main()"


class Texts(msgspec.Struct, frozen=True):
    """What a proposal carries."""

    program: str
    tables: str
    examples: str
    title: str


async def examine(texts: Texts, *, seconds: float = EXAMINE_SECONDS) -> dict[str, Any]:
    """The report on a proposal: {ok, code, ...}. Cancelling ends the process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", _BOOT, _ROOT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        async with asyncio.timeout(seconds):
            answer, _ = await process.communicate(msgspec.json.encode(texts))
    except TimeoutError:
        return build_failure("time", f"not done within {seconds:g} seconds")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        if len(answer) <= MAX_REPORT_BYTES and process.returncode == 0:
            return msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.DecodeError:
        pass
    return build_failure("crashed", f"the process that checks it ended with code {process.returncode} and no report")


def main() -> None:
    """The process: texts from standard input, the report to standard output."""
    texts = msgspec.json.decode(sys.stdin.buffer.read(), type=Texts)
    limit_process(EXAMINER_MEMORY)
    sys.stdout.buffer.write(msgspec.json.encode(build_report(texts, _run_with_worker)))


def build_report(texts: Texts, check: Callable[[Release], CheckReport]) -> dict[str, Any]:
    """The report on these texts, made by `check`."""
    try:
        release = decode_release(texts.program, texts.tables, texts.examples, title=texts.title)
        report = check(release)
    except ProductRefused as refused:
        faults = [fault.as_dict() for fault in refused.faults]
        return build_failure("product", f"{len(faults)} faults") | {"faults": _bounded(faults)}
    except MachineError as error:
        return build_failure(error.code, error.detail)
    return _sum_up(report)


def build_failure(code: str, detail: str) -> dict[str, Any]:
    """The report on a release that could not be checked."""
    return {"ok": False, "code": code, "detail": shorten(detail, MAX_TEXT)}


def _run_with_worker(release: Release) -> CheckReport:
    """The program is loaded first: what does not even load is told by its code, and nothing else is looked at."""
    with MachineRunner(release.bundle) as runner:
        return check_release(release, runner.adjudicate)


def _sum_up(report: CheckReport) -> dict[str, Any]:
    whole = report.as_dict()
    failed = [item for item in whole["examples"] if not item["ok"]]
    return {
        "ok": report.ok,
        "code": "ok" if report.ok else "unfit",
        "detail": f"{len(whole['examples']) - len(failed)} of {len(whole['examples'])} examples hold",
        "contract_hash": report.contract_hash,
        "tables_hash": report.tables_hash,
        "product_hash": report.product_hash,
        "examples": len(whole["examples"]),
        "failed": len(failed),
        "examples_failed": _bounded(failed),
        **{name: _bounded(whole[name]) for name in ("lint", "faults", "remarks")},
        **{f"{name}_count": len(whole[name]) for name in ("lint", "faults", "remarks")},
    }


def _bounded(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of them, their texts cut."""
    return [
        {name: shorten(value, MAX_TEXT) if isinstance(value, str) else value for name, value in item.items()}
        for item in items[:MAX_LISTED]
    ]


def check_with(load: Callable[[ProgramBundle], Callable[[str], str]]) -> Callable[[Release], CheckReport]:
    """A check whose programs run as `load` has it: for callers that bound them otherwise."""
    return lambda release: check_release(release, load(release.bundle))
