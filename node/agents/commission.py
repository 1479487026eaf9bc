"""The commission's agent: checks every record of a case, endorses it, locks invoices, completes the evidence.

Works case by case: what was published under a consent that names this commission for endorsement, as soon as its
parcel is here. Must always hold: a nullifier is signed with the one key that code and number name, a record is
endorsed only as it was committed to, and a case is completed when the discharge and as many invoices as it names
are accepted, and nothing published is left unjudged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from contracts.bodies import EvidenceCompletion, RecordEndorse, RecordEndorsement
from contracts.cases.documents import Document, Record, invoice_count
from contracts.cases.documents import read_record as open_record
from contracts.cases.errors import CaseError
from contracts.cases.evidence import date_of, invoice_identity, judge_record, profile_of
from contracts.cases.pools import open_pool, whole_losses
from contracts.commitments import commit
from contracts.errors import InputError
from contracts.identifiers import derive_nullifier, invoice_message
from contracts.invoicekeys import Identity, LockKey, find_lock_key
from contracts.receipts import Event, Receipt
from contracts.states import (
    ConsentState,
    RecordState,
    decode_state,
    read_case,
    read_claim,
    read_consent,
    read_record,
)
from ledger.crypto import bls
from ledger.errors import DecodeError, StoreError
from ledger.transactions import decode_transaction
from node.agents.agent import AGAIN, Agent, Step, done, wait
from node.agents.completing import ASKS_AGAIN, deliver_pool, is_asked_again, keep_pool, next_version
from node.agents.invoicebook import InvoiceBook
from node.agents.mail import open_latest, post, seal_parcel
from node.agents.submitting import RECEIPT_PRUNED
from node.errors import NodeError
from node.vault import StoredParcel
from node.vault.worklist import WorkItem

REJECTED: Final = "EVIDENCE_INVALID"
ACCEPTED: Final = "ok"
FINAL_REFUSALS: Final = frozenset({"DUPLICATE_OF", "REVERSES_UNKNOWN", "REVERSES_USED"})
"""Refusals by the ledger that say something about the record itself; any other one is tried again."""
OTHER_COMMISSION: Final = "OTHER_COMMISSION"
"""Fault of an invoice whose code names the region of another commission: only that one can lock it."""
PULL_AFTER: Final = 2
"""Times a case was put off for a parcel before it is asked for: the hospital sends by itself."""


class NoInvoiceKey(NodeError):
    """This commission holds no key for the invoice's region and issue year: an operator has to add one."""


@dataclass(frozen=True, slots=True)
class Nullifier:
    """An invoice's lock, and the unique signature that proves where it comes from."""

    nullifier: str
    signature: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One record with this commission's word on it, on the ledger already or about to be."""

    record: Record
    state: RecordState
    faults: tuple[str, ...]
    lock: Nullifier | None
    warnings: tuple[str, ...] = ()
    """Rules that it breaks and that its region did not yet enforce on its day of issue."""

    @property
    def accepted(self) -> bool:
        return not self.faults


