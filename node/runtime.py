"""One node, assembled: the single place where chain, mempool, ordering and links are wired together.

Knows who is connected to whom; holds no rule of its own. Must always hold: no globals, so that several nodes can
live in one process; everything started here is stopped here; nothing reaches the mempool but through `_admit`.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from msgspec import Struct

from consensus.types import Timing
from contracts.genesis import genesis_hash
from contracts.states import read_parameters, read_participant
from ledger.certificates import ValidatorSet
from ledger.checkpoints import origin_of
from ledger.store import Store
from ledger.transactions import Endorsement, SignedTransaction, build_transaction
from node.chain import Chain
from node.clock import Clock
from node.config import NodeConfig
from node.identity import KEYS, Identity
from node.keyring import Keyring
from node.mempool import Mempool
from node.ordering import blocksync, neighbours
from node.ordering.accuser import STAGGER_S, Accuser
from node.ordering.driver import Driver
from node.ordering.epochs import EpochSource
from node.ordering.gossip import REPEAT_S, Gossip, Intake, Pace
from node.ordering.links import Links
from node.ordering.neighbours import MAX_SKEW_MS, Neighbours
from node.ordering.stopping import advice_for
from node.ordering.wiring import Wiring
from node.ordering.workshop import Workshop
from node.outcomes import FinalBlock, TransactionOutcome
from node.peers.frames import Lane
from node.pruning.limits import MAP_EVERY
from node.pruning.worker import Pruner
from node.signatures import SignatureMemory
from node.snapshots.schedule import Schedule
from node.snapshots.shelf import SNAPSHOTS, Shelf
from node.statepages import StatePages
from node.storeurl import store_url
from node.witnessing.chainlog import ChainLog
from node.witnessing.collector import Collector
from node.witnessing.log import PublishedLog
from node.witnessing.transport import WitnessPost

LIFETIME_MS = 3_600_000
"""A transaction of this node's own expires one hour after it was signed: final within seconds, or never."""


