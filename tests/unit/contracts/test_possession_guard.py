"""B11: no BLS key comes to vote without proof that its secret is known; it would sign for others in an aggregate."""

import pytest
from msgspec import structs

from contracts.errors import GenesisError
from contracts.membership import check_genesis
from tests.support.governance import propose, seat
from tests.support.network_builder import MEMBERS, Network, make_genesis, make_participant


def test_a_finality_key_enters_by_genesis_or_vote_with_its_proof_only() -> None:
    foreign, own = make_participant("tpa").finality_key, make_participant("insurer").finality_key
    assert foreign is not None
    assert own is not None
    borrowed = structs.replace(own, possession=foreign.possession)
    members = [make_participant(name) for name in sorted(MEMBERS) if name != "insurer"]
    members.append(structs.replace(make_participant("insurer"), finality_key=borrowed))
    with pytest.raises(GenesisError, match="finality key has no valid proof of possession"):
        check_genesis(make_genesis(participants=sorted(members, key=lambda member: member.id)))

    network, given = Network(), seat("auditor")
    false = structs.replace(given, finality_key=structs.replace(given.finality_key, possession=foreign.possession))
    assert propose(network, false).code == "KEY_UNSOUND"
    assert propose(network, given).code == "ok"
