"""`claimnode contract`: products as folders, checked and explained before anyone votes on them.

Knows options, what is printed and exit codes. Must not know a rule of a product or of the ledger. Always true: `check`
and `explain` are offline and change nothing; a program is run in a process of its own, under limits.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.contract_backtest import COMMANDS as TRIALS
from cli.contract_conformance import conformance
from cli.contract_ledger import COMMANDS
from cli.errors import EXIT_NO
from cli.output import json_option, print_json, print_text
from cli.product_files import read_release, read_tables

if TYPE_CHECKING:
    from contracts.products.checking import CheckReport, ExampleReport
    from contracts.products.release import Release


@click.group(name="contract")
def contract() -> None:
    """Claim contracts: a product's program, tables and worked examples.

    \b
    Example: claimnode contract check network-config/demo/products/demo-group
             claimnode contract explain network-config/demo/products/demo-group --lang zh
    """


contract.add_command(conformance)
for command in (*COMMANDS, *TRIALS):
    contract.add_command(command)


@contract.command(name="check")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def check(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Check the product in FOLDER: tables, program, worked examples; print its hashes.

    Every fault is named with its file and cell. Exit code 0: fit to be proposed, 1: not, 2: no product folder.

    \b
    Example: claimnode contract check network-config/demo/products/demo-group
    """
    from contracts.products.checking import check_release
    from contracts.products.faults import ProductRefused
    from node.machine.runner import MachineRunner

    try:
        release = read_release(folder)
    except ProductRefused as refused:
        if as_json:
            print_json({"ok": False, "faults": [fault.as_dict() for fault in refused.faults]})
        else:
            print_text("\n".join(str(fault) for fault in refused.faults))
            print_text(f"faults: {len(refused.faults)}")
        ctx.exit(EXIT_NO)
    with MachineRunner(release.bundle) as runner:
        report = check_release(release, runner.adjudicate)
    if as_json:
        print_json({"product_code": release.product_code, "title": release.title, **report.as_dict()})
    else:
        _print_report(release, report)
    ctx.exit(0 if report.ok else EXIT_NO)


@contract.command(name="explain")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", help="Language of the text.")
@json_option
def explain(source: Path, lang: str, as_json: bool) -> None:
    """Say in words what a product pays: SOURCE is its folder, or a JSON file of its tables.

    \b
    Example: claimnode contract explain network-config/demo/products/demo-group --lang zh
    """
    from contracts.products.explaining import explain_tables

    tables, title = read_tables(source)
    text = explain_tables(tables, title=title, lang=lang)
    if as_json:
        print_json({"product_code": tables["product_code"], "lang": lang, "lines": text.splitlines()})
    else:
        print_text(text)


def _print_report(release: "Release", report: "CheckReport") -> None:
    print_text(f"{release.product_code}  {release.title}".rstrip())
    for lint in report.lint:
        print_text(f"fault    {lint.file} line {lint.line}: {lint.code}: {lint.detail}")
    for fault in report.faults:
        print_text(f"fault    {fault}")
    for remark in report.remarks:
        print_text(f"remark   {remark}")
    for example in report.examples:
        print_text(_example_line(example))
    if not report.examples:
        print_text("fault    examples: none; a product is voted on with at least one worked example in examples/")
    passed = sum(example.ok for example in report.examples)
    print_text(f"examples {passed} of {len(report.examples)} hold")
    print_text(f"contract {report.contract_hash}")
    print_text(f"tables   {report.tables_hash}")
    print_text(f"product  {report.product_hash}")
    print_text("fit to be proposed" if report.ok else "not fit")


def _example_line(example: "ExampleReport") -> str:
    if example.ok:
        return f"ok       {example.name}: {example.title}"
    if example.code:
        return f"failed   {example.name}: {example.title}: {example.code}: {example.detail}"
    place = example.path or "the whole result"
    return f"failed   {example.name}: {example.title}: {place}: expected {example.expected}, got {example.got}"
