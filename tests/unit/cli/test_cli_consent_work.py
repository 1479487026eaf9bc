"""Consents that others sign: drafted with a form, attested offline with a node's key, submitted; ratified; re-keyed."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import consent_work
from cli.consent_text import WORDS, describe_consent
from cli.main import claimnode
from contracts.consentbodies import ConsentDelegate, ConsentRatify, ConsentRekey
from contracts.consentlife import DAY_MS, REKEY_MS, of_age_ms
from contracts.consenttokens import Attestation
from contracts.identifiers import derive_standing_case
from contracts.receipts import Receipt
from contracts.tokens import decode_consent
from ledger.crypto import ed25519
from ledger.encoding import convert
from node.wallet import ConsentWallet, decode_wallet
from tests.support.network_builder import Network, make_hex


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(claimnode, ["consent", *map(str, arguments)])


def succeed(*arguments: str | Path) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.stderr)
    return result


class Chain:
    """A node whose ledger is a test network."""

    folder: Path | None = None

    def __init__(self, network: Network) -> None:
        self.network = network

    def _outcome(self, receipt: Receipt) -> dict[str, Any]:
        shown = {"code": receipt.code, "results": []}
        return {"tx_id": "t", "status": "final", "height": 7, "time_ms": 0, "receipt": shown}

    def grant(self, tokens: list[str], *, attestations: list[Any], wait_s: int) -> dict[str, Any]:
        body = {"tokens": tokens, "attestations": attestations}
        return self._outcome(self.network.do("consent.grant", body, "hospital"))

    def ratify(self, consent_id: str, token: str, attestations: list[Any], *, wait_s: int) -> dict[str, Any]:
        body = ConsentRatify(consent_id, token, convert(attestations, tuple[Attestation, ...]))  # type: ignore[type-var]
        return self._outcome(self.network.do("consent.ratify", body, "tpa"))

    def rekey(
        self, consent_id: str, step: Any, token: str | None, attestations: list[Any], *, wait_s: int
    ) -> dict[str, Any]:
        body = ConsentRekey(consent_id, step, token, convert(attestations, tuple[Attestation, ...]))  # type: ignore[type-var]
        return self._outcome(self.network.do("consent.rekey", body, "tpa"))

    def delegate(self, consent_id: str, passed: dict[str, Any], *, wait_s: int) -> dict[str, Any]:
        body = ConsentDelegate(consent_id, **passed)
        return self._outcome(self.network.do("consent.delegate", body, "insurer"))

    def relay_payee(self, token: str, envelope: bytes) -> None:
        pass


class Desk:
    """Files of one customer, and the network that they go to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.network = folder, Network()
        chain = Chain(self.network)
        monkeypatch.setattr("cli.node_options.open_client", lambda *_: chain)
        monkeypatch.setattr(consent_work, "open_client", lambda *_: chain)
        monkeypatch.setattr("cli.consent.read_instant", lambda text: _moment(self.network))
        self.policy = self.network.commit_policy().policy_id
        self.form = self.file("form.pdf", "signed")
        payee = self.file("payee.json", '{"account": "6222 0000"}')
        self.genesis = folder / "genesis.json"
        self.genesis.write_bytes(self.network.genesis_bytes)
        self.parties = ("--hospital", "hospital", "--insurer", "insurer", "--commission", "commission")
        self.parties += ("--co-adjudicator", "tpa", "--policy", self.policy, "--payee", str(payee))

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def sign(self, *options: str | Path, days: int = 20) -> Path:
        draft, wallet = self.folder / "draft.json", self.folder / "wallet.json"
        succeed("new", "--network", "test.claims", *self.parties, "--days", str(days), *options, "--out", draft)
        content = json.loads(draft.read_text())
        start = _moment(self.network)
        content |= {"valid_from": start.isoformat(), "valid_until": _later(start, days)}
        draft.unlink()
        self.file("draft.json", json.dumps(content))
        succeed("sign", draft, "--out", wallet)
        return wallet

    def attest(self, wallet: Path, *names: str, monkeypatch: pytest.MonkeyPatch) -> list[str | Path]:
        """`--attestation` for each participant: its node's folder is stood in for by the test network's keys."""
        options: list[str | Path] = []
        for name in names:
            out = self.folder / f"{wallet.stem}-{name}.attestation.json"
            member = self.network.members[name]
            monkeypatch.setattr("node.config.load_config", lambda _, name=name: _Named(name))
            monkeypatch.setattr("node.identity.load_identity", lambda *_, member=member: _Keys(member.seed))
            succeed("attest", wallet, "--folder", self.folder, "--out", out)
            options += ["--attestation", out]
        return options

    def read(self, path: Path) -> ConsentWallet:
        return decode_wallet(path.read_bytes())


class _Named:
    def __init__(self, participant: str) -> None:
        self.participant = participant


class _Keys:
    def __init__(self, seed: bytes) -> None:
        from ledger.crypto.keys import KeyPair

        self.signing = KeyPair(algorithm="ed25519", secret=seed, public=ed25519.public_key(seed))


