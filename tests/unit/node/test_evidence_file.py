"""What a node keeps of misbehaviour: once, bounded, over restarts and full disks."""

from pathlib import Path

import pytest

from consensus.effects import Evidence
from contracts.offences import MAX_OFFENCES
from ledger.offences import build_proof
from node.ordering import evidence as module
from node.ordering.evidence import EVIDENCE, EvidenceFile
from tests.support.cluster import RecordingLog
from tests.support.network_chain import NetworkChain
from tests.support.offences import sign_vote

NETWORK = NetworkChain()


def found(view: int = 7, signer: str = "tpa", epoch: int = 1, labels: str = "ab") -> Evidence:
    first, second = (sign_vote(NETWORK, signer, "notarize", label, view=view, epoch=epoch) for label in labels)
    return Evidence(signer, first, second)


def opened(folder: Path) -> EvidenceFile:
    return EvidenceFile(folder, RecordingLog("node"))


def test_a_proof_is_kept_once_and_told_once(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    told: list[object] = []
    kept.on_kept.append(told.append)
    kept.keep(found())
    kept.keep(found(labels="bc"))
    proof = build_proof("tpa", found().second, found().first)
    assert told == kept.proofs == [proof]
    assert opened(tmp_path).proofs == [proof], "also after a restart"


def test_one_validator_has_its_share(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    for view in range(4, 4 + 3 * MAX_OFFENCES):
        kept.keep(found(view))
    kept.keep(found(epoch=2))
    kept.keep(found(signer="insurer"))
    assert [proof.signer for proof in kept.proofs] == ["tpa"] * (MAX_OFFENCES + 1) + ["insurer"]


def test_a_line_that_a_crash_cut_off_spoils_nothing(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.keep(found(7))
    kept.keep(found(8))
    path = tmp_path / EVIDENCE
    whole = path.read_bytes()
    for cut in (1, 50, 400):
        path.write_bytes(whole[:-cut])
        again = opened(tmp_path)
        assert len(again) == 1
        again.keep(found(9))
        assert [proof.view for proof in opened(tmp_path).proofs] == [7, 9]
    path.write_bytes(b"rubbish\n\n" + whole)
    assert [proof.view for proof in opened(tmp_path).proofs] == [7, 8]


def test_the_oldest_go_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 4)
    kept = opened(tmp_path)
    for epoch in range(1, 6):
        kept.keep(found(epoch=epoch))
    assert [proof.epoch for proof in kept.proofs] == [4, 5]
    assert opened(tmp_path).proofs == kept.proofs


def test_a_disk_that_fails_stops_nothing(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    (tmp_path / EVIDENCE).mkdir()
    kept.keep(found())
    assert len(kept) == 1, "told to the ledger all the same"


def test_lawful_pairs_are_never_kept(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.keep(Evidence("tpa", sign_vote(NETWORK, "tpa", "notarize"), sign_vote(NETWORK, "tpa", "nullify")))
    assert not kept.proofs
