"""A claim contract by commands alone: written from the README, checked, proposed, voted, in force, paying a claim."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.demo_episode import EpisodeRunner
from cli.episodes import Episode, EpisodePolicy
from cli.node_options import open_client
from contracts.genesis import decode_genesis
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "network-config" / "demo" / "network.toml"
README = ROOT / "contracts" / "products" / "README.md"
BLOCK = re.compile(r"`outpatient-80/([^`]+)`[^`]*?\n\n```[a-z]+\n(.*?)```", re.DOTALL)
NODES = ("commission", "hospital", "insurer", "tpa")
VISIT = "2025-01-06"
START_S = 120.0

pytestmark = pytest.mark.e2e


def claimnode(*arguments: str | Path, code: int = 0) -> Any:
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout) if "--json" in arguments and done.stdout else done.stdout + done.stderr


def until(reached: Any, seconds: float = START_S) -> None:
    wait_until(reached, seconds)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The demonstration network, without days of notice."""
    folder = tmp_path_factory.mktemp("contracts")
    config = folder / "network.toml"
    config.write_text(CONFIG.read_text().replace("[parameters]\n", "[parameters]\ncontract_notice_days = 0\n"))
    claimnode("network", "init", config, "--out", folder / "net", "--time", f"{VISIT}T08:00:00+08:00")
    command = [sys.executable, "-m", "cli.main", "network", "up", str(folder / "net")]
    up = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        until(lambda: all(open_client(str(folder / "net" / name)).is_ready() for name in NODES))
        yield folder / "net"
    finally:
        up.send_signal(signal.SIGINT)
        _, errors = up.communicate(timeout=60)
    assert up.returncode == 0, errors


