"""Risk signals: given with their sealed content and the subject's notice, withdrawn; and those of others read.

Knows who may read what: content about an insured goes to whom the consent of the case names, about a hospital to every
insurer, TPA and commission; the notice goes to the subject. Must not know a rule. Must always hold: nothing leaves
before the ledger has the signal, what is not the ledger's commitment is not read, and what is expired, withdrawn or
left unanswered after an appeal is shown to nobody.

    risk/signal/<signal_id>       {body} of a signal of ours
    risk/withdrawal/<signal_id>   {reason} of its withdrawal
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from msgspec import to_builtins

from contracts.errors import InputError
from contracts.receipts import Event
from contracts.riskbodies import Level, RiskSignal, RiskWithdraw
from contracts.riskcontent import (
    MAX_EVIDENCE,
    SignalContent,
    SignalHit,
    SignalNotice,
    check_content,
    commit_content,
    commit_subject,
    derive_signal_id,
)
from contracts.risksignals import SIGNALLERS
from contracts.riskstates import DAY_MS, MAX_SIGNAL_MS, read_signal
from contracts.states import ConsentState, read_claim, read_consent, read_participant
from ledger.crypto import ed25519
from ledger.crypto.hashing import tagged_hex
from ledger.encoding import convert, encode
from node.agents.agent import AGAIN, Agent, Step, done, wait
from node.agents.grading import kept_grade
from node.agents.mail import keepers_of, open_latest, post, seal_parcel
from node.errors import NodeError
from node.vault import StoredParcel, VaultError
from node.vault.worklist import WorkItem

DEFAULT_DAYS: Final = 365
"""A signal that nobody renews is over after a year."""


class SignalRefused(NodeError):
    """No such signal can be given: `not_graded`, `no_hit`, `days`, `no_consent`, `no_hospital`, `not_ours`."""


class SignalAgent(Agent):
    """Gives, withdraws and reads signals. Subjects are signal ids."""

    name: ClassVar[str] = "signals"

    def interests(self, event: Event) -> Iterable[str]:
        return ()

    def arrivals(self, parcel: StoredParcel) -> Iterable[str]:
        if parcel.kind != "signal" or parcel.sender == self.ports.me:
            return ()
        self.vault.work.list_as(self.name, parcel.subject, "received")
        return ()

    def signal_claim(self, claim_id: str, level: Level, days: int = DEFAULT_DAYS) -> str:
        """Insurer: what the risk rules found of a graded claim, about its insured. Returns the signal's id.

        Raises SignalRefused.
        """
        kept = kept_grade(self.ports, claim_id)
        claim = read_claim(self.ports.ledger.final.read, claim_id)
        consent = read_consent(self.ports.ledger.final.read, claim.consent_id) if claim else None
        if kept is None or claim is None or claim.insurer != self.ports.me:
            raise SignalRefused("not_graded", "this node graded no such claim of its own")
        if consent is None or consent.revoked_ms is not None or self.ports.ledger.final.time_ms >= consent.exp_ms:
            raise SignalRefused("no_consent", "the consent is no longer in force: nothing about its customer leaves")
        content = self._build("insured", claim.consent_id, kept["assessment"], level, days)
        readers = [item.participant for item in consent.grantees if self._may_read(item.participant)]
        return self._give(content, readers, claim.case_id, consent)

    def signal_hospital(self, hospital: str, assessment: dict[str, Any], level: Level, days: int = DEFAULT_DAYS) -> str:
        """Commission: what RK04 and RK11 found of a hospital (`as_document`); the signal's id. Raises SignalRefused."""
        member = read_participant(self.ports.ledger.final.read, hospital)
        if member is None or "hospital" not in member.roles:
            raise SignalRefused("no_hospital", "no hospital of the network has this id")
        content = self._build("hospital", hospital, assessment, level, days)
        readers = [item.id for item in self.ports.ledger.final.genesis.participants if self._may_read(item.id)]
        return self._give(content, readers, None, None)

    def withdraw(self, signal_id: str, reason: str) -> None:
        """Take back a signal of ours; the reason stays here, the ledger gets its commitment. Raises SignalRefused."""
        if self.vault.get_secret(f"risk/signal/{signal_id}") is None:
            raise SignalRefused("not_ours", "this node gave no such signal")
        self.vault.put_secret(f"risk/withdrawal/{signal_id}", {"reason": reason, "salt": self.ports.salt()})
        self.vault.work.wake(self.name, signal_id)

    def signals(self, *, after: int = 0, limit: int = 100) -> dict[str, Any]:
        """{items, next, more} of what others signalled and still counts: {signal_id, author, status, content}."""
        rows = self.vault.work.listed(self.name, statuses=("received",), after=after, limit=limit)
        found = [self._read(signal_id) for _, signal_id, _ in rows]
        following = rows[-1][0] if rows else after
        return {"items": [item for item in found if item], "next": following, "more": len(rows) == limit}

    async def step(self, item: WorkItem) -> Step:
        kept = self.vault.get_secret(f"risk/signal/{item.subject}")
        if kept is None:
            return done("not_ours")
        if read_signal(self.ports.ledger.final.read, item.subject) is None:
            return await self._submit(item.subject, "risk.signal", convert(kept["body"], RiskSignal))
        self._release(item.subject)
        taken_back = self.vault.get_secret(f"risk/withdrawal/{item.subject}")
        signal = read_signal(self.ports.ledger.final.read, item.subject)
        if taken_back is None or signal is None or signal.status == "WITHDRAWN":
            return done("signalled" if taken_back is None else "withdrawn")
        body = RiskWithdraw(item.subject, tagged_hex("risk-withdrawal", encode(taken_back)))
        return await self._submit(item.subject, "risk.withdraw", body)

    # --- inner workings

    async def _submit(self, signal_id: str, kind: str, body: RiskSignal | RiskWithdraw) -> Step:
        key = f"{kind}/{signal_id}"
        progress = await self.submitter.submit_once(key, signal_id, kind, lambda: body)
        if progress.receipt is None:
            return wait(progress.code)
        self.submitter.settle(key)
        if progress.receipt.code == "ok":
            return AGAIN
        for name in ("signal", "risk-notice") if kind == "risk.signal" else ():
            self.vault.outbox.cancel(name, signal_id)
        return done(progress.receipt.code)

    def _release(self, signal_id: str) -> None:
        for kind in ("signal", "risk-notice"):
            self.vault.outbox.release(kind, signal_id)

    def _build(self, kind: Any, subject: str, assessment: dict[str, Any], level: Level, days: int) -> SignalContent:
        hits = [item for item in assessment["results"] if item["hit"]]
        if not hits:
            raise SignalRefused("no_hit", "no rule found anything")
        if not 0 < days * DAY_MS <= MAX_SIGNAL_MS - DAY_MS:
            raise SignalRefused("days", "a signal lasts at least a day and less than two years")
        evidence = sorted({name for item in hits for name in item["evidence"]})
        return SignalContent(
            v=1,
            salt=self.ports.salt(),
            subject_kind=kind,
            subject=subject,
            subject_salt=self.ports.salt(),
            level=level,
            grade=assessment["grade"],
            hits=tuple(SignalHit(item["rule"], item["severity"]) for item in hits[:24]),
            reason_classes=tuple(assessment["reason_classes"]),
            evidence=tuple(name for name in evidence if len(name) <= 64)[:MAX_EVIDENCE],
            parameters_version=assessment["parameters"]["version"],
            expires_ms=self.ports.ledger.final.time_ms + days * DAY_MS,
        )

    def _give(
        self, content: SignalContent, readers: Iterable[str], case_id: str | None, consent: ConsentState | None
    ) -> str:
        """Seal content and notice, keep them as owed but held, and begin; the ledger's word lets them go."""
        digest = commit_content(content)
        signal_id = derive_signal_id(self.ports.network, self.ports.me, digest)
        appeal_seed = self.ports.salt()
        notice = SignalNotice(
            v=1,
            signal_id=signal_id,
            level=content.level,
            reason_classes=content.reason_classes,
            expires_ms=content.expires_ms,
            appeal_seed=appeal_seed,
            subject_salt=content.subject_salt,
        )
        told = keepers_of(consent) if consent else [content.subject]
        mailbox, keys = (consent.mailbox_key, []) if consent else (None, told)
        with self.vault.transaction():
            sealed = seal_parcel(self.ports, "signal", signal_id, to_builtins(content), readers)
            shown = seal_parcel(self.ports, "risk-notice", signal_id, to_builtins(notice), keys, mailbox)
            digests = (
                post(self.ports, "signal", signal_id, case_id, sealed, readers, held=True),
                post(self.ports, "risk-notice", signal_id, case_id, shown, told, held=True),
            )
            body = RiskSignal(
                subject_commit=commit_subject(content.subject, content.subject_salt),
                content_commit=digest,
                level=content.level,
                expires_ms=content.expires_ms,
                appeal_key=ed25519.public_key(bytes.fromhex(appeal_seed)).hex(),
                delivered=digests,
            )
            self.vault.put_secret(f"risk/signal/{signal_id}", {"body": to_builtins(body)})
            self.vault.work.wake(self.name, signal_id)
        return signal_id

    def _may_read(self, participant: str) -> bool:
        member = read_participant(self.ports.ledger.final.read, participant)
        return member is not None and participant != self.ports.me and not SIGNALLERS.isdisjoint(member.roles)

    def _read(self, signal_id: str) -> dict[str, Any] | None:
        """A signal that counts and whose content is the ledger's; one about an insured under the case's own consent."""
        final = self.ports.ledger.final
        signal = read_signal(final.read, signal_id)
        if signal is None or not signal.counts(final.time_ms):
            return None
        try:
            opened = open_latest(self.ports, "signal", signal_id, sender=signal.author)
            content = check_content(opened, signal.subject_commit, signal.content_commit)
        except (VaultError, InputError):
            return None
        if content.subject_kind == "insured" and not self._is_consented(signal_id, content.subject):
            return None
        shown = {"signal_id": signal_id, "author": signal.author, "status": signal.status}
        return {**shown, "content": to_builtins(content)}

    def _is_consented(self, signal_id: str, consent_id: str) -> bool:
        consent = read_consent(self.ports.ledger.final.read, consent_id)
        if consent is None or consent.revoked_ms is not None:
            return False
        return any(parcel.case_id is not None for parcel in self.vault.parcels("signal", signal_id))
