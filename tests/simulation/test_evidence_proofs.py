"""What the core calls evidence is a proof for the ledger, of the same offence and against the same validator."""

from functools import partial

import pytest

from ledger.errors import InvalidEvidence
from ledger.offences import build_proof, verify_proof
from tests.support.simulator import Cluster
from tests.support.simulator_traitors import TRAITORS, Traitor, make_traitor

PROVABLE = [traitor for traitor in TRAITORS if traitor.is_provable]


@pytest.mark.parametrize("traitor", PROVABLE, ids=lambda traitor: f"{traitor.fault}-{traitor.__name__}")
def test_evidence_of_the_core_convicts(traitor: type[Traitor]) -> None:
    """B1 B2 B3 B20: each pair builds a proof that verifies for its signer, and for nobody else."""
    cluster = Cluster(4, seed=21)
    make_traitor(cluster.nodes[0], traitor())
    cluster.start()
    honest = cluster.honest()
    for _ in range(12):
        cluster.finish(20_000, nodes=honest)
    found = [(node, evidence) for node in honest for evidence in node.evidence]
    assert found
    for node, evidence in found:
        config = node.config
        proof = build_proof(evidence.signer, evidence.first, evidence.second)
        verify = partial(verify_proof, validators=config.validators, chain=config.chain, scheme=config.scheme)
        assert verify(proof) in ("double_notarize", "double_finalize", "nullify_finalize")
        assert evidence.signer in cluster.traitors
        for other in honest:
            with pytest.raises(InvalidEvidence):
                verify(build_proof(other.name, evidence.first, evidence.second))
