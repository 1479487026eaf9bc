"""Dossiers over a ledger in memory: what holds is proved, what is changed fails at its own check."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from ledger.certificates import verify_finality
from ledger.encoding import encode
from node.audit.build import Material, UnknownClaim, build_dossier
from node.audit.dossier import Dossier, encode_dossier
from node.audit.report import AuditFailure
from node.audit.verify import Verification, read_trust, verify_dossier
from tests.support.ledger_source import MemorySource, certify
from tests.support.network_builder import Network

BYTE_CHANGES = 300


def no_program(contract_hash: str, case_text: str) -> tuple[str, str]:
    raise AssertionError("nothing is disclosed, so nothing is run")


@pytest.fixture(scope="module")
def network() -> Network:
    """Two claims that share an account, the second closed."""
    network = Network()
    policy = network.commit_policy()
    for _ in range(2):
        _, claim_id = network.ready_claim(policy.policy_id)
        network.adjudicate(claim_id)
        network.pay(network.payout_id(claim_id, policy.policy_id))
    network.claim = claim_id  # type: ignore[attr-defined]
    network.wait(1000)
    return network


@pytest.fixture(scope="module")
def dossier(network: Network) -> Dossier:
    return build_dossier(MemorySource(network), network.claim, Material())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def verify(network: Network) -> Callable[[bytes], Verification]:
    trust = read_trust(network.genesis_bytes)
    proved: set[bytes] = set()

    def finality(certificate: Any, digest: bytes, validators: Any, chain: bytes) -> None:
        place = encode([encode(certificate).hex(), digest.hex()])
        if place not in proved:
            verify_finality(certificate, digest, validators, chain)
            proved.add(place)

    return lambda data: verify_dossier(data, trust, no_program, finality)


def failure(verify: Callable[[bytes], Verification], dossier: Dossier) -> tuple[int, str]:
    with pytest.raises(AuditFailure) as caught:
        verify(encode_dossier(dossier))
    return caught.value.number, caught.value.code


def test_a_true_dossier_is_proved_line_by_line(verify: Callable[[bytes], Verification], dossier: Dossier) -> None:
    verified = verify(encode_dossier(dossier))
    outcomes = {check.number: check.outcome for check in verified.checks}
    assert [outcomes[number] for number in range(1, 9)] == ["proved"] * 8
    assert [outcomes[number] for number in range(9, 13)] == ["not disclosed"] * 4
    assert verified.insurer == "insurer"


def test_another_claims_version_of_the_account_is_carried(dossier: Dossier) -> None:
    assert [item.key.partition("/")[0] for item in dossier.carried] == ["account"]


def test_every_changed_byte_is_found(verify: Callable[[bytes], Verification], dossier: Dossier) -> None:
    data = encode_dossier(dossier)
    draw = random.Random(20211203)
    for _ in range(BYTE_CHANGES):
        position = draw.randrange(len(data))
        changed = data[:position] + bytes([data[position] ^ draw.randrange(1, 256)]) + data[position + 1 :]
        with pytest.raises(AuditFailure):
            verify(changed)


def test_a_notarization_does_not_prove_the_anchor(
    network: Network, verify: Callable[[bytes], Verification], dossier: Dossier
) -> None:
    notarized = certify(network, network.state.header_hash, kind="notarize")
    anchor = replace(dossier.anchor, certificate=notarized)
    assert failure(verify, replace(dossier, anchor=anchor)) == (3, "kind")


def test_an_older_anchor_hides_nothing(
    network: Network, verify: Callable[[bytes], Verification], dossier: Dossier
) -> None:
    header = network.blocks[-3].block.header
    anchor = replace(dossier.anchor, header=header, certificate=certify(network, network.blocks[-3].header_hash))
    assert failure(verify, replace(dossier, anchor=anchor))[0] in (4, 5)


@pytest.mark.parametrize("part", ["entries", "headers", "transactions", "carried", "heads"])
def test_leaving_something_out_is_found(part: str, verify: Callable[[bytes], Verification], dossier: Dossier) -> None:
    kept = getattr(dossier, part)[:-1]
    number, _ = failure(verify, replace(dossier, **{part: kept}))
    assert number in (4, 5, 6, 7, 8)


def test_leaving_out_the_latest_version_is_found(verify: Callable[[bytes], Verification], dossier: Dossier) -> None:
    """All of the last operation removed consistently: only the state map knows that there was one."""
    last = dossier.entries[-1].entry
    changed = replace(
        dossier,
        entries=dossier.entries[:-1],
        transactions=dossier.transactions[:-1],
        headers=tuple(item for item in dossier.headers if item.header.height != last.height),
    )
    assert failure(verify, changed)[0] == 7


def test_a_heading_without_its_claim_is_refused(verify: Callable[[bytes], Verification], dossier: Dossier) -> None:
    heads = tuple(head for head in dossier.heads if not head.key.startswith("claim/"))
    assert failure(verify, replace(dossier, heads=heads)) == (7, "claim_head")


def test_openings_that_cannot_be_checked_are_refused(verify: Callable[[bytes], Verification], dossier: Dossier) -> None:
    assert failure(verify, replace(dossier, payee={"salt": "0" * 64})) == (10, "incomplete")


def test_another_genesis_is_not_trusted(dossier: Dossier) -> None:
    other = Network(genesis=replace(Network().genesis, time_ms=1))
    with pytest.raises(AuditFailure) as caught:
        verify_dossier(encode_dossier(dossier), read_trust(other.genesis_bytes), no_program)
    assert (caught.value.number, caught.value.code) == (2, "other_genesis")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", json.dumps({"v": 1}).encode()])
def test_what_is_no_dossier(data: bytes, verify: Callable[[bytes], Verification]) -> None:
    with pytest.raises(AuditFailure) as caught:
        verify(data)
    assert caught.value.number == 1


def test_unknown_claim(network: Network) -> None:
    with pytest.raises(UnknownClaim):
        build_dossier(MemorySource(network), "0" * 64, Material())
