"""Scenarios in a demonstration: their results audited, told as JSON and as a table of people.

Knows results and what a row looks like. Must not know how a scenario is played. Always true: a scenario counts only
when an auditor's own process verified the dossier of each of its claims.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from cli.demo_audit import verify_dossiers
from cli.output import print_table, print_text

if TYPE_CHECKING:
    from cli.demo_network import DemoNetwork
    from cli.scenarios.stage import ScenarioResult


def audit_scenarios(
    results: "Sequence[ScenarioResult]", network: "DemoNetwork", dossiers: Path, genesis: Path
) -> "list[ScenarioResult]":
    """Write the dossier of every claim of the scenarios into a folder, and have all of them judged."""
    files = {}
    for result in results:
        for number, (claim_id, insurer) in enumerate(result.claim_ids.items(), start=1):
            path = dossiers / f"{result.name}-{number}.dossier"
            path.write_bytes(network.clients[insurer].get_bytes(f"/v1/claims/{claim_id}/dossier"))
            files[claim_id] = path
    verdicts = verify_dossiers(files, genesis)
    return [
        replace(item, dossiers_verified=bool(item.claim_ids) and all(verdicts[claim] for claim in item.claim_ids))
        for item in results
    ]


def show_scenario(result: "ScenarioResult") -> dict[str, Any]:
    """One entry of the list `scenarios`."""
    return {
        "name": result.name,
        "title": result.title,
        "ok": result.ok,
        "figures": result.figures,
        "expected": result.expected,
        "steps": result.steps,
        "dossiers_verified": result.dossiers_verified,
        "fault": result.fault,
    }


def print_scenarios(shown: Sequence[dict[str, Any]]) -> None:
    """One row each: figures as they came out."""
    rows = [(item["name"], item["title"], _figures(item), "as expected" if item["ok"] else "DIFFERS") for item in shown]
    print_table(("scenario", "what happens", "figures", "outcome"), rows)
    print_text("")


def _figures(item: dict[str, Any]) -> str:
    """Amounts in whole currency units, counts as they are."""
    parts = []
    for name, value in item["figures"].items():
        is_money = name.endswith("_fen")
        text = f"{value // 100}.{value % 100:02d}" if is_money else str(value)
        parts.append(f"{name.removesuffix('_fen').replace('_', ' ')} {text}")
    return ", ".join(parts)
