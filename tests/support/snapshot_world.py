"""A chain on disk whose blocks are really final, and snapshots of it."""

import asyncio
from pathlib import Path

from contracts.execution import ExecutedBlock
from contracts.genesis import genesis_hash
from ledger.certificates import Subject, Vote, build_certificate, encode_certificate, vote_message
from ledger.crypto import bls
from ledger.store import Store
from node.chain import Chain
from node.snapshots.make import make_snapshot
from node.snapshots.restore import Restored, join_from
from node.snapshots.sources import FolderSource
from tests.support.chain_world import NOW, World, open_chain
from tests.support.cluster import TestNetwork, build_network


class FinalWorld(World):
    """Commits with certificates of the validators' own keys."""

    def commit(self, *blocks: ExecutedBlock) -> None:
        last = blocks[-1]
        encoded = certificate(self.network, self.chain, last.after.height, last.header_hash)
        asyncio.run(self.chain.commit([(b.after.height, b.header_hash) for b in blocks], encoded))

    def snapshot(self, name: str = "snapshot") -> Path:
        make_snapshot(self.place, self.network.genesis, self.folder / name)
        return self.folder / name

    @property
    def place(self) -> str:
        return self.url or f"sqlite:///{self.folder / 'ledger.db'}"


def certificate(network: TestNetwork, chain: Chain, view: int, digest: bytes) -> bytes:
    validators = chain.final.validators
    subject = Subject("finalize", validators.epoch, view, view - 1, digest.hex())
    votes = []
    for index, validator in enumerate(validators.validators):
        key = network.identities[validator.id].finality
        assert key is not None
        signature = bls.sign(key.secret, vote_message(chain.final.chain, subject)).hex()
        votes.append(Vote("finalize", subject.epoch, view, view - 1, subject.digest, index, signature))
    return encode_certificate(build_certificate(votes, validators))


def final_world(folder: Path, time_ms: int = NOW) -> FinalWorld:
    network = build_network(folder / "nodes", time_ms=time_ms)
    return FinalWorld(folder, network, open_chain(folder, network))


def join(folder: Path, world: FinalWorld, *snapshots: Path) -> Restored:
    """A new node's data folder from snapshots."""
    folder.mkdir(exist_ok=True)
    return join_from([FolderSource(path) for path in snapshots], world.network.genesis, folder)


def open_joined(folder: Path, world: FinalWorld) -> FinalWorld:
    store = Store(f"sqlite:///{folder / 'ledger.db'}", genesis_hash(world.network.genesis))
    return FinalWorld(folder, world.network, Chain(store, world.network.genesis))
