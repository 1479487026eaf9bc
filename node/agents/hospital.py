"""The hospital's agent: documents become records on the ledger, then parcels to those whom the consent names.

A publication is made durable first: documents, secrets, envelopes and the signed transaction. Its parcels are held
back until the ledger took the record, and never leave when it refused: without a consent in force nothing leaves the
house.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from contracts.bodies import PublishedRecord, RecordPublish
from contracts.cases.documents import DATA_CLASSES, Document, encode_record
from contracts.commitments import commit_document
from contracts.consentforce import list_readers
from contracts.errors import InputError
from contracts.identifiers import derive_record_id
from contracts.receipts import Event, Receipt
from contracts.states import ConsentState, read_consent, read_record
from ledger.crypto.envelopes import ciphertext_digest
from ledger.errors import DecodeError
from node.agents.agent import Agent, Step, done, wait
from node.agents.mail import post, read_parcels, seal_parcel
from node.agents.messages import VerdictMessage
from node.errors import NodeError
from node.vault import StoredParcel
from node.vault.worklist import WorkItem

MAX_DOCUMENTS: Final = 100
"""Documents of one publication: one transaction, below the ledger's bound of 200 operations."""


class PublicationRefused(NodeError):
    """The documents cannot be published: `CONSENT_MISSING`, `not_listed`, `record_type`, `document`, `too_many`,
    `rejected`."""


