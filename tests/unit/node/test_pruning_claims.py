"""`claimnode node prune` on folders with real claims: what stays for open ones, and what is said of closed ones."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import claimnode
from contracts import bodies
from contracts.genesis import genesis_hash
from contracts.states import read_case, read_claim
from ledger.errors import StoreError
from ledger.logtiles import node_reader
from ledger.merkle import inclusion_proof
from ledger.store import Store
from node.audit.build import Material, build_dossier
from node.audit.proving import build_inclusion
from node.chain import Chain
from node.main import locked_folder
from node.proofs import ChainSource
from node.pruning import offline
from node.pruning.limits import Kept
from tests.support.ledger_folder import write_folder
from tests.support.network_builder import Network


@lru_cache(maxsize=1)
def two_claims() -> tuple[Network, str, str, str]:
    """One claim that is closed, one that is decided and not paid; gives the network, both ids and a record's."""
    network = Network()
    first, second = network.commit_policy(), network.commit_policy()
    _, closed = network.ready_claim(first.policy_id)
    network.adjudicate(closed)
    payout = network.payout_id(closed, first.policy_id)
    network.pay(payout)
    assert network.do("claim.close", bodies.ClaimClose(closed), "insurer").code == "ok"
    _, still_open = network.ready_claim(second.policy_id)
    network.adjudicate(still_open)
    for _ in range(4):
        network.do("policy.commit", bodies.PolicyCommit((network.make_policy(),)), "insurer")
    claim = read_claim(network.state.read, closed)
    assert claim is not None
    case = read_case(network.state.read, claim.case_id)
    assert case is not None
    return network, closed, still_open, case.records[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(offline, "Kept", lambda: Kept(window_ms=0, heights=0))
    made = write_folder(tmp_path / "node", two_claims()[0])
    (made / "node.toml").write_text('participant = "insurer"\n')
    return made


@contextmanager
def opened(folder: Path) -> Iterator[Chain]:
    genesis = two_claims()[0].genesis_bytes
    store = Store(f"sqlite:///{folder / 'data' / 'ledger.db'}", genesis_hash(genesis))
    chain = Chain(store, genesis)
    try:
        yield chain
    finally:
        chain.close()
        store.close()


def run(folder: Path, *options: str) -> tuple[int, str]:
    below = str(len(two_claims()[0].blocks))
    done = CliRunner().invoke(claimnode, ["node", "prune", str(folder), "--below", below, *options])
    return done.exit_code, done.output


def test_the_list_comes_first_and_open_claims_keep_their_blocks(folder: Path) -> None:
    """O8: dossiers of open claims are built as before, those of closed ones are `pruned`; proofs made before verify."""
    network, closed, still_open, record = two_claims()
    with opened(folder) as chain:
        before = build_dossier(ChainSource(chain), still_open, Material())
        proof = build_inclusion(ChainSource(chain), record)
    code, output = run(folder, "--dry-run", "--json")
    lost = json.loads(output)["lost"]
    assert (code, lost["claims"], lost["claims_lost"], lost["open_claims"]) == (0, [closed], 1, 1)
    with opened(folder) as chain:
        assert not chain.store.whole_above()
    code, output = run(folder, "--json")
    assert code == 2
    assert "not_confirmed" in output
    code, output = run(folder, "--yes", "--compact")
    assert code == 0
    assert f"claim {closed}" in output
    assert f"claim {still_open}" not in output
    assert f"{lost['blocks']} bodies" in output
    with opened(folder) as chain:
        assert chain.final.header_hash == network.state.header_hash
        assert build_dossier(ChainSource(chain), still_open, Material()) == before
        for build in (lambda: build_dossier(ChainSource(chain), closed, Material()),
                      lambda: chain.store.block(lost["first"])):  # fmt: skip
            with pytest.raises(StoreError) as caught:
                build()
            assert caught.value.code == "pruned"
        path = inclusion_proof(proof.place.leaf_index, chain.final.frontier.size, node_reader(chain.store.tile))
        assert tuple(item.hex() for item in path) == proof.place.path
    assert run(folder, "--yes")[1].startswith("nothing to prune")


def test_a_running_node_is_refused(folder: Path) -> None:
    with locked_folder(folder):
        code, output = run(folder, "--yes")
    assert code != 0
    assert "another process runs this node" in output


def test_what_stays_whole_whoever_asks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """48 hours of block time and 10,000 heights: this chain has neither."""
    for kept in (Kept(heights=0), Kept(window_ms=0)):
        monkeypatch.setattr(offline, "Kept", lambda kept=kept: kept)
        code, output = run(folder, "--yes")
        assert code == 0
        assert output.startswith("nothing to prune")
        assert "stay whole" in output