class CommissionAgent(Agent):
    """Endorses records and completes cases. Subjects are case ids."""

    name: ClassVar[str] = "commission"

    @property
    def book(self) -> InvoiceBook:
        """Warnings, and counts of faults by hospital and month."""
        return InvoiceBook(self.ports)

    def interests(self, event: Event) -> Iterable[str]:
        if event.topic in ASKS_AGAIN:
            claim = read_claim(self.ports.ledger.final.read, event.subject)
            return (claim.case_id,) if claim is not None and self._endorses(claim.consent_id) else ()
        if event.topic != "record.published":
            return ()
        record = read_record(self.ports.ledger.final.read, event.subject)
        if record is None or not self._endorses(record.consent_id):
            return ()
        self._add_record(record.case_id, event.subject)
        return (record.case_id,)

    def open_in_state(self) -> Iterable[str]:
        """Cases with a record under a consent that names us for endorsement, unless their evidence is complete and
        nobody asks for more."""
        for key, item in self.ports.ledger.state_family(RecordState.FAMILY):
            record = decode_state(item.value, RecordState) if item.value is not None else None
            if record is None or not self._endorses(record.consent_id):
                continue
            case = read_case(self.ports.ledger.final.read, record.case_id)
            if case is not None and (case.status != "COMPLETE" or is_asked_again(self.ports.ledger.final.read, case)):
                self._add_record(record.case_id, key.partition("/")[2])
                yield record.case_id

    def _add_record(self, case_id: str, record_id: str) -> None:
        name = f"case-records/{case_id}"
        known = self.vault.get_secret(name) or []
        if record_id not in known:
            self.vault.put_secret(name, [*known, record_id])
        self.vault.work.list_as(self.name, case_id, "checking")

    def arrivals(self, parcel: StoredParcel) -> Iterable[str]:
        is_ours = parcel.kind == "record" and parcel.case_id is not None
        return (parcel.case_id,) if is_ours and parcel.case_id is not None else ()

    def nullifier_of(self, invoice: Document) -> Nullifier:
        """The lock of an invoice. Raises NoInvoiceKey."""
        return self.lock_of(invoice_identity(invoice))

    def lock_of(self, identity: Identity) -> Nullifier:
        """The lock of an invoice of this identity, for endorsement and for proofs. Raises NoInvoiceKey."""
        known = self._lock_key(identity)
        if known is None or known.participant != self.ports.me:
            holder = f"that of {known.participant}" if known else "no commission's"
            raise NoInvoiceKey("no_invoice_key", f"the code's region and year are {holder}, none of {self.ports.me}")
        key = self.ports.keys.invoice.get((known.region, known.year))
        if key is None or key.public.hex() != known.public_key:
            raise NoInvoiceKey("no_invoice_key", f"the key file of {known.region} {known.year} is missing or another")
        signature = bls.sign(key.secret, invoice_message(*identity))
        return Nullifier(derive_nullifier(signature), signature.hex())

    def _lock_key(self, identity: Identity) -> LockKey | None:
        return find_lock_key(self.ports.ledger.final.genesis, identity)

    def list_cases(self, *, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Cases of this commission: {position, case_id, status, codes by record}."""
        rows = self.vault.work.listed(self.name, after=after, limit=limit)
        return [
            {"position": place, "case_id": case, "status": status, "codes": self._refused(case)}
            for place, case, status in rows
        ]

    async def step(self, item: WorkItem) -> Step:
        case = read_case(self.ports.ledger.final.read, item.subject)
        if case is None:
            return wait("no_case")
        if case.status == "COMPLETE":
            self._take_receipt(item.subject)
            if not (is_asked_again(self.ports.ledger.final.read, case) and self._has_unjudged(item.subject)):
                code = deliver_pool(self.ports, item.subject, case)
                self.vault.work.list_as(self.name, item.subject, "complete")
                return done(code)
        consent = read_consent(self.ports.ledger.final.read, case.consent_id)
        if consent is None or not self._endorses(case.consent_id):
            return done("not_ours")
        if consent.revoked_ms is not None:
            self.vault.work.list_as(self.name, item.subject, "revoked")
            return done("CONSENT_REVOKED")
        return await self._endorse(item, consent)

    def _has_unjudged(self, case_id: str) -> bool:
        refused = self._refused(case_id)
        names = [name for name in self.vault.get_secret(f"case-records/{case_id}") or [] if name not in refused]
        states = [read_record(self.ports.ledger.final.read, name) for name in names]
        return any(state is not None and state.status == "PUBLISHED" for state in states)

    async def _endorse(self, item: WorkItem, consent: ConsentState) -> Step:
        key = f"endorse/{item.subject}"
        if self.vault.work.submission(key) is None:
            judged, missing = self._judge_all(item.subject)
            if missing and item.attempts >= PULL_AFTER:
                await self._pull(missing)
            if not any(entry.state.status == "PUBLISHED" for entry in judged) and not self._is_complete(
                judged, missing
            ):
                return wait("missing_parcel") if missing else done("waiting_for_records")
        progress = await self.submitter.submit_once(
            key, item.subject, "record.endorse", lambda: self._build(item.subject, consent)
        )
        if progress.code == RECEIPT_PRUNED:
            return self._settle_from_state(item.subject)
        if progress.receipt is None:
            return wait(progress.code)
        return self._settle(item.subject, key, progress.receipt)

    # --- judging

    def _judge_all(self, case_id: str) -> tuple[list[Judged], list[tuple[str, RecordState]]]:
        """(records that are judged or can be, records whose parcel is not here). Refused ones are left out."""
        judged, missing = [], []
        refused = self._refused(case_id)
        for record_id in self.vault.get_secret(f"case-records/{case_id}") or []:
            state = read_record(self.ports.ledger.final.read, record_id)
            if state is None or state.status == "REJECTED" or record_id in refused:
                continue
            content = open_latest(self.ports, "record", record_id, sender=state.hospital)
            if content is None:
                missing.append((record_id, state))
            else:
                judged.append(self._judge(record_id, state, content))
        return judged, missing

    def _judge(self, record_id: str, state: RecordState, content: Any) -> Judged:
        try:
            record = open_record(record_id, content)
            if record.commitment != state.commitment or record.record_type != state.record_type:
                return Judged(record, state, ("COMMITMENT",), None)
        except (CaseError, InputError, DecodeError, ValueError):
            return Judged(Record(record_id, state.record_type, {}, ""), state, ("DOCUMENT_FORM",), None)
        if state.status == "ACCEPTED":
            return Judged(record, state, (), None)
        final = self.ports.ledger.final
        as_of = date_of(final.time_ms, final.genesis.parameters.utc_offset_minutes)
        found, warnings = judge_record(state.record_type, record.document, as_of, self._known(record))
        faults = tuple(found)
        if state.record_type == "invoice" and not faults and self._is_anothers(record.document):
            faults = (OTHER_COMMISSION,)
        lock = self.nullifier_of(record.document) if state.record_type == "invoice" and not faults else None
        return Judged(record, state, faults, lock, tuple(warnings))

    def _is_anothers(self, invoice: Document) -> bool:
        known = self._lock_key(invoice_identity(invoice))
        return known is not None and known.participant != self.ports.me

    def _known(self, record: Record) -> list[Document]:
        """The original of a red invoice, if this commission endorsed it."""
        original = self._original_lock(record.document)
        kept = self.vault.get_secret(f"invoice/{original.nullifier}") if original else None
        return [kept["document"]] if kept else []

    def _original_lock(self, invoice: Document) -> Nullifier | None:
        """The lock of what a red invoice reverses, if this commission made it: code and number tell it."""
        reverses = invoice.get("reverses")
        if invoice.get("kind") != "red" or not isinstance(reverses, dict):
            return None
        named = {**invoice, "code": reverses.get("code"), "number": reverses.get("number")}
        try:
            lock = self.nullifier_of(named)
        except NoInvoiceKey:
            return None
        return lock if self.vault.get_secret(f"invoice/{lock.nullifier}") is not None else None

    def _is_complete(self, judged: Sequence[Judged], missing: Sequence[Any]) -> bool:
        accepted = _current(judged)
        discharges = [item.record.document for item in accepted if item.record.record_type == "discharge"]
        invoices = [item for item in accepted if item.record.record_type == "invoice"]
        if missing or not discharges or not invoices:
            return False
        return len(invoices) >= max(invoice_count(document) for document in discharges)

    # --- the transaction

    def _build(self, case_id: str, consent: ConsentState) -> RecordEndorse:
        """Endorsements of everything that is not judged yet, and the completion if that makes the case complete."""
        judged, missing = self._judge_all(case_id)
        open_ones = [item for item in judged if item.state.status == "PUBLISHED"]
        completions = (self._build_completion(case_id, consent, judged),) if self._is_complete(judged, missing) else ()
        with self.vault.transaction():
            for item in open_ones:
                if item.lock is not None:
                    kept = {"document": item.record.document, "record_id": item.record.record_id}
                    self.vault.put_secret(
                        f"endorsing/{item.record.record_id}", {**kept, "signature": item.lock.signature}
                    )
            faults = {item.record.record_id: list(item.faults + item.warnings) for item in open_ones if item.faults}
            tolerated = {item.record.record_id: list(item.warnings) for item in open_ones if item.accepted}
            self.book.keep_warnings(case_id, {name: codes for name, codes in tolerated.items() if codes})
            self.vault.put_secret(f"faults/{case_id}", {**(self.vault.get_secret(f"faults/{case_id}") or {}), **faults})
        return RecordEndorse(
            endorsements=tuple(self._build_endorsement(item) for item in open_ones), completions=completions
        )

    def _build_endorsement(self, item: Judged) -> RecordEndorsement:
        original = self._original_lock(item.record.document) if item.lock else None
        return RecordEndorsement(
            record_id=item.record.record_id,
            commitment=item.state.commitment,
            profile=profile_of(item.state.record_type, item.record.document),
            verdict="accepted" if item.accepted else "rejected",
            code=ACCEPTED if item.accepted else REJECTED,
            nullifier=item.lock.nullifier if item.lock else None,
            reverses=original.nullifier if original else None,
        )

    def _build_completion(self, case_id: str, consent: ConsentState, judged: Sequence[Judged]) -> EvidenceCompletion:
        accepted = _current(judged)
        version = next_version(self.ports.ledger.final.read, case_id)
        pool = open_pool(case_id, version, whole_losses(item.record for item in accepted), self.ports.salt())
        keep_pool(self.ports, pool)
        return EvidenceCompletion(
            case_id=case_id,
            records=tuple(sorted(item.record.record_id for item in accepted)),
            pool_commit=commit("pool-version", pool),
        )

    def _settle(self, case_id: str, key: str, receipt: Receipt) -> Step:
        """Keep what the ledger refused, tell the hospital why, and look at the case again."""
        submission = self.vault.work.submission(key)
        assert submission is not None, "a receipt belongs to a submission"
        codes = [result.code for result in receipt.results]
        with self.vault.transaction():
            for record_id, code in zip(_endorsed_in(submission.data), codes, strict=False):
                self._keep_result(case_id, record_id, code)
            self.submitter.settle(key)
        return AGAIN if FINAL_REFUSALS.union({ACCEPTED}).intersection(codes) else wait(receipt.code)

    def _take_receipt(self, case_id: str) -> None:
        """The transaction that completed the case endorsed records too: what came of those is kept before the pool
        leaves with their locks."""
        key = f"endorse/{case_id}"
        submission = self.vault.work.submission(key)
        try:
            outcome = self.ports.ledger.transaction(submission.tx_id) if submission else None
        except StoreError as error:
            if error.code != "pruned":
                raise
            self.submitter.settle(key)
            self._settle_from_state(case_id)
            return
        if outcome is not None:
            self._settle(case_id, key, outcome.receipt)

    def _settle_from_state(self, case_id: str) -> Step:
        """What came of our endorsements, as the records say: their receipts are in blocks that are not here."""
        with self.vault.transaction():
            for record_id in self.vault.get_secret(f"case-records/{case_id}") or []:
                if record_id not in self._refused(case_id):
                    self._keep_result(case_id, record_id, ACCEPTED)
        return AGAIN

    def _keep_result(self, case_id: str, record_id: str, code: str) -> None:
        state = read_record(self.ports.ledger.final.read, record_id)
        if code == "ok" and state is not None and state.status == "ACCEPTED":
            kept = self.vault.get_secret(f"endorsing/{record_id}")
            if kept is not None and state.nullifier is not None:
                self.vault.put_secret(f"invoice/{state.nullifier}", kept)
            warnings = self.book.warnings(case_id).get(record_id, [])
            is_new = self.book.count(case_id, record_id, state, "warned" if warnings else "accepted", warnings)
            if is_new and warnings:
                self._post_verdict(case_id, record_id, state, warnings)
            return
        if state is None or (state.status != "REJECTED" and code not in FINAL_REFUSALS):
            return
        faults = (self.vault.get_secret(f"faults/{case_id}") or {}).get(record_id, [])
        codes = sorted({*faults, *([] if code == "ok" else [code])})
        refused = self.vault.get_secret(f"refused/{case_id}") or {}
        self.vault.put_secret(f"refused/{case_id}", {**refused, record_id: codes})
        self.vault.work.list_as(self.name, case_id, "refused")
        self.book.count(case_id, record_id, state, "refused", codes)
        self._post_verdict(case_id, record_id, state, codes)

    def _post_verdict(self, case_id: str, record_id: str, state: RecordState, codes: list[str]) -> None:
        """Tell the hospital, and nobody else, what its record breaks."""
        content = {"record_id": record_id, "codes": codes}
        envelope = seal_parcel(self.ports, "verdict", record_id, content, [state.hospital])
        post(self.ports, "verdict", record_id, case_id, envelope, [state.hospital])

    async def _pull(self, missing: Sequence[tuple[str, RecordState]]) -> None:
        for record_id, state in missing:
            await self.ports.delivery.pull(state.hospital, "record", record_id)

    def _endorses(self, consent_id: str) -> bool:
        consent = read_consent(self.ports.ledger.final.read, consent_id)
        return consent is not None and consent.grants(self.ports.me, "endorse")

    def _refused(self, case_id: str) -> dict[str, list[str]]:
        return dict(self.vault.get_secret(f"refused/{case_id}") or {})


def _current(judged: Sequence[Judged]) -> list[Judged]:
    """The accepted records that no other accepted one replaces."""
    accepted = [item for item in judged if item.accepted]
    replaced = {item.state.replaces for item in accepted}
    return [item for item in accepted if item.record.record_id not in replaced]


def _endorsed_in(data: bytes) -> list[str]:
    """Record ids of the endorsements in a transaction of ours, in the order of its operations."""
    return [str(item["record_id"]) for item in decode_transaction(data).content.body["endorsements"]]