class HospitalAgent(Agent):
    """Publishes, delivers, and hears why a record was rejected."""

    name: ClassVar[str] = "hospital"

    async def publish_records(
        self,
        consent_id: str,
        documents: Sequence[tuple[str, Document]],
        *,
        replaces: str | None = None,
        case_id: str | None = None,
    ) -> tuple[str, list[str]]:
        """Publish documents of one case: (record type, document) each. Returns (transaction id, record ids).

        Durable on return; delivery follows by itself. `replaces` names the record that the only document replaces,
        `case_id` the case of a standing consent. Raises PublicationRefused.
        """
        consent = self._require_consent(consent_id)
        opened = consent.case_id or case_id
        if opened is None or case_id not in (None, opened):
            raise PublicationRefused("CASE_MISMATCH", "name the case under a standing consent, and under no other")
        if not 0 < len(documents) <= MAX_DOCUMENTS:
            raise PublicationRefused("too_many", f"{len(documents)} documents; 1 to {MAX_DOCUMENTS} at a time")
        with self.vault.transaction():
            records = [self._prepare(consent_id, consent, opened, kind, item, replaces) for kind, item in documents]
            record_ids = [self._record_id(record) for record in records]
            publication = record_ids[0]
            self.vault.put_secret(f"publication/{publication}", {"records": record_ids, "codes": None})
            self.vault.work.wake(self.name, publication)
        body = RecordPublish(records=tuple(records))
        key = f"publish/{publication}"
        progress = await self.submitter.submit_once(key, publication, "record.publish", lambda: body)
        submission = self.vault.work.submission(key)
        if submission is None:
            raise PublicationRefused("rejected", f"this node did not take the transaction: {progress.code}")
        return submission.tx_id, record_ids

    def publication_codes(self, record_id: str) -> dict[str, str] | None:
        """Record id -> receipt code of a finished publication named by its first record; None until then."""
        kept = self.vault.get_secret(f"publication/{record_id}")
        return dict(kept["codes"]) if kept and kept["codes"] is not None else None

    def rejection(self, record_id: str) -> list[str]:
        """The codes with which a commission rejected a record (V-rules, `DUPLICATE_OF`); empty if none came."""
        return [] if self._is_accepted(record_id) else self._verdict(record_id)

    def warnings(self, record_id: str) -> list[str]:
        """The rules that an accepted invoice breaks and its region still let pass; empty if none came."""
        return self._verdict(record_id) if self._is_accepted(record_id) else []

    def interests(self, event: Event) -> Iterable[str]:
        return ()

    def arrivals(self, parcel: StoredParcel) -> Iterable[str]:
        return (parcel.subject,) if parcel.kind == "verdict" else ()

    async def step(self, item: WorkItem) -> Step:
        self._keep_verdict(item.subject)
        publication = self.vault.get_secret(f"publication/{item.subject}")
        if publication is None or publication["codes"] is not None:
            return done("published")
        return await self._follow(item.subject, publication)

    async def _follow(self, subject: str, publication: dict[str, Any]) -> Step:
        key = f"publish/{subject}"
        if self.vault.work.submission(key) is None:
            return self._conclude(subject, publication, None)
        progress = await self.submitter.submit_once(key, subject, "record.publish", lambda: self._unsigned(subject))
        if progress.receipt is None:
            return wait(progress.code)
        return self._conclude(subject, publication, progress.receipt)

    def _conclude(self, subject: str, publication: dict[str, Any], receipt: Receipt | None) -> Step:
        """Release the parcels of records that the ledger took; the others never leave."""
        codes = {}
        with self.vault.transaction():
            for record_id in publication["records"]:
                state = read_record(self.ports.ledger.final.read, record_id)
                if state is not None and state.hospital == self.ports.me:
                    codes[record_id] = "ok"
                    self.vault.outbox.release("record", record_id)
                else:
                    codes[record_id] = _code_of(receipt, publication["records"].index(record_id))
                    self.vault.outbox.cancel("record", record_id)
            self.vault.put_secret(f"publication/{subject}", {**publication, "codes": codes})
            self.submitter.settle(f"publish/{subject}")
        return done("published" if set(codes.values()) == {"ok"} else "refused")

    def _prepare(
        self, consent_id: str, consent: ConsentState, case_id: str, kind: str, document: Document, replaces: str | None
    ) -> PublishedRecord:
        if kind not in DATA_CLASSES:
            raise PublicationRefused("record_type", f"{kind} is none of {', '.join(DATA_CLASSES)}")
        secret = self.ports.salt()
        try:
            commitment = commit_document(document, secret)
        except (InputError, DecodeError) as error:
            raise PublicationRefused("document", f"the {kind} document cannot be committed to: {error.code}") from None
        record_id = derive_record_id(self.ports.network, self.ports.me, commitment)
        readers = list_readers(consent, DATA_CLASSES[kind], self.ports.ledger.final.time_ms)
        plain = encode_record(kind, case_id, consent_id, document, secret)
        envelope = seal_parcel(self.ports, "record", record_id, plain, readers)
        post(self.ports, "record", record_id, case_id, envelope, readers, held=True)
        return PublishedRecord(
            case_id=case_id,
            consent_id=consent_id,
            record_type=kind,  # type: ignore[arg-type]
            commitment=commitment,
            ciphertext_digest=ciphertext_digest(envelope),
            padded_size=_padded_size(len(envelope.ciphertext)),
            replaces=replaces,
        )

    def _record_id(self, record: PublishedRecord) -> str:
        return derive_record_id(self.ports.network, self.ports.me, record.commitment)

    def _require_consent(self, consent_id: str) -> ConsentState:
        consent = read_consent(self.ports.ledger.final.read, consent_id)
        if consent is None:
            raise PublicationRefused("CONSENT_MISSING", f"no consent {consent_id} on this ledger")
        if self.ports.me not in consent.hospitals:
            raise PublicationRefused("not_listed", "the consent does not name this hospital")
        return consent

    def _verdict(self, record_id: str) -> list[str]:
        return list(self.vault.get_secret(f"rejection/{record_id}") or [])

    def _is_accepted(self, record_id: str) -> bool:
        state = read_record(self.ports.ledger.final.read, record_id)
        return state is not None and state.status == "ACCEPTED"

    def _keep_verdict(self, record_id: str) -> None:
        for _, verdict in read_parcels(self.ports, "verdict", record_id, VerdictMessage):
            self.vault.put_secret(f"rejection/{record_id}", sorted(verdict.codes))
            return

    def _unsigned(self, subject: str) -> Any:
        raise NodeError("expired", f"publication {subject} was never included; publish it again")


def _code_of(receipt: Receipt | None, position: int) -> str:
    if receipt is None:
        return "NOT_SUBMITTED"
    return receipt.results[position].code if position < len(receipt.results) else receipt.code


def _padded_size(ciphertext: int) -> int:
    """The public size class: content is padded to a power of two, the tag of 16 bytes is not counted."""
    return ciphertext - 16