class Node:
    """One running participant. Used from one event loop."""

    def __init__(
        self,
        folder: Path,
        config: NodeConfig,
        identity: Identity,
        genesis: bytes,
        *,
        links: Links,
        clock: Clock,
        log: Any,
        timing: Timing | None = None,
    ) -> None:
        """Open the store and rebuild state. Raises StoreError, GenesisError, ConfigError, KeyFileError."""
        self.folder = folder
        self.config = config
        self.keys = Keyring(folder, identity, log)
        self.clock = clock
        self.log = log
        self.peers = links
        self._store, self.chain = _open_chain(folder, config, genesis, log)
        self.genesis = self.chain.final.genesis
        self.network = self.genesis.network
        self.signatures = SignatureMemory()
        self.mempool = Mempool(config.mempool, self.signatures)
        self._workshop = Workshop(
            self.chain, self.mempool, self.signatures, clock, max_transactions=config.ordering.block_transactions
        )
        self.driver = Driver(self._wiring(timing))
        self.neighbours = Neighbours(self.chain, links, clock, self._hear)
        self._gossip = Gossip(lambda data: links.broadcast(Lane.GOSSIP, data), self.driver.transactions_known)
        self._pace = Pace(lambda: self.driver.is_busy)
        self.pruner = Pruner(self.chain, identity.participant, config.store.retain_blocks, self._pace.breathe, log)
        blame, known = self.driver.reports.blame, self.driver.transactions_known
        self._intake = Intake(self._admit_from, blame, known, self._pace)
        self.accuser = Accuser(self.chain, identity.participant, self.submit, self.is_pending, log, stagger_s=STAGGER_S)
        self._tasks: list[asyncio.Task[None]] = []
        self.published = PublishedLog(
            ChainLog(self.chain), origin_of(self.network, self.chain.final.chain), self._note_seed
        )
        post = WitnessPost(config.peers.proxy)
        self.witnesses = Collector(self.published, config.witness, folder / "data", clock, post, log)
        self.shelf = Shelf(folder / "data" / SNAPSHOTS)
        self.snapshots = Schedule(folder, config.snapshots, self.shelf, log, height=self.chain.height)
        self.chain.on_commit.append(self._forget_final)
        links.protect(self._needed)
        links.on_message(Lane.CONSENSUS, self._hear)
        links.on_message(Lane.GOSSIP, self._intake.receive)
        links.register(blocksync.METHOD, self.driver.sync.serve)
        links.register(neighbours.METHOD, self.neighbours.serve)

    @property
    def identity(self) -> Identity:
        """Who this node is, with the keys now in use."""
        return self.keys.identity

    @property
    def validators(self) -> ValidatorSet:
        """Who votes on the next block."""
        return self.chain.final.validators

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the journal and begin to take part. Raises StoreError, JournalFailed."""
        evidence = self.driver.reports.evidence
        evidence.on_kept.append(self.accuser.take)
        for proof in evidence.proofs:
            self.accuser.take(proof)
        self.witnesses.load()
        is_joining = self.chain.is_at_base
        if not is_joining:
            await self.driver.start()
        parts = (self.neighbours, self._intake, self.accuser, self.witnesses, self.pruner, self.snapshots)
        ordering = self._join() if is_joining else self.driver.run()
        for work in (ordering, *(part.run() for part in parts), self._repeat()):
            self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _join(self) -> None:
        """After a snapshot: the first block above it is executed before this node says anything about others."""
        await self.driver.catch_up.leave_base()
        if self.driver.halted is None:
            self.log.info("joined", height=self.chain.height)
            await self.driver.start(renewed=True)
            await self.driver.run()

    def _hear(self, sender: str, data: bytes) -> None:
        if not self.chain.is_at_base:
            self.driver.on_message(sender, data)

    async def wait_failed(self) -> None:
        """Return only by raising: the disk failed and the process must end."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Stop taking part and close what was opened. What is durable stays; what is not was never promised."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        figures = self.figures()
        times = sorted(figures.pop("sync_times_s"))
        middle, high = (times[len(times) // 2], times[len(times) * 99 // 100]) if times else (0.0, 0.0)
        self.log.info("figures", fsync=[round(middle * 1000, 2), round(high * 1000, 2)], **figures)
        await self.driver.stop()
        self.chain.close()
        self._store.close()

    # --- transactions -----------------------------------------------------------------------------------------

    async def submit(self, kind: str, body: Struct, endorsements: Sequence[Endorsement] = ()) -> str:
        """Sign as this participant, admit and pass on. Returns the transaction id. Raises Rejected, Overloaded."""
        signed = build_transaction(
            network=self.network,
            kind=kind,
            body=body,
            author=self.identity.participant,
            key_id=self.identity.key_id,
            seed=self.identity.signing.secret,
            nonce=os.urandom(16).hex(),
            expires_time=max(self.clock.now_ms(), self.chain.final.time_ms) + LIFETIME_MS,
            endorsements=endorsements,
        )
        return await self.submit_bytes(signed.encoded)

    async def submit_bytes(self, data: bytes) -> str:
        """Admit a signed transaction of anybody and pass it on. Returns its id, also when it was known before.

        Raises Rejected with the code of what is wrong, or Overloaded.
        """
        await self._pace.breathe()  # a batch of a thousand must not keep votes waiting
        transaction, is_new = self._admit(data)
        if is_new:
            self._gossip.tell(transaction.tx_id, data)
            self.driver.transactions_known()
        return transaction.tx_id

    async def outcome(self, tx_id: str, timeout_s: float) -> TransactionOutcome:
        """Where the transaction stands once it is final. Raises Unavailable `pending` after `timeout_s`."""
        return await self.chain.wait_for(tx_id, timeout_s)

    def is_pending(self, tx_id: str) -> bool:
        """Whether the transaction waits here for a block."""
        return tx_id in self.mempool

    def _admit(self, data: bytes) -> tuple[SignedTransaction, bool]:
        return self.mempool.admit(data, self.chain.final, self.clock.now_ms())

    def _admit_from(self, sender: str, data: bytes) -> None:
        transaction, is_new = self._admit(data)
        if is_new and self.validators.index_of(sender) is None:  # it may not reach every validator itself
            self._gossip.tell(transaction.tx_id, data)

    def _forget_final(self, block: FinalBlock) -> None:
        for receipt in block.receipts:
            self.mempool.remove(receipt.tx_id)
            self._gossip.forget(receipt.tx_id)
        self.mempool.drop_expired(block.header.time_ms)
        self.witnesses.block_added()
        self.snapshots.block_added(block.height)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(REPEAT_S)
            self._gossip.repeat(self._pending_bytes)

    def _pending_bytes(self, tx_id: str) -> bytes | None:
        found = self.mempool.get(tx_id)
        return None if found is None else found.encoded

    # --- health -----------------------------------------------------------------------------------------------

    def status(self) -> Mapping[str, Any]:
        """What operators and probes see. `ready` is whether this node does its part; `reasons` says why not."""
        reasons = self._reasons()
        halted = self.driver.halted
        not_voting = "joining" if self.chain.is_at_base and halted is None else self.driver.not_voting
        return {
            "participant": self.identity.participant,
            "ready": not reasons,
            "reasons": reasons,
            "height": self.chain.height,
            "time_ms": self.chain.final.time_ms,
            "state_root": self.chain.final.state_map.root.hex(),
            "peers": sorted(self.peers.connected()),
            "mempool": len(self.mempool),
            "mempool_bytes": self.mempool.size_bytes,
            "validator": self.driver.is_voting,
            "epoch": self.validators.epoch,
            "view": self.driver.view,
            "voting": not_voting is None,
            "not_voting": not_voting,
            "halted": None if halted is None else halted.code,
            "disagreement": self.driver.disagreements.report,
            "halted_detail": None if halted is None else halted.detail,
            "advice": None if not_voting in (None, "observer") else advice_for(not_voting),
            "clock_skew_ms": self.neighbours.skew_ms(),
            "standings": self._standings(),
            "evidence_kept": len(self.driver.reports.evidence),
            "witness": self.witnesses.status(),
            "snapshots": self.snapshots.status(),
        }

    def figures(self) -> dict[str, Any]:
        """Counters of ordering since the start, for benches: times in seconds, fsync durations of the last ones."""
        journal = self.driver.journal
        return {
            **asdict(self.driver.counters),
            "height": self.chain.height,
            "signatures_checked": self.signatures.checked,
            "journal_bytes": journal.size_bytes if journal else 0,
            "journal_syncs": journal.syncs if journal else 0,
            "sync_times_s": list(journal.sync_times) if journal else [],
            "store_commits": self.chain.commits,
            "pruned": self.pruner.total,
            "inbox_dropped": self.driver.inbox.dropped,
        }

    def _reasons(self) -> list[str]:
        driver = self.driver
        needed = self.validators.quorum - 1 if driver.is_voting else 1
        linked = self.peers.connected() & {member.id for member in self.validators.validators}
        checks = {
            "halted": driver.halted is not None,
            "joining": self.chain.is_at_base,
            "keys": driver.not_voting == "keys_not_in_set",
            "disk_full": driver.waiting == "no_space",
            "store": driver.damage is not None,
            "disk": driver.waiting not in (None, "no_space"),
            "syncing": driver.is_syncing,
            "peers": len(linked) < needed,
            "clock": abs(self.neighbours.skew_ms()) > MAX_SKEW_MS,
            "not_witnessed": self.witnesses.is_short(),
            "behind": self.neighbours.proven_height() > self.chain.height + blocksync.RANGE_BLOCKS,
        }
        return [name for name, failed in checks.items() if failed]

    def _note_seed(self) -> bytes | None:
        """The note key, if it is the one that the registry names: others would be taken for a stranger's."""
        known = read_participant(self.chain.final.read, self.identity.participant)
        note = self.identity.note
        return note.secret if known is not None and known.note_key == note.public.hex() else None

    def _standings(self) -> dict[str, dict[str, Any]]:
        """Peers that were blamed of late: score, bans so far, until when (wall clock) the peer is refused."""
        now = self.clock.now_ms()
        return {
            peer: {
                "score": each.score,
                "bans": each.bans,
                "banned_until_ms": now + 1_000 * each.banned_s if each.banned_s else None,
                "votes_only": each.narrow,
            }
            for peer, each in sorted(self.peers.standings().items())
        }

    def _needed(self) -> tuple[frozenset[str], int]:
        """Who votes, and how many of them decide."""
        validators = self.validators
        return frozenset(member.id for member in validators.validators), validators.quorum

    # --- wiring -----------------------------------------------------------------------------------------------

    def _wiring(self, timing: Timing | None) -> Wiring:
        ordering = self.config.ordering
        heartbeat = read_parameters(self.chain.final.read).parameters.heartbeat_ms
        epochs = EpochSource(
            chain=self.chain,
            keys=self.keys,
            payloads=self._workshop.names,
            timing=timing or Timing(base=ordering.delta_ms, heartbeat=heartbeat),
            log=self.log,
        )
        return Wiring(
            chain=self.chain,
            workshop=self._workshop,
            links=self.peers,
            clock=self.clock,
            epochs=epochs,
            folder=self.folder / "data",
            keys_folder=self.folder / KEYS,
            log=self.log,
            block_interval_ms=ordering.block_interval_ms,
            full_block=ordering.block_transactions,
        )


def _open_chain(folder: Path, config: NodeConfig, genesis: bytes, log: Any) -> tuple[Store, Chain]:
    (folder / "data").mkdir(mode=0o700, exist_ok=True)

    def tell(old: int, new: int) -> None:
        log.warning("store_upgrade", version=old, to=new)

    store = Store(store_url(folder, config.store), genesis_hash(genesis), on_upgrade=tell)
    try:
        return store, Chain(store, genesis, StatePages(store, every=MAP_EVERY if config.store.retain_blocks else 0))
    except BaseException:
        store.close()
        raise
