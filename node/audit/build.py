"""Building a dossier from a node's ledger and what its owner may disclose.

The ledger side is a port (`LedgerSource`), so that this code needs no node. From the claim it follows the chains of
entries back to the first version of every object of the claim's life, and adds the one version of each shared object
(coverage account, loss pool) that another claim wrote just before.
"""

from collections import deque
from typing import Any, Protocol

from msgspec import Struct

from contracts.bodies import Decision
from contracts.catalogue import read_release_text
from contracts.genesis import genesis_hash
from contracts.identifiers import derive_product_hash
from contracts.kinds import prepare
from contracts.membership import FIRST_EPOCH
from contracts.states import ClaimState, read_case, read_claim
from contracts.validators import read_epoch
from ledger.blocks import Header
from ledger.certificates import Certificate
from ledger.encoding import decode, decode_as
from ledger.mapproofs import MapProof
from ledger.merkle import leaf_hash
from ledger.state import Entry, Versioned
from ledger.transactions import decode_transaction
from node.audit.dossier import (
    MAX_ITEMS,
    Anchor,
    CarriedValue,
    DisclosedRecord,
    Dossier,
    EpochEnd,
    Head,
    PaymentOpening,
    PolicyOpening,
    ProvedEntry,
    ProvedHeader,
)
from node.audit.reads import ReadFinder

DECISIONS = frozenset({"claim.adjudicate", "claim.negotiate", "claim.ruling"})
SHARED_FAMILIES = frozenset({"account", "pool"})
"""Objects that many claims write: only the version before each of this claim's writes is carried along."""


class LedgerSource(Protocol):
    """What the builder asks of a node. All answers are of final state at one head."""

    @property
    def genesis_bytes(self) -> bytes: ...
    @property
    def head(self) -> tuple[Header, Certificate]: ...
    def read(self, key: str) -> Versioned | None: ...
    def prove_key(self, key: str) -> MapProof: ...
    def leaf_index(self, leaf: bytes) -> int: ...
    def leaf(self, index: int) -> bytes: ...
    def leaf_path(self, index: int) -> list[bytes]: ...
    def header(self, height: int) -> Header: ...
    def header_leaf_index(self, height: int) -> int: ...
    def transaction(self, height: int, index: int) -> bytes: ...
    def value_written(self, height: int, key: str) -> bytes | None: ...
    def certificate(self, height: int) -> Certificate:
        """The finalization stored with a block that closes its epoch."""
        ...


class Material(Struct, frozen=True):
    """What the writer of the dossier discloses; empty tuples disclose nothing."""

    records: tuple[DisclosedRecord, ...] = ()
    payee: dict[str, Any] | None = None
    policies: tuple[PolicyOpening, ...] = ()
    payments: tuple[PaymentOpening, ...] = ()


class UnknownClaim(Exception):
    """There is no such claim in the final state."""

    code = "CLAIM_UNKNOWN"

    def __init__(self, claim_id: str) -> None:
        super().__init__(f"{self.code}: no claim {claim_id} on this ledger")
        self.detail = f"no claim {claim_id} on this ledger"


def build_dossier(source: LedgerSource, claim_id: str, material: Material) -> Dossier:
    """The dossier of a claim at the source's head. Raises UnknownClaim."""
    claim = read_claim(source.read, claim_id)
    if claim is None:
        raise UnknownClaim(claim_id)
    collector = _Collector(source, claim_id, claim)
    collector.collect()
    header, certificate = source.head
    own = collector.entries
    wanted = sorted({*own, *collector.carried_leaves})
    heights = sorted({own[index].height for index in own} - {header.height})
    return Dossier(
        v=1,
        kind="claim-dossier",
        genesis=decode(source.genesis_bytes),
        claim_id=claim_id,
        insurer=claim.insurer,
        epochs=build_epochs(source, header.epoch),
        anchor=Anchor(header=header, certificate=certificate),
        headers=tuple(_prove_header(source, height) for height in heights),
        entries=tuple(_prove_entry(source, index) for index in wanted),
        transactions=_transactions(source, own),
        carried=tuple(sorted(collector.carried, key=lambda item: (item.key, item.version))),
        heads=tuple(Head(key=key, path=source.prove_key(key)) for key in sorted(collector.heads)),
        records=tuple(sorted(material.records, key=lambda item: item.record_id)),
        payee=material.payee,
        policies=tuple(sorted(material.policies, key=lambda item: item.policy_id)),
        payments=tuple(sorted(material.payments, key=lambda item: item.payout_id)),
        programs=_programs(source, claim_id, own) or None,
    )


