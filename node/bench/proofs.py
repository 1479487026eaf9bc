"""A synthetic ledger of many records on disk, and what its proofs cost.

Knows how final blocks are stored and proved; must not know the network. The records are made up, everything else is
the real thing: canonical entries and state values, the log, the state map in pages, headers, certificates with real
signatures, the store's transactions. Blocks hold no transactions: no proof of this kind shows one. The state map of a
large ledger is made once from all leaves, as a node that joins makes it, and headers below name the genesis' root
instead of theirs; the last MEASURED records update it block by block, as a validator does. Figures, never tests.
"""

import hashlib
import os
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from contracts.execution import ChainState, genesis_state
from contracts.genesis import genesis_hash
from contracts.identifiers import derive_record_id, invoice_message
from contracts.receipts import receipts_root
from contracts.states import RecordState, encode_state, state_key
from ledger.blocks import Block, Header, encode_block, header_hash, transactions_root
from ledger.certificates import Subject, Vote, build_certificate, encode_certificate, vote_message
from ledger.crypto import bls
from ledger.database import open_engine
from ledger.encoding import encode_trusted
from ledger.mappages import TOP_PATH, build_map
from ledger.mapstore import MapStore
from ledger.merkle import leaf_hash
from ledger.state import Entry, Versioned, Write, map_key, map_value, value_digest
from ledger.statemap import Node
from ledger.store import Store
from ledger.storetables import FinalBlockRecord, MapRecord
from node.audit.proofcheck import verify_proof
from node.audit.proofs import encode_proof
from node.audit.proving import build_inclusion, build_invoice_proof
from node.chain import Chain
from node.proofs import ChainSource
from node.snapshots.make import make_snapshot
from node.snapshots.restore import join_from
from node.snapshots.sources import FolderSource
from node.statepages import StatePages

RECORDS_A_BLOCK: Final = 500
MEASURED: Final = 50_000
"""Records at the end that are added as a validator adds them: their cost is the cost at the full size."""
PAGES_AT_ONCE: Final = 20_000
SAMPLES: Final = 300
"""Proofs of each kind that are made and verified; the figures are medians."""
BLOCK_MS: Final = 1_000
DATABASE: Final = "ledger.db"


@dataclass(frozen=True, slots=True)
class Seat:
    """A validator of the synthetic network and the key that its votes are signed with."""

    participant: str
    finality: bytes


@dataclass(slots=True)
class _Cost:
    """CPU seconds of one kind of work inside the build."""

    state_map: float = 0.0


