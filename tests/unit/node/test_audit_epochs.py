"""Audits across changes of the validator set: each set is believed because the one before it named it (O1, O6)."""

from typing import Any

import pytest
from msgspec.structs import replace

from contracts.bodies import SeatTaken
from ledger.certificates import encode_certificate, tail_digest, verify_finality
from ledger.errors import InvalidCertificate
from node.audit.build import Material, build_dossier
from node.audit.dossier import Dossier, EpochEnd, encode_dossier
from node.audit.replay import LedgerFault, StoredBlock, replay_ledger
from node.audit.report import AuditFailure
from node.audit.verify import Verification, read_trust, verify_dossier
from tests.support.governance import decide, freeze, rotation, seat
from tests.support.ledger_source import MemorySource, certify
from tests.support.network_builder import Network
from tests.support.network_members import make_member


def no_program(contract_hash: str, case_text: str) -> tuple[str, str]:
    raise AssertionError("nothing is disclosed, so nothing is run")


def closing(network: Network) -> list[int]:
    """Heights of the blocks that close an epoch."""
    headers = [block.block.header for block in network.blocks]
    return [h.height for h in headers if h.next_validator_set_hash != h.validator_set_hash]


@pytest.fixture(scope="module")
def network() -> Network:
    """A claim that begins in the first epoch and is decided in the third, by an insurer with a new key."""
    network = Network()
    policy = network.commit_policy()
    assert decide(network, SeatTaken("tpa"), seat("auditor")).code == "ok"
    _, claim_id = network.ready_claim(policy.policy_id)
    assert decide(network, rotation("insurer", overlap=3)).code == "ok"
    network.members["insurer"] = make_member("insurer", 1)
    network.adjudicate(claim_id)
    network.pay(network.payout_id(claim_id, policy.policy_id))
    network.claim = claim_id  # type: ignore[attr-defined]
    network.wait(1000)
    return network


@pytest.fixture(scope="module")
def dossier(network: Network) -> Dossier:
    return build_dossier(MemorySource(network), network.claim, Material())  # type: ignore[attr-defined]


def verify(network: Network, dossier: Dossier) -> Verification:
    return verify_dossier(encode_dossier(dossier), read_trust(network.genesis_bytes), no_program)


def failure(network: Network, dossier: Dossier) -> tuple[int, str]:
    with pytest.raises(AuditFailure) as caught:
        verify(network, dossier)
    return caught.value.number, caught.value.code


def stored(network: Network, certified: set[int]) -> list[StoredBlock]:
    source = MemorySource(network)
    return [
        StoredBlock(h, block.encoded, encode_certificate(source.certificate(h)) if h in certified else None)
        for h, block in enumerate(network.blocks, start=1)
    ]


def test_a_dossier_carries_the_ends_of_the_epochs_before_it(network: Network, dossier: Dossier) -> None:
    """O1: a file from the third epoch holds against the genesis alone; keys that came later are carried and bound."""
    assert [end.header.height for end in dossier.epochs] == closing(network)
    assert dossier.anchor.header.epoch == 3
    assert {item.key for item in dossier.carried if item.key.startswith("key/")} == {
        f"key/{make_member('insurer').key_id}",
        f"key/{make_member('insurer', 1).key_id}",
    }
    verified = verify(network, dossier)
    assert verified.status == "DECIDED"
    assert verified.height == len(network.blocks)


def changed(dossier: Dossier, at: int, **changes: Any) -> Dossier:
    epochs = list(dossier.epochs)
    epochs[at] = replace(epochs[at], **changes)
    return replace(dossier, epochs=tuple(epochs))