class _Collector:
    """Follows chains of entries from the claim's keys."""

    def __init__(self, source: LedgerSource, claim_id: str, claim: ClaimState) -> None:
        self._source = source
        self._finder = ReadFinder(source)
        self._claim_id = claim_id
        self._claim = claim
        self._queue: deque[str] = deque()
        self._seen: set[str] = set()
        self.entries: dict[int, Entry] = {}
        self.carried: list[CarriedValue] = []
        self.carried_leaves: set[int] = set()

    @property
    def heads(self) -> set[str]:
        """Keys whose whole chain was followed."""
        return self._seen

    def collect(self) -> None:
        """Fill `entries`, `carried` and `heads`."""
        for key in self._start_keys():
            self._want(key)
        while self._queue:
            self._follow(self._queue.popleft())
        self._carry_reads()
        self._carry_registry()

    def _start_keys(self) -> list[str]:
        claim = self._claim
        keys = [f"claim/{self._claim_id}", f"case/{claim.case_id}", f"consent/{claim.consent_id}"]
        keys += [f"policy/{item.policy_id}" for item in claim.policies]
        keys += [f"payout/{item}" for item in claim.payouts]
        keys += [f"holds/{self._claim_id}"]
        case = read_case(self._source.read, claim.case_id)
        return keys + ([f"record/{item}" for item in case.records] if case else [])

    def _want(self, key: str) -> None:
        if key not in self._seen and self._source.read(key) is not None:
            self._seen.add(key)
            self._queue.append(key)

    def _follow(self, key: str) -> None:
        found = self._source.read(key)
        leaf = found.entry if found else None
        while leaf is not None and len(self.entries) < MAX_ITEMS:
            index = self._source.leaf_index(leaf)
            entry = decode_as(self._source.leaf(index), Entry)
            if index not in self.entries:
                self.entries[index] = entry
                for write in entry.writes:
                    self._discover(write.key)
            previous = next(write.prev for write in entry.writes if write.key == key)
            leaf = bytes.fromhex(previous) if previous else None

    def _discover(self, key: str) -> None:
        family, _, identifier = key.partition("/")
        if family in SHARED_FAMILIES:
            return
        if family == "claim" and identifier != self._claim_id:
            return
        if family == "payout" and identifier not in self._claim.payouts:
            return
        self._want(key)

    def _carry_reads(self) -> None:
        """What the operations looked at; an entry of a transaction that is executed anyway is executed as well."""
        executed = {entry.tx_id for entry in self.entries.values()}
        joined = True
        while joined:
            joined, foreign = False, []
            for place in sorted(self._finder.find(self.entries)):
                index = self._source.leaf_index(place[2])
                entry = decode_as(self._source.leaf(index), Entry)
                if index not in self.entries and entry.tx_id in executed:
                    self.entries[index], joined = entry, True
                elif index not in self.entries:
                    foreign.append(place)
        for place in foreign:
            self._carry(*place)

    def _carry_registry(self) -> None:
        """Keys that came or ended after genesis, and freezes, of everybody who signed something here."""
        origin = leaf_hash(genesis_hash(self._source.genesis_bytes))
        places = {(entry.height, entry.index) for entry in self.entries.values()}
        for key in sorted({key for place in places for key in _registry_keys(self._source.transaction(*place))}):
            found = self._source.read(key)
            leaf = found.entry if found else origin
            while leaf != origin:
                entry = decode_as(self._source.leaf(self._source.leaf_index(leaf)), Entry)
                write = next(write for write in entry.writes if write.key == key)
                self._carry(key, write.version, leaf)
                leaf = bytes.fromhex(write.prev) if write.prev else origin

    def _carry(self, key: str, version: int, leaf: bytes) -> None:
        if any((item.key, item.version) == (key, version) for item in self.carried):
            return
        index = self._source.leaf_index(leaf)
        entry = decode_as(self._source.leaf(index), Entry)
        value = self._finder.value_of(key, entry, index)
        assert value is not None, "a shared object is never deleted"
        self.carried.append(CarriedValue(key=key, version=version, value=decode(value)))
        self.carried_leaves.add(index)


def _registry_keys(data: bytes) -> set[str]:
    """State keys of the registry that decide whether a transaction's signatures count."""
    signed = decode_transaction(data)
    signers = [(signed.content.author, signed.content.key_id)]
    signers += [(item.participant, item.key_id) for item in signed.content.endorsements]
    for _, item in prepare(signed).steps:
        if isinstance(item, Decision):
            signers += [(one.participant, one.key_id) for part in item.statements for one in part.signatures]
    return {f"key/{key_id}" for _, key_id in signers} | {f"freeze/{participant}" for participant, _ in signers}


def build_epochs(source: LedgerSource, last: int) -> tuple[EpochEnd, ...]:
    """How each epoch before `last` ended."""
    found = []
    for number in range(FIRST_EPOCH + 1, last + 1):
        epoch = read_epoch(source.read, number)
        assert epoch is not None, "a header's epoch is in state"
        height = epoch.from_height - 1
        found.append(EpochEnd(source.header(height), source.certificate(height), epoch.validators))
    return tuple(found)


def _prove_header(source: LedgerSource, height: int) -> ProvedHeader:
    index = source.header_leaf_index(height)
    return ProvedHeader(header=source.header(height), leaf_index=index, path=_hex(source.leaf_path(index)))


def _prove_entry(source: LedgerSource, index: int) -> ProvedEntry:
    entry = decode_as(source.leaf(index), Entry)
    return ProvedEntry(entry=entry, leaf_index=index, path=_hex(source.leaf_path(index)))


def _transactions(source: LedgerSource, entries: dict[int, Entry]) -> tuple[dict[str, Any], ...]:
    places = sorted({(entry.height, entry.index) for entry in entries.values()})
    return tuple(decode(source.transaction(height, index)) for height, index in places)


def _programs(source: LedgerSource, claim_id: str, entries: dict[int, Entry]) -> tuple[str, ...]:
    """Texts of the latest verdict's programs that came with a release, not with the genesis; ascending by hash."""
    known = {item["contract_hash"] for item in decode(source.genesis_bytes)["programs"]}
    found: dict[str, str] = {}
    for _, entry in sorted(entries.items()):
        if entry.kind not in DECISIONS or entry.code != "ok":
            continue
        for _, item in prepare(decode_transaction(source.transaction(entry.height, entry.index))).steps:
            if item.claim_id != claim_id or not item.statements:
                continue
            found = {}
            for statement in (part.statement for part in item.statements):
                product_hash = derive_product_hash(statement.contract_hash, statement.tables_hash)
                text = read_release_text(source.read, product_hash)
                if statement.contract_hash not in known and text is not None:
                    found[statement.contract_hash] = text.program
    return tuple(found[name] for name in sorted(found))


def _hex(hashes: list[bytes]) -> tuple[str, ...]:
    return tuple(item.hex() for item in hashes)