class SyntheticLedger:
    """Builds and opens one ledger below a folder."""

    def __init__(self, folder: Path, genesis: bytes, seats: list[Seat], invoice_key: bytes, hospital: str) -> None:
        self._folder = folder
        self._genesis = genesis
        self._start = genesis_state(genesis)
        self._seats = {seat.participant: seat.finality for seat in seats}
        self._invoice_key = invoice_key
        self._hospital = hospital
        self._cost = _Cost()

    def build(self, records: int, tell: Callable[[str, float], None]) -> dict[str, Any]:
        """Store blocks until there are so many records. Gives `build_s` and the cost of the state map."""
        store = self._open_store()
        pages = StatePages(store)
        started = time.perf_counter()
        bulk = max(0, records - MEASURED) // RECORDS_A_BLOCK * RECORDS_A_BLOCK
        try:
            state = self._start
            for first in range(0, records, RECORDS_A_BLOCK):
                if first == bulk and bulk:
                    state = self._with_map(state, pages, bulk, tell)
                count = min(RECORDS_A_BLOCK, records - first)
                state = self._append(store, pages if first >= bulk else None, state, first, count)
                tell("building", (first + RECORDS_A_BLOCK) / records)
        finally:
            store.close()
        spent = time.perf_counter() - started
        cost = self._cost.state_map / (records - bulk) * 1e6
        return {"build_s": round(spent, 1), "state_map_us_per_tx": round(cost, 1)}

    def _with_map(
        self, state: ChainState, pages: StatePages, records: int, tell: Callable[[str, float], None]
    ) -> ChainState:
        """The state after so many records, its map made from its leaves and written in pages."""
        leaves = [key + value for key, value in self._start.state_map.items()]
        for number in range(records):
            height, index = number // RECORDS_A_BLOCK + 1, number % RECORDS_A_BLOCK
            key, value, entry = self._written(number, height, index)
            leaves.append(map_key(key) + map_value(Versioned(1, leaf_hash(entry), value)))
            if index == 0:
                tell("state map", number / records)
        leaves.sort()
        engine = open_engine(self._url)
        rows: list[tuple[bytes, bytes]] = []
        top: list[bytes] = []
        with engine.begin() as connection:
            table = MapStore(engine)

            def emit(path: bytes, _node: Node, page: bytes) -> None:
                rows.append((path, page))
                if path == TOP_PATH:
                    top.append(page)
                if len(rows) >= PAGES_AT_ONCE:
                    table.write(connection, MapRecord(state.height, None, tuple(rows), 0))
                    rows.clear()

            built = build_map(((leaf[:32], leaf[32:]) for leaf in leaves), emit, pages.load)
            table.write(connection, MapRecord(state.height, (built.root, top[0]), tuple(rows), 0))
        engine.dispose()
        return replace(state, state_map=built)

    def measure(self, records: int) -> dict[str, Any]:
        """Restart, then proofs of random records and of invoices that nobody used."""
        started = time.perf_counter()
        store = self._open_store()
        chain = Chain(store, self._genesis)
        restart = time.perf_counter() - started
        try:
            asked = [int.from_bytes(os.urandom(8), "big") % records for _ in range(SAMPLES)]
            inclusion = self._measure(chain, [partial(build_inclusion, record_id=self._record(n)[0]) for n in asked])
            unused = [("medical", "33060124", f"{number:010d}") for number in range(SAMPLES)]
            signed = [(item, bls.sign(self._invoice_key, invoice_message(*item))) for item in unused]
            absence = self._measure(
                chain, [partial(build_invoice_proof, identity=item, signature=signature) for item, signature in signed]
            )
        finally:
            chain.close()
            store.close()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "peak_rss_mb": round(peak),
            "inclusion": inclusion,
            "absence": absence,
            "restart_s": round(restart, 2),
            "disk_mb": round(sum(item.stat().st_size for item in self._folder.iterdir()) / 1e6),
        }

    def measure_join(self) -> dict[str, Any]:
        """A snapshot of the ledger as files, and another node's store made from them with every check."""
        out, data = self._folder / "snapshot", self._folder / "joined"
        started = time.perf_counter()
        manifest = make_snapshot(self._url, self._genesis, out)
        made = time.perf_counter()
        data.mkdir()
        join_from([FolderSource(out)], self._genesis, data)
        joined = time.perf_counter()
        shutil.rmtree(out)
        shutil.rmtree(data)
        return {
            "snapshot_s": round(made - started, 1),
            "join_s": round(joined - made, 1),
            "mb": round(sum(chunk.size for chunk in manifest.chunks) / 1e6),
        }

    def _measure(self, chain: Chain, build: list[Callable[[ChainSource], Any]]) -> dict[str, Any]:
        made, verified, sizes = [], [], []
        for one in build:
            started = time.perf_counter()
            data = encode_proof(one(ChainSource(chain)))
            made.append(time.perf_counter() - started)
            started = time.perf_counter()
            verify_proof(data, self._start)
            verified.append(time.perf_counter() - started)
            sizes.append(len(data))
        return {
            "bytes": max(sizes),
            "prove_ms": round(median(made) * 1000, 3),
            "verify_ms": round(median(verified) * 1000, 3),
        }

    def _append(self, store: Store, pages: StatePages | None, state: ChainState, first: int, count: int) -> ChainState:
        height = state.height + 1
        entries, changes = [state.header_hash], dict[str, Versioned]()
        for number in range(first, first + count):
            key, value, entry = self._written(number, height, number - first)
            entries.append(entry)
            changes[key] = Versioned(1, leaf_hash(entry), value)
        leaves = tuple(leaf_hash(entry) for entry in entries)
        state_map, record = state.state_map, None
        if pages is not None:
            started = time.thread_time()
            state_map = state_map.update({map_key(key): map_value(item) for key, item in changes.items()})
            record = pages.record(state_map, height) if pages.due(len(changes)) else None
            self._cost.state_map += time.thread_time() - started
        after = replace(state, state_map=state_map, frontier=state.frontier.extend(leaves), height=height)
        final = self._final(state, after)
        assert final.header is not None
        row = FinalBlockRecord(
            height=height,
            view=height,
            time_ms=final.time_ms,
            header_hash=final.header_hash,
            block=encode_block(Block(final.header, ())),
            certificate=self._certificate(final),
            receipts=b"[]",
            transactions=(),
            first_leaf=state.frontier.size,
            entries=tuple(entries),
            leaves=leaves,
            peaks=after.frontier.peaks,
            changes=changes,
        )
        store.append(row, state_map=None if record is None else record[0])
        if pages is not None and record is not None:
            pages.remember(*record)
            final = replace(final, state_map=pages.trim(state_map)) if record[0].top else final
        return final

    def _final(self, state: ChainState, after: ChainState) -> ChainState:
        validators = state.validators.hash.hex()
        header = Header(
            network=state.genesis.network,
            epoch=state.validators.epoch,
            height=after.height,
            parent=state.header_hash.hex(),
            time_ms=state.time_ms + BLOCK_MS,
            tx_root=transactions_root(()).hex(),
            log_size=after.frontier.size,
            log_root=after.frontier.root.hex(),
            state_root=after.state_map.root.hex(),
            receipts_root=receipts_root(()).hex(),
            validator_set_hash=validators,
            next_validator_set_hash=validators,
        )
        return replace(after, header=header, header_hash=header_hash(header), time_ms=header.time_ms)

    def _certificate(self, final: ChainState) -> bytes:
        subject = Subject("finalize", final.validators.epoch, final.height, final.height - 1, final.header_hash.hex())
        message = vote_message(final.chain, subject)
        votes = []
        for index in range(final.validators.quorum):
            secret = self._seats[final.validators.validators[index].id]
            signature = bls.sign(secret, message).hex()
            votes.append(Vote(subject.kind, subject.epoch, subject.view, subject.parent_view, subject.digest, index,
                              signature))  # fmt: skip
        return encode_certificate(build_certificate(votes, final.validators))

    def _record(self, number: int) -> tuple[str, str]:
        """(record id, commitment) of the record with this number."""
        commitment = hashlib.sha256(b"record" + number.to_bytes(8, "big")).hexdigest()
        return derive_record_id(self._start.genesis.network, self._hospital, commitment), commitment

    def _written(self, number: int, height: int, index: int) -> tuple[str, bytes, bytes]:
        """(state key, value, log entry) of a record's publication."""
        record_id, commitment = self._record(number)
        value = encode_state(
            RecordState(
                case_id=commitment,
                consent_id=commitment,
                hospital=self._hospital,
                record_type="discharge",
                commitment=commitment,
                ciphertext_digest=commitment,
                padded_size=65_536,
                replaces=None,
                status="published",
                published_ms=self._start.time_ms,
                endorsed_by=None,
                profile=None,
                nullifier=None,
            )
        )
        key = state_key(RecordState, record_id)
        write = Write(key=key, version=1, prev=None, digest=value_digest(value).hex())
        entry = Entry(height, index, 0, commitment, "record.publish", self._hospital, commitment[:32], "ok", (write,))
        return key, value, encode_trusted(entry)

    @property
    def _url(self) -> str:
        return f"sqlite:///{self._folder / DATABASE}"

    def _open_store(self) -> Store:
        return Store(self._url, genesis_hash(self._genesis))
