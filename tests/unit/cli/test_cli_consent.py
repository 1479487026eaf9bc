"""Consents as files: drafted, signed, read, submitted and revoked, without a secret ever being shown."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import consent as consent_module
from cli.client import NodeClient
from cli.main import claimnode
from contracts.genesis import encode_genesis
from contracts.tokens import decode_consent, decode_revocation
from ledger.crypto.envelopes import decode_envelope
from ledger.errors import KeyFileError
from node.wallet import decode_wallet
from tests.support.network_builder import make_genesis, make_hex

POLICY = make_hex("policy", 16)


class Counter:
    """A node that takes everything."""

    folder: Path | None = None

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.payees: list[tuple[str, bytes]] = []
        self.revocations: list[tuple[str, str]] = []
        self.code = "ok"
        self.status = "final"

    def _outcome(self) -> dict[str, Any]:
        receipt = {"code": self.code, "results": []}
        return {"tx_id": "t", "status": self.status, "height": 7, "time_ms": 0, "receipt": receipt}

    def grant(self, tokens: list[str], *, attestations: list[Any], wait_s: int) -> dict[str, Any]:
        self.tokens += tokens
        return self._outcome()

    def relay_payee(self, token: str, envelope: bytes) -> None:
        self.payees.append((token, envelope))

    def revoke(self, consent_id: str, *, token: str, wait_s: int) -> dict[str, Any]:
        self.revocations.append((consent_id, token))
        return self._outcome()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()
    monkeypatch.setattr("cli.node_options.open_client", lambda *_: counter)
    return counter


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(claimnode, ["consent", *map(str, arguments)])


def draft(folder: Path) -> Path:
    payee = folder / "payee.json"
    payee.write_text('{"account": "6222 0000"}')
    payee.chmod(0o600)
    out = folder / "draft.json"
    parties = [
        "--hospital",
        "hospital",
        "--insurer",
        "insurer",
        "--commission",
        "commission",
        "--co-adjudicator",
        "tpa",
    ]
    made = run("new", "--network", "test.claims", *parties, "--policy", POLICY, "--payee", payee, "--out", out)
    assert made.exit_code == 0, made.stderr
    return out


@pytest.fixture
def wallet(tmp_path: Path) -> Path:
    out = tmp_path / "wallet.json"
    signed = run("sign", draft(tmp_path), "--out", out, "--json")
    assert signed.exit_code == 0, signed.stderr
    assert json.loads(signed.stdout)["consent_id"] == decode_wallet(out.read_bytes()).consent_id
    return out


def secrets_of(wallet: Path) -> list[str]:
    held = decode_wallet(wallet.read_bytes())
    return [held.seed, held.mailbox_secret, held.slip, "6222 0000"]


def test_a_signed_consent_says_what_the_draft_says(wallet: Path) -> None:
    assert stat.S_IMODE(wallet.stat().st_mode) == 0o600
    consent = decode_consent(decode_wallet(wallet.read_bytes()).token).consent
    assert consent.hospitals == ("hospital",)
    assert consent.policy_ids == (POLICY,)
    assert [(item.participant, item.rank) for item in consent.grantees] == [
        ("insurer", 1),
        ("commission", None),
        ("tpa", None),
    ]
    assert consent.exp_ms - consent.nbf_ms == 365 * 86_400_000


def test_a_wallet_is_never_overwritten(wallet: Path, tmp_path: Path) -> None:
    again = run("sign", tmp_path / "draft.json", "--out", wallet)
    assert again.exit_code == 2
    assert again.stderr.startswith("claimnode: exists: ")


def test_inspect_verifies_and_shows_no_secret(wallet: Path, tmp_path: Path) -> None:
    shown = run("inspect", wallet)
    assert "insurer (rank 1) may report, adjudicate, pay; reads identity, clinical, charges" in shown.stdout
    bare = tmp_path / "token.txt"
    bare.write_text(decode_wallet(wallet.read_bytes()).token + "\n")
    as_json = run("inspect", bare, "--json")
    assert json.loads(as_json.stdout)["consent"]["policy_ids"] == [POLICY]
    for secret in secrets_of(wallet):
        assert secret not in shown.stdout + as_json.stdout


def test_inspect_says_no_to_a_changed_token(wallet: Path, tmp_path: Path) -> None:
    header, payload, signature = decode_wallet(wallet.read_bytes()).token.split(".")
    forged = tmp_path / "token.txt"
    forged.write_text(f"{header}.{payload[:-8]}{payload[-4:]}{payload[-8:-4]}.{signature}")
    answer = run("inspect", forged)
    assert answer.exit_code == 1
    assert answer.stdout == ""


def test_a_wallet_that_others_can_read_is_refused(wallet: Path) -> None:
    wallet.chmod(0o644)
    answer = run("inspect", wallet)
    assert answer.exit_code == 2
    assert "chmod 600" in answer.stderr


def test_submit_seals_the_account_to_the_insurers_of_the_trusted_genesis(
    wallet: Path, tmp_path: Path, node: Counter
) -> None:
    assert "--genesis FILE" in run("submit", wallet, "--node", "http://node").stderr
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(encode_genesis(make_genesis()))
    answer = run("submit", wallet, "--node", "http://node", "--genesis", genesis)
    assert answer.exit_code == 0, answer.stderr
    held = decode_wallet(wallet.read_bytes())
    assert node.tokens == [held.token]
    ((token, envelope),) = node.payees
    assert token == held.token
    assert b"6222" not in envelope
    assert len(decode_envelope(envelope).header.recipients) == 1


def test_a_refusal_of_the_ledger_is_a_no_and_seals_nothing(wallet: Path, tmp_path: Path, node: Counter) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(encode_genesis(make_genesis()))
    node.code = "CONSENT_INVALID"
    answer = run("submit", wallet, "--node", "http://node", "--genesis", genesis)
    assert answer.exit_code == 1
    assert "CONSENT_INVALID" in answer.stderr
    assert node.payees == []
    node.code, node.status = "ok", "pending"
    assert run("submit", wallet, "--node", "http://node", "--genesis", genesis).exit_code == 3


def test_revocation_is_signed_with_the_consents_key(wallet: Path, node: Counter) -> None:
    answer = run("revoke", wallet, "--node", "http://node", "--json")
    assert json.loads(answer.stdout)["height"] == 7
    ((consent_id, token),) = node.revocations
    key = decode_consent(decode_wallet(wallet.read_bytes()).token).consent.key
    assert decode_revocation(token, key).consent_id == consent_id


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"insurers": []}, "length >= 1"),
        ({"colour": "blue"}, "unknown field `colour`"),
        ({"valid_from": "soon"}, "is no ISO date or time"),
        ({"policy_ids": ["short"]}, "regex"),
    ],
)
def test_drafts_that_cannot_be_signed(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = draft(tmp_path)
    changed = json.loads(path.read_text()) | change
    path.write_text(json.dumps(changed))
    answer = run("sign", path, "--out", tmp_path / "wallet.json")
    assert answer.exit_code == 2
    assert words in answer.stderr
    assert not (tmp_path / "wallet.json").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    answer = run("inspect", tmp_path / "nothing.json")
    assert answer.exit_code == 2
    assert "nothing.json" in answer.stderr


def test_the_client_is_the_real_one(tmp_path: Path) -> None:
    assert callable(NodeClient.grant)
    assert callable(NodeClient.relay_payee)
    assert consent_module.WAIT_S <= 30
    with pytest.raises(KeyFileError):
        consent_module.open_wallet(tmp_path / "nothing")