def _moment(network: Network) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(network.now_ms // 1000, UTC)


def _later(start: Any, days: int) -> str:
    from datetime import timedelta

    return str((start + timedelta(days=days)).isoformat())


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(tmp_path, monkeypatch)
    real = __import__("cli.consent_files", fromlist=["read_instant"]).read_instant
    monkeypatch.setattr("cli.consent.read_instant", real)
    return made


def test_a_consent_on_paper_needs_its_two_attestations(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = desk.sign("--basis", "paper", "--form", desk.form)
    one = desk.attest(wallet, "hospital", monkeypatch=monkeypatch)
    refused = run("submit", wallet, *one, "--genesis", desk.genesis, "--node", "x")
    assert refused.exit_code != 0
    assert "ATTESTATION_MISSING" in refused.stderr
    two = desk.attest(wallet, "tpa", monkeypatch=monkeypatch)
    succeed("submit", wallet, *one, *two, "--genesis", desk.genesis, "--node", "x")


def test_a_guardians_consent_ends_on_the_18th_birthday(desk: Desk) -> None:
    now = desk.network.now_ms
    assert of_age_ms("2005-11-20") > now, "the test's network begins on 14 November 2023"
    wallet = desk.read(desk.sign("--basis", "guardian", "--form", desk.form, "--birthday", "2005-11-20"))
    consent = decode_consent(wallet.token).consent
    assert consent.exp_ms == of_age_ms("2005-11-20") < now + 20 * DAY_MS
    assert wallet.ward is not None
    assert of_age_ms("2004-02-29") == of_age_ms("2004-02-28"), "no 29 February in 2022: the month's last day"


def test_an_emergency_is_ratified_with_keys_of_ones_own(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = desk.sign("--basis", "emergency")
    options = desk.attest(wallet, "hospital", monkeypatch=monkeypatch)
    succeed("submit", wallet, *options, "--genesis", desk.genesis, "--node", "x")
    from cli import consent_work as module

    class Clock:
        @staticmethod
        def now(_: Any) -> Any:
            return _moment(desk.network)

    monkeypatch.setattr(module, "datetime", Clock)
    mine = desk.folder / "mine.json"
    succeed("ratify", wallet, "--out", mine)
    assert desk.read(mine).seed != desk.read(wallet).seed
    options = desk.attest(mine, "hospital", monkeypatch=monkeypatch)
    assert "ATTESTATION_MISSING" in run("ratify", mine, "--node", "x").stderr
    succeed("ratify", mine, *options, "--node", "x")


def test_a_lost_wallet_is_replaced_after_72_hours_unless_the_old_key_says_no(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = desk.sign()
    succeed("submit", wallet, "--genesis", desk.genesis, "--node", "x")
    consent_id = desk.read(wallet).consent_id
    mine = desk.folder / "mine.json"
    succeed("rekey", consent_id, "--network", "test.claims", "--out", mine)
    options = desk.attest(mine, "hospital", "tpa", monkeypatch=monkeypatch)
    succeed("rekey", mine, *options, "--node", "x")
    assert "REKEY_EARLY" in run("rekey", mine, "--apply", "--node", "x").stderr
    desk.network.wait(REKEY_MS)
    succeed("rekey", mine, "--apply", "--node", "x")
    other = desk.folder / "other.json"
    succeed("rekey", consent_id, "--network", "test.claims", "--out", other)
    options = desk.attest(other, "hospital", "tpa", monkeypatch=monkeypatch)
    succeed("rekey", other, *options, "--node", "x")
    key = ed25519.public_key(bytes.fromhex(desk.read(other).seed)).hex()
    assert "TOKEN_SIGNATURE" in run("rekey", wallet, "--veto", key, "--node", "x").stderr
    succeed("rekey", mine, "--veto", key, "--node", "x")


def test_an_insurer_lets_its_administrator_in(desk: Desk) -> None:
    wallet = desk.sign("--delegable")
    succeed("submit", wallet, "--genesis", desk.genesis, "--node", "x")
    held = desk.read(wallet)
    until = _later(_moment(desk.network), 3)
    ask = ["delegate", held.consent_id, "--to", "tpa-owned", "--purpose", "report", "--data", "charges"]
    succeed(*ask, "--until", until, "--node", "x")
    assert "DELEGATION_REPEATED" in run(*ask, "--until", until, "--node", "x").stderr


def test_a_standing_consent_has_a_case_for_each_number(desk: Desk) -> None:
    wallet = desk.sign("--standing")
    secret = desk.read(wallet).case_secret
    assert secret is not None
    shown = json.loads(succeed("case", wallet, "--number", "3", "--json").stdout)
    assert shown == {"case_id": derive_standing_case(secret, 3)}
    assert secret not in succeed("inspect", wallet).stdout


def test_what_is_signed_is_what_is_shown_in_both_languages(desk: Desk) -> None:
    wallet = desk.sign("--basis", "guardian", "--form", desk.form, "--birthday", "2010-01-01")
    decoded = decode_consent(desk.read(wallet).token)
    assert set(WORDS) == set(decoded.consent.__struct_fields__)
    for language in ("en", "zh"):
        text = "\n".join(describe_consent(decoded, language))
        consent = decoded.consent
        for signed in (consent.network, consent.key, consent.nonce, consent.payee_commit, consent.mailbox_key):
            assert signed in text
        for signed in (consent.revoke_hash, *consent.policy_ids, *consent.hospitals, consent.form_hash):
            assert str(signed) in text
        for item in consent.grantees:
            assert item.participant in text
        assert consent.ward_commit in text
    both = "\n".join(describe_consent(decoded))
    assert both.index("guardian") < both.index("监护人代为签署")


def test_usage_faults(desk: Desk) -> None:
    wallet = desk.sign()
    assert run("ratify", wallet, "--node", "x").exit_code != 0
    assert run("rekey", make_hex("c")).exit_code != 0
    assert run("rekey", make_hex("c"), "--out", desk.folder / "n.json").exit_code != 0
    assert run("case", wallet, "--number", "1").exit_code != 0
    bad = desk.file("bad.json", "{}")
    assert "attestation" in run("submit", wallet, "--attestation", bad, "--genesis", desk.genesis, "--node", "x").stderr
