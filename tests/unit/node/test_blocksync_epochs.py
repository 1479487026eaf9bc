"""Ranges of blocks at the end of an epoch: proven by its own set, by a tail if need be, and never beyond (O1, B18)."""

import pytest

from ledger.certificates import Certificate, ValidatorSet, encode_certificate, tail_digest
from ledger.errors import LedgerError
from ledger.parts import join_parts
from node.ordering.blocksync import VIEW_BYTES, Range, check_range
from tests.support.governance import decide, seat
from tests.support.ledger_source import certify
from tests.support.network_builder import Network


@pytest.fixture(scope="module")
def network() -> Network:
    """The fourth block closes the first epoch; two more follow."""
    network = Network()
    assert decide(network, seat("auditor")).code == "ok"
    network.wait(1_000)
    network.wait(1_000)
    assert [block.block.header.epoch for block in network.blocks] == [1, 1, 1, 1, 2, 2]
    return network


def ask(
    network: Network, last: int, certificate: Certificate, validators: ValidatorSet, after: int = 0
) -> Range | None:
    """The answer of a peer: blocks up to `last`, the view of each is its height."""
    parts = [
        block.block.header.height.to_bytes(VIEW_BYTES, "big") + block.encoded for block in network.blocks[after:last]
    ]
    parent = network.blocks[after - 1].header_hash if after else network.state.chain
    return check_range(
        join_parts([encode_certificate(certificate), *parts]), after, parent, validators, network.state.chain
    )


def sets(network: Network) -> tuple[ValidatorSet, ValidatorSet]:
    return network.blocks[0].after.validators, network.state.validators


def refused(network: Network, last: int, certificate: Certificate, validators: ValidatorSet, after: int = 0) -> str:
    with pytest.raises(LedgerError) as caught:
        ask(network, last, certificate, validators, after)
    return caught.value.code


def test_the_end_of_an_epoch_is_proven_by_itself_or_by_a_tail(network: Network) -> None:
    first, _ = sets(network)
    digest = network.blocks[3].header_hash
    for certificate in (certify(network, digest, view=4), certify(network, tail_digest(digest), view=9)):
        found = ask(network, 4, certificate, first)
        assert found is not None
        assert len(found.blocks) == 4


def test_a_tail_proves_only_a_boundary_below_it(network: Network) -> None:
    first, _ = sets(network)
    boundary, before = network.blocks[3].header_hash, network.blocks[2].header_hash
    assert refused(network, 4, certify(network, tail_digest(boundary), view=4), first) == "view"
    assert refused(network, 3, certify(network, tail_digest(before), view=9), first) == "view"
    assert refused(network, 4, certify(network, boundary, view=9), first) == "view"


def test_no_range_goes_on_behind_a_boundary(network: Network) -> None:
    """The set that votes there follows from executing the boundary; until then nobody's word counts."""
    first, second = sets(network)
    digest = network.blocks[4].header_hash
    assert refused(network, 5, certify(network, digest, view=5), first) == "epoch"
    assert refused(network, 5, certify(network, digest, view=5, validators=second), second) == "epoch"
    assert refused(network, 6, certify(network, network.blocks[5].header_hash, view=6), first, after=4) == "epoch"
    later = certify(network, network.blocks[5].header_hash, view=6, validators=second)
    assert ask(network, 6, later, second, after=4) is not None