def write_product(folder: Path, percent: str = "80", paid: str = "20040") -> Path:
    """The README's product; with another percentage its examples come to something else."""
    for name, content in BLOCK.findall(README.read_text(encoding="utf-8")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content.replace("A,OP,80", f"A,OP,{percent}") if name == "ratios.csv" else content
        path.write_text(text.replace("20040", paid), encoding="utf-8")
    return folder


def vote(net: Path, proposal: str, *names: str) -> str:
    """Each node has checked it before it votes; the status after the last vote."""
    for name in names:
        client = open_client(str(net / name))
        until(lambda client=client: (client.find(f"/v1/proposals/{proposal}") or {}).get("report"))
        voted = claimnode("contract", "vote", proposal, "--node", net / name, "--json")
        assert voted["voted"] is True
    return str(voted["status"])


def visit(number: int, tables: dict[str, Any]) -> Episode:
    total = 35_050
    patient = {"name": "测试甲"}
    level = {"institution_level": "3"}
    terms = {
        "policy_no": f"OP-{number}",
        "insurer": "insurer",
        "relation": "employee",
        "first_effective": "2024-01-01",
        "periods": [{"id": "2025", "start": "2025-01-01", "end": "2025-12-31", "plan": "A"}],
    }
    stay = {"admission_date": VISIT, "discharge_date": VISIT, "half_days": None, **level}
    bill = {
        "type": "outpatient",
        "kind": "blue",
        "code": "33060125",
        "number": f"{number:010d}",
        "check_code": "0f1e2d",
        "issue_date": VISIT,
        "visit_date": VISIT,
        "institution_name": "测试医院",
        "institution_type": "综合医院",
        "payer_name": "测试甲",
        "insurance_type": "employee",
        "insurance_no": "T-1",
        "total_fen": total,
        **level,
        **dict.fromkeys(("pooled_fund_fen", "other_payment_fen", "account_own_fen", "account_mutual_fen"), 0),
        "cash_fen": total,
        "self_pay_fen": total,
        "class_copay_fen": 0,
        "self_funded_fen": 0,
        "items": [{"name": "诊疗", "code": "S1", "class": "A", "self_ratio_bp": 0, "amount_fen": total}],
    }
    return Episode(
        id=f"V{number}",
        label="a visit",
        patient=patient,
        policies=(EpisodePolicy("insurer", terms, tables),),
        admission={"patient": patient, "admission_date": VISIT, "department": "内科"},
        discharge={
            "patient": patient,
            "diagnoses": ["J20.900"],
            "first_onset": VISIT,
            "stay": stay,
            "invoice_count": 1,
        },
        invoices=(bill,),
        charges=({"items": [{"name": "诊疗", "amount_fen": total}]},),
        expected=None,
    )


def run_visit(net: Path, number: int, tables: dict[str, Any]) -> Any:
    genesis = decode_genesis((net / "genesis.json").read_bytes())
    clients = {name: open_client(str(net / name)) for name in NODES}
    keys = {member.id: member.envelope_key for member in genesis.participants}
    return EpisodeRunner(genesis.network, clients, keys).run(visit(number, tables))


def test_a_product_goes_from_the_readme_to_a_payout_and_is_superseded(net: Path, tmp_path: Path) -> None:
    folder = write_product(tmp_path / "outpatient-80")
    assert "fit to be proposed" in claimnode("contract", "check", folder)
    made = claimnode("contract", "propose", folder, "--node", net / "insurer", "--json")
    again = claimnode("contract", "propose", folder, "--node", net / "tpa", code=1)
    assert "ROLE_MISSING" in again
    proposal, product_hash = made["proposal_id"], made["product_hash"]
    assert vote(net, proposal, "insurer", "tpa") == "open"
    assert vote(net, proposal, "commission") == "passed"
    until(lambda: claimnode("contract", "list", "--node", net / "hospital", "--json")["releases"])
    (release,) = claimnode("contract", "list", "--node", net / "hospital", "--json")["releases"]
    assert (release["product_hash"], release["owner"], release["in_force"]) == (product_hash, "insurer", True)
    shown = claimnode("contract", "show", product_hash, "--node", net / "tpa", "--out", tmp_path / "copy", "--json")
    assert "fit to be proposed" in claimnode("contract", "check", tmp_path / "copy")

    result = run_visit(net, 1, shown["tables"])
    assert (result.status, result.amount_fen) == ("paid", 20_040)
    (claim,) = claimnode("claim", "list", "--node", net / "insurer", "--json")["claims"]
    assert [item["product_hash"] for item in claim["policies"][0]["versions"]] == [product_hash]
    dossier = tmp_path / "claim.dossier"
    claimnode("audit", "claim", claim["claim_id"], "--node", net / "insurer", "--out", dossier)
    assert "result: approved, 200.40" in claimnode("audit", "verify", dossier, "--trust", net / "genesis.json")

    later = write_product(tmp_path / "outpatient-50", "50", "12525")
    (later / "examples" / "year-used-up.json").unlink()
    arguments = ("--supersedes", product_hash, "--effective", "2025-01-07", "--node", net / "insurer", "--json")
    second = claimnode("contract", "propose", later, *arguments)
    assert vote(net, second["proposal_id"], "hospital", "tpa", "insurer") == "passed"
    shadow = claimnode("contract", "shadow", "--on", second["proposal_id"], "--node", net / "tpa")
    assert second["product_hash"] in shadow
    assert run_visit(net, 2, shown["tables"]).amount_fen == 20_040, "not before its day"

    for name in ("insurer", "tpa"):
        arguments = ("contract", "backtest", second["proposal_id"], "--history", "--node", net / name)
        report = claimnode(*arguments, "--json")
        total = {"currency": "CNY", "sum_old_fen": 40_080, "sum_new_fen": 25_050, "difference_fen": -15_030}
        assert (report["claims"], report["changed"], report["totals"]) == (2, 2, [total])
        assert {item["difference_fen"] for item in report["worst"]} == {12_525 - 20_040}
    assert "sum      400.80 CNY -> 250.50 CNY, difference -150.30 CNY" in claimnode(*arguments)
    folder = claimnode("contract", "backtest", later, "--history", "--limit", "1", "--node", net / "insurer", "--json")
    assert (folder["claims"], folder["limited"], folder["totals"][0]["difference_fen"]) == (1, True, -7_515)
    shown_by = ("contract", "shadow", "--json", "--node", net / "tpa")
    until(lambda: claimnode(*shown_by)["summary"]["claims"])
    assert claimnode(*shown_by)["summary"]["totals"][0]["difference_fen"] == -7_515


def test_a_proposal_with_faults_is_not_voted_for_by_mistake(net: Path, tmp_path: Path) -> None:
    folder = write_product(tmp_path / "wrong", "70", "99999")
    assert "not fit" in claimnode("contract", "propose", folder, "--node", net / "insurer", code=1)
    right = write_product(tmp_path / "right", "70", "17535")
    (right / "examples" / "year-used-up.json").unlink()
    made = claimnode("contract", "propose", right, "--node", net / "insurer", "--json")
    proposal = made["proposal_id"]
    until(lambda: (open_client(str(net / "tpa")).find(f"/v1/proposals/{proposal}") or {}).get("report"))
    assert "check    ok: 1 of 1 examples hold" in claimnode("contract", "vote", proposal, "--node", net / "tpa")
    assert proposal in claimnode("contract", "withdraw", proposal, "--node", net / "insurer")
    assert "PROPOSAL_OVER" in claimnode("contract", "vote", proposal, "--node", net / "hospital", code=1)
