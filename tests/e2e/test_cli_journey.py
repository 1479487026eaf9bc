"""A network made and run by commands, and a consent's way through it by commands alone."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.episodes_seeded import SeededEpisodes
from cli.node_options import open_client
from contracts.genesis import decode_genesis, genesis_hash
from contracts.membership import validator_set
from ledger.blocks import Header, header_hash
from ledger.certificates import Certificate, verify_finality
from ledger.encoding import encode
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.transactions import decode_transaction
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "network-config" / "demo" / "network.toml"
START_S = 120.0
SETTLE_S = 60.0

pytestmark = pytest.mark.e2e


def claimnode(*arguments: str | Path, code: int = 0) -> Any:
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout) if "--json" in arguments and done.stdout else done.stdout


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("journey") / "net"
    claimnode("network", "init", CONFIG, "--out", folder, "--time", "2025-01-06T08:00:00+08:00")
    command = [sys.executable, "-m", "cli.main", "network", "up", str(folder)]
    up = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_until(
            lambda: all(open_client(str(folder / name)).is_ready() for name in ("hospital", "insurer", "tpa")), START_S
        )
        yield folder
    finally:
        up.send_signal(signal.SIGINT)
        _, errors = up.communicate(timeout=60)
    assert up.returncode == 0, errors
    assert errors.endswith("stopped\n")
    for item in folder.glob("*/data/node.log"):
        ready = [json.loads(line) for line in item.read_text().splitlines() if line.startswith('{"ready"')]
        assert len(ready) == 1, "a node was started twice"
    assert not _children_of(folder)


def _children_of(folder: Path) -> list[str]:
    """Command lines of processes that still run a node of this network."""
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line and "node run" in line and int(entry.name) != os.getpid():
            found.append(line)
    return found


def test_status_names_every_node(net: Path) -> None:
    wait_until(lambda: open_client(str(net / "insurer-b")).is_ready(), SETTLE_S)
    wait_until(lambda: open_client(str(net / "commission")).is_ready(), SETTLE_S)
    nodes = claimnode("network", "status", net, "--json")["nodes"]
    assert [item["name"] for item in nodes] == ["commission", "hospital", "insurer", "insurer-b", "tpa"]
    assert all(item["ready"] for item in nodes)


def test_from_draft_to_report_to_revocation(net: Path, tmp_path: Path) -> None:
    policy_id = _commit_policy(net)
    wallet = _sign_consent(tmp_path, policy_id)
    submitted = claimnode("consent", "submit", wallet, "--node", net / "hospital", "--json")
    consent_id = submitted["consent_id"]
    admission = tmp_path / "admission.json"
    admission.write_text(json.dumps({"admission_date": "2021-12-03", "patient": {"name": "王女士"}}))
    node = ("--node", net / "hospital", "--json")
    published = claimnode("record", "publish", f"admission={admission}", "--consent", consent_id, *node)
    assert [item["code"] for item in published["records"]] == ["ok"]
    wait_until(lambda: claimnode("claim", "list", "--node", net / "insurer", "--json")["claims"], SETTLE_S)
    (claim,) = claimnode("claim", "list", "--node", net / "insurer", "--json")["claims"]
    assert claim["consent_id"] == consent_id
    assert claimnode("claim", "list", "--node", net / "insurer-b", "--json")["claims"] == []
    assert claimnode("claim", "show", claim["claim_id"], "--node", net / "insurer", "--json")["private"]["status"]
    assert "王" not in json.dumps(claim, ensure_ascii=False)
    revoked = claimnode("consent", "revoke", wallet, "--node", net / "commission", "--json")
    assert revoked["height"] > submitted["height"]
    claimnode("record", "publish", f"discharge={admission}", "--consent", consent_id, *node, code=1)


def test_a_transaction_is_proved_to_whoever_holds_the_genesis(net: Path) -> None:
    client = open_client(str(net / "insurer"))
    terms = next(iter(SeededEpisodes().episodes())).policies[0]
    policy = {"terms": terms.terms, "product": terms.product, "co_adjudicators": ["tpa"], "escalation_to": "commission"}
    sent = client.commit_policies([policy], wait_s=30)
    wait_until(lambda: client.status()["height"] > sent["height"], SETTLE_S)
    proof = client.get(f"/v1/proofs/transactions/{sent['tx_id']}")
    signed = decode_transaction(encode(proof["transaction"]))
    assert signed.tx_id == sent["tx_id"]
    header = msgspec.convert(proof["header"], Header)
    path = [bytes.fromhex(item) for item in proof["path"]]
    tx_root = bytes.fromhex(header.tx_root)
    verify_inclusion(leaf_hash(signed.encoded), proof["index"], proof["size"], path, tx_root)
    finality = proof["finality"]
    anchor = msgspec.convert(finality["anchor"]["header"], Header)
    path = [bytes.fromhex(item) for item in finality["path"]]
    log_root = bytes.fromhex(anchor.log_root)
    verify_inclusion(leaf_hash(header_hash(header)), finality["leaf_index"], anchor.log_size, path, log_root)
    genesis = (net / "genesis.json").read_bytes()
    validators = validator_set(decode_genesis(genesis))
    certificate = msgspec.convert(finality["anchor"]["certificate"], Certificate)
    verify_finality(certificate, header_hash(anchor), validators, genesis_hash(genesis))


def test_an_invoice_is_proved_unused_until_it_is_used(net: Path, tmp_path: Path) -> None:
    """Asked for at the insurer's node, which asks the commission; verified by the genesis alone, without any node."""
    episode = next(iter(SeededEpisodes().episodes()))
    stay = {"admission": episode.admission, "discharge": episode.discharge}
    documents = stay | {"invoice": episode.invoices[0], "charges": episode.charges[0]}
    files = {kind: tmp_path / f"{kind}.json" for kind in documents}
    for kind, path in files.items():
        path.write_text(json.dumps(documents[kind]))
    invoice, unused = files["invoice"], tmp_path / "unused.proof"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(documents["invoice"] | {"number": "9999999999"}))
    trust = ("--trust", net / "genesis.json")
    answer = claimnode("audit", "absent", "--invoice", invoice, "--node", net / "insurer", "--out", unused, "--json")
    assert answer["used"] is False
    assert answer["bytes"] == unused.stat().st_size < 1_600
    readable = tmp_path / "unused.json"
    claimnode("audit", "absent", "--invoice", invoice, "--node", net / "tpa", "--out", readable)
    assert readable.stat().st_size < 2_200
    for proof in (unused, readable):
        shown = claimnode("audit", "verify", proof, *trust, "--invoice", invoice, "--json")
        assert shown["kind"] == "invoice-absence"
        assert "not used up to height" in shown["statement"]
        claimnode("audit", "verify", proof, *trust, "--invoice", other, code=1)
        claimnode("audit", "verify", proof, code=2)
    consent_id = claimnode(
        "consent", "submit", _sign_consent(tmp_path, _commit_policy(net)), "--node", net / "hospital", "--json"
    )["consent_id"]
    named = [f"{kind}={path}" for kind, path in files.items()]
    node = ("--consent", consent_id, "--node", net / "hospital", "--json")
    published = claimnode("record", "publish", *named, *node)["records"]
    record = tmp_path / "record.proof"
    claimnode("audit", "record", published[0]["record_id"], "--node", net / "insurer-b", "--out", record)
    assert claimnode("audit", "verify", record, *trust, "--json")["about"]["hospital"] == "hospital"
    used = tmp_path / "used.proof"
    asked = ("audit", "absent", "--invoice", invoice, "--out", used, "--node")
    wait_until(lambda: _exit_code(*asked, net / "insurer") == 1, SETTLE_S)
    shown = claimnode("audit", "verify", used, *trust, "--invoice", invoice, "--json")
    assert shown["kind"] == "invoice-presence"
    used.unlink()
    assert _exit_code(*asked, net / "insurer-b") == 1
    assert not used.exists(), "a stranger to the consent is told that it was used, not where"
    assert claimnode("audit", "verify", unused, *trust), "it still says what was true at its height"


def _exit_code(*arguments: str | Path) -> int:
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False).returncode


def _commit_policy(net: Path) -> str:
    policy = next(iter(SeededEpisodes().episodes())).policies[0]
    parties = {"co_adjudicators": ["tpa"], "escalation_to": "commission"}
    client = open_client(str(net / "insurer"))
    answer = client.commit_policies([{"terms": policy.terms, "product": policy.product, **parties}], wait_s=30)
    assert answer["receipt"]["code"] == "ok"
    return str(answer["policies"][0]["policy_id"])


def _sign_consent(folder: Path, policy_id: str) -> Path:
    payee, draft, wallet = (folder / name for name in ("payee.json", "draft.json", "wallet.json"))
    payee.write_text('{"account": "6222 0000"}')
    payee.chmod(0o600)
    named = ["--network", "demo.claimnode", "--hospital", "hospital", "--insurer", "insurer"]
    named += ["--commission", "commission", "--co-adjudicator", "tpa", "--policy", policy_id]
    claimnode("consent", "new", *named, "--from", "2025-01-01", "--payee", payee, "--out", draft)
    claimnode("consent", "sign", draft, "--out", wallet)
    return wallet