def test_a_broken_chain_of_sets_is_found(network: Network, dossier: Dossier) -> None:
    """O1: no end may be missing, forged by a later set, or hand over to somebody else."""
    first, second = dossier.epochs
    forged = certify(network, network.blocks[first.header.height - 1].header_hash, validators=network.state.validators)
    plain = network.blocks[first.header.height - 2]
    cases: list[tuple[Dossier, str]] = [
        (replace(dossier, epochs=()), "epoch"),
        (replace(dossier, epochs=(second,)), "epoch"),
        (replace(dossier, epochs=(first,)), "epoch"),
        (replace(dossier, epochs=(second, first)), "epoch"),
        (replace(dossier, epochs=(first, first, second)), "epoch"),
        (changed(dossier, 0, validators=second.validators[:3]), "validator_set"),
        (changed(dossier, 0, validators=tuple(reversed(first.validators))), "validator_set"),
        (changed(dossier, 1, validators=first.validators), "validator_set"),
        (changed(dossier, 0, certificate=forged), "epoch"),
        (changed(dossier, 0, certificate=second.certificate), "digest"),
        (changed(dossier, 0, header=plain.block.header), "epoch"),
        (replace(dossier, anchor=replace(dossier.anchor, certificate=first.certificate)), "digest"),
    ]
    for case, code in cases:
        assert failure(network, case) == (3, code)


def test_a_set_of_their_own_does_not_help_forgers(network: Network, dossier: Dossier) -> None:
    """The header that names the next set must be final under the set before."""
    end = dossier.epochs[0]
    header = replace(end.header, next_validator_set_hash=network.state.validators.hash.hex())
    forged = EpochEnd(header, end.certificate, end.validators)
    assert failure(network, replace(dossier, epochs=(forged, dossier.epochs[1]))) == (3, "digest")


def test_a_carried_key_must_be_the_registered_one(network: Network, dossier: Dossier) -> None:
    """O6: a key in the file counts only as far as the log's entries bind it."""
    for at, item in enumerate(dossier.carried):
        value = item.value | {"until_height": None, "from_height": 0}
        if value == item.value:
            continue
        carried = (*dossier.carried[:at], replace(item, value=value), *dossier.carried[at + 1 :])
        assert failure(network, replace(dossier, carried=carried)) == (8, "other_value")
    assert failure(network, replace(dossier, carried=()))[0] in (6, 8)


def test_a_replay_changes_the_set_where_the_ledger_does(network: Network) -> None:
    """O1: every certificate under the set of its own epoch."""
    last = len(network.blocks)
    replay = replay_ledger(network.genesis_bytes, stored(network, {*closing(network), last}))
    assert (replay.height, replay.certificates) == (last, 3)


def test_the_next_set_does_not_prove_the_block_that_made_it(network: Network) -> None:
    """O1: without the old quorum's word on the boundary the replay ends there, whoever signed later."""
    first, second = closing(network)
    with pytest.raises(LedgerFault, match=f"height {first}: not_final"):
        replay_ledger(network.genesis_bytes, stored(network, {second, len(network.blocks)}))
    blocks = stored(network, {first, second, len(network.blocks)})
    digest = network.blocks[first - 1].header_hash
    late = certify(network, digest, validators=network.state.validators)
    blocks[first - 1] = replace(blocks[first - 1], certificate=encode_certificate(late))
    with pytest.raises(LedgerFault, match=f"height {first}: epoch"):
        replay_ledger(network.genesis_bytes, blocks)


def test_a_final_tail_proves_the_boundary(network: Network) -> None:
    """O1: the boundary's own view need not be finalized; a tail above it is as good, and good for nothing else."""
    first = closing(network)[0]
    digest = network.blocks[first - 1].header_hash
    tail = certify(network, tail_digest(digest), view=9)
    blocks = stored(network, {*closing(network), len(network.blocks)})
    blocks[first - 1] = replace(blocks[first - 1], certificate=encode_certificate(tail))
    assert replay_ledger(network.genesis_bytes, blocks).height == len(network.blocks)
    validators, other = network.blocks[0].after.validators, network.blocks[first].header_hash
    with pytest.raises(InvalidCertificate, match="digest"):
        verify_finality(tail, other, validators, network.state.chain)


def test_a_claim_decided_after_a_freeze_and_a_thaw_is_replayed() -> None:
    """O7: what the frozen insurer could not do is no part of the claim; what it did before and after is."""
    network = Network()
    policy = network.commit_policy()
    _, claim_id = network.ready_claim(policy.policy_id)
    network.adjudicate(claim_id)
    freeze(network, "insurer", "hospital", "commission", "tpa")
    network.wait(1000)
    dossier = build_dossier(MemorySource(network), claim_id, Material())
    assert {"freeze/insurer"} <= {item.key for item in dossier.carried}
    assert verify(network, dossier).status == "DECIDED"
