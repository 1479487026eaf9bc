"""A bank that is spoken to in files: orders wait for a batch, answers are kept, each payout has one standing.

Knows the vault's records of orders, batches and facts; the messages themselves are in node/interop/iso20022, the folder
in bankfolder. Must always hold: an attempt enters one batch and no other, and only while the ledger says that it is
ordered; a batch is on the disk before its file is; what came of an attempt follows from the set of all answers read.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.cases.openings import Opening
from contracts.states import read_payout
from ledger.state import Reader
from node.agents.ports import Booking, PaymentOrder, Rejection
from node.errors import NodeError
from node.interop.iso20022.answers import Answers, EntryFact, Fact, StatusFact, encode_fact, restore_fact
from node.interop.iso20022.errors import MessageError
from node.interop.iso20022.matching import Ordered, Verdict, match_order
from node.interop.iso20022.orders import (
    MAX_BATCH,
    Batch,
    Charset,
    Party,
    Transfer,
    build_batch,
    instruction_id,
    read_party,
    uetr_of,
)
from node.vault import Vault

MAX_OPEN: Final = 20_000
"""Attempts that no answer has ended yet: four full batches. More wait on the ledger, where nothing is lost."""
MAX_FACTS_OF_PAYOUT: Final = 200
"""Facts kept of one payout: a bank that says more about one order says nothing new."""
MAX_FOREIGN: Final = 100
"""Facts about nothing of ours that one reading lists; it counts them all."""
_END_TO_END: Final = re.compile(r"[A-Z2-7]{32}\Z")
_UETR: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_MESSAGE: Final = re.compile(r"CN-[A-Z2-7]{26}\Z")


@dataclass(frozen=True, slots=True)
class BankTerms:
    """How this insurer's bank takes orders. `account` is what a settlement names as the account that paid."""

    debtor: Party
    version: str
    charset: Charset


@dataclass(frozen=True, slots=True)
class Written:
    """One batch: its name, its bytes, and what is in it."""

    message_id: str
    data: bytes
    orders: int
    total_fen: int
    currency: str


class FileBank:
    """The bank port over files. `read` is final state, `now` an ISO 8601 instant, `today` a date, of block time."""

    def __init__(
        self,
        vault: Vault,
        terms: BankTerms,
        *,
        read: Callable[[], Reader],
        name_batch: Callable[[], str],
        now: Callable[[], str],
        today: Callable[[], str],
    ) -> None:
        self._vault = vault
        self._terms = terms
        self._read = read
        self._name_batch = name_batch
        self._now = now
        self._today = today

    # --- the port

    def check_payee(self, payee: Opening) -> str | None:
        """`PAYEE_UNUSABLE` where no line of a payment file can be made of this account."""
        try:
            read_party(payee, self._terms.charset)
        except MessageError:
            return "PAYEE_UNUSABLE"
        return None

    async def pay(self, order: PaymentOrder) -> Booking | Rejection | None:
        """Takes the order into the queue the first time; what the bank said of it from then on."""
        kept = self._vault.get_secret(_order_name(order.payout_id, order.attempt))
        if kept is None:
            self._queue(order)
            return None
        verdict = self._verdict(kept)
        if verdict.standing in ("settled", "rejected"):
            self._close(order.payout_id, order.attempt)
        if verdict.standing == "settled" and verdict.entry is not None:
            entry = verdict.entry
            return Booking(entry.booking_date, entry.bank_reference, self._terms.debtor.account)
        if verdict.standing == "rejected":
            back = verdict.entry
            dated = (back.booking_date, back.bank_reference) if back else ("", "")
            return Rejection(kept["message_id"], verdict.status or "RETURNED", verdict.reasons, *dated)
        return None

    # --- orders out

    def export(self) -> Written | None:
        """Everything that waits, as one batch; None if nothing does. The same batch is never made twice.

        Raises NodeError `queue_order` if an order cannot be written; nothing is changed then.
        """
        with self._vault.transaction():
            waiting = self._waiting()
            if not waiting:
                return None
            message_id = self._name_batch()
            record = {
                "message_id": message_id,
                "created": self._now(),
                "execution_date": self._today(),
                "version": self._terms.version,
                "charset": self._terms.charset,
                "debtor": _encode_party(self._terms.debtor),
                "orders": [[item["payout_id"], item["attempt"]] for item in waiting],
            }
            for item in waiting:
                kept = item | {"message_id": message_id}
                self._vault.put_secret(_order_name(item["payout_id"], item["attempt"]), kept)
            self._vault.put_secret(f"bank/batch/{message_id}", record)
            self._vault.put_secret("bank/unwritten", [*(self._vault.get_secret("bank/unwritten") or []), message_id])
            return self._write(record)

    def unwritten(self) -> list[Written]:
        """Batches whose file was not yet said to be on the disk, for a node that died between the two."""
        return [self.batch(name) for name in self._vault.get_secret("bank/unwritten") or []]

    def keep_written(self, message_id: str) -> None:
        """The batch's file is on the disk: it is not written again by itself."""
        with self._vault.transaction():
            left = [name for name in self._vault.get_secret("bank/unwritten") or [] if name != message_id]
            self._vault.put_secret("bank/unwritten", left)

    def batch(self, message_id: str) -> Written:
        """A batch that was made, with the very same bytes. Raises NodeError `no_batch`."""
        record = self._vault.get_secret(f"bank/batch/{message_id}") if _MESSAGE.match(message_id) else None
        if record is None:
            raise NodeError("no_batch", "this node made no such batch")
        return self._write(record)

    # --- answers in

    def take(self, answers: Answers) -> dict[str, Any]:
        """Keep what concerns our orders: {payouts, foreign, foreign_total}. The same file again changes nothing."""
        found: dict[str, list[Fact]] = {}
        foreign: set[Fact] = set()
        for fact in answers.facts:
            payouts = self._payouts_of(fact)
            for payout_id in payouts:
                found.setdefault(payout_id, []).append(fact)
            if not payouts:
                foreign.add(fact)
        with self._vault.transaction():
            for payout_id, facts in found.items():
                self._keep_facts(payout_id, facts)
        listed = sorted((_show_foreign(fact) for fact in foreign), key=repr)[:MAX_FOREIGN]
        shown = [self.standing(payout_id) for payout_id in sorted(found)]
        return {"payouts": [item for item in shown if item], "foreign": listed, "foreign_total": len(foreign)}

    def open_orders(self) -> list[dict[str, Any]]:
        """The standing of every attempt that no answer has ended, in the order of their orders."""
        shown = [self.standing(payout_id) for payout_id, _ in self._vault.get_secret("bank/open") or []]
        return [item for item in shown if item]

    def standing(self, payout_id: str) -> dict[str, Any] | None:
        """{payout_id, attempt, message_id, standing, code, status, reasons} of the latest attempt, None without."""
        attempt = self._vault.get_secret(f"bank/attempt/{payout_id}")
        if attempt is None:
            return None
        kept = self._vault.need_secret(_order_name(payout_id, attempt))
        verdict = self._verdict(kept)
        return {
            "payout_id": payout_id,
            "attempt": attempt,
            "message_id": kept["message_id"],
            "standing": "waiting" if kept["message_id"] is None and verdict.standing == "unknown" else verdict.standing,
            "code": verdict.code or None,
            "status": verdict.status or None,
            "reasons": list(verdict.reasons),
        }

    # --- inner workings

    def _queue(self, order: PaymentOrder) -> None:
        opened = self._vault.get_secret("bank/open") or []
        if len(opened) >= MAX_OPEN:
            return
        party = read_party(order.payee, self._terms.charset)
        seen = [fact for fact in self._facts(order.payout_id) if isinstance(fact, EntryFact)]
        record = {
            "payout_id": order.payout_id,
            "attempt": order.attempt,
            "end_to_end_id": order.end_to_end_id,
            "amount_fen": order.amount_fen,
            "currency": order.currency,
            "creditor": _encode_party(party),
            "message_id": None,
            "spent": sorted({fact.bank_reference for fact in seen}),
            "doubtful": 2 * sum(fact.direction == "return" for fact in seen) > len(seen),
        }
        uetr = uetr_of(instruction_id(order.end_to_end_id, order.attempt))
        with self._vault.transaction():
            self._vault.put_secret(_order_name(order.payout_id, order.attempt), record)
            self._vault.put_secret(f"bank/attempt/{order.payout_id}", order.attempt)
            self._vault.put_secret(f"bank/name/{order.end_to_end_id}", order.payout_id)
            self._vault.put_secret(f"bank/uetr/{uetr}", order.payout_id)
            self._vault.put_secret("bank/open", [*opened, [order.payout_id, order.attempt]])

    def _waiting(self) -> list[dict[str, Any]]:
        """Orders for the next batch: one currency, at most MAX_BATCH, each ORDERED on the ledger in this attempt."""
        found: list[dict[str, Any]] = []
        for payout_id, attempt in self._vault.get_secret("bank/open") or []:
            item = self._vault.need_secret(_order_name(payout_id, attempt))
            if item["message_id"] is not None or (found and item["currency"] != found[0]["currency"]):
                continue
            if self._is_known_to_bank(item):
                continue
            payout = read_payout(self._read(), payout_id)
            if payout is None or (payout.status, payout.attempt) != ("ORDERED", attempt):
                continue
            found.append(item)
            if len(found) == MAX_BATCH:
                break
        return found

    def _write(self, record: Mapping[str, Any]) -> Written:
        items = [self._vault.need_secret(_order_name(*name)) for name in record["orders"]]
        transfers = tuple(
            Transfer(
                item["end_to_end_id"],
                instruction_id(item["end_to_end_id"], item["attempt"]),
                item["amount_fen"],
                item["currency"],
                Party(*item["creditor"]),
            )
            for item in items
        )
        batch = Batch(
            record["message_id"],
            record["created"],
            record["execution_date"],
            Party(*record["debtor"]),
            transfers,
            record["version"],
            record["charset"],
        )
        total = sum(item.amount_fen for item in transfers)
        return Written(batch.message_id, build_batch(batch), len(transfers), total, transfers[0].currency)

    def _close(self, payout_id: str, attempt: int) -> None:
        opened = self._vault.get_secret("bank/open") or []
        if [payout_id, attempt] in opened:
            self._vault.put_secret("bank/open", [item for item in opened if item != [payout_id, attempt]])

    def _verdict(self, kept: Mapping[str, Any]) -> Verdict:
        name = instruction_id(kept["end_to_end_id"], kept["attempt"])
        order = Ordered(
            payout_id=kept["payout_id"],
            attempt=kept["attempt"],
            message_id=kept["message_id"] or "",
            end_to_end_id=kept["end_to_end_id"],
            instruction_id=name,
            uetr=uetr_of(name),
            amount_fen=kept["amount_fen"],
            currency=kept["currency"],
            spent=frozenset(kept["spent"]),
            doubtful=kept["doubtful"],
        )
        return match_order(order, self._facts(kept["payout_id"]))

    def _facts(self, payout_id: str) -> list[Fact]:
        return [restore_fact(item) for item in self._vault.get_secret(f"bank/facts/{payout_id}") or []]

    def _is_known_to_bank(self, kept: Mapping[str, Any]) -> bool:
        """Whether the bank has spoken of an attempt that did not leave from here: then it left before a restore."""
        own = ("", instruction_id(kept["end_to_end_id"], kept["attempt"]))
        for fact in self._facts(kept["payout_id"]):
            if (
                isinstance(fact, StatusFact)
                and fact.names.instruction_id in own
                and not self._has_batch(fact.message_id)
            ):
                return True
        return self._verdict(kept).standing != "unknown"

    def _has_batch(self, message_id: str) -> bool:
        return bool(_MESSAGE.match(message_id)) and self._vault.get_secret(f"bank/batch/{message_id}") is not None

    def _keep_facts(self, payout_id: str, facts: Iterable[Fact]) -> None:
        kept = self._vault.get_secret(f"bank/facts/{payout_id}") or []
        for fact in facts:
            item = encode_fact(fact)
            if item not in kept and len(kept) < MAX_FACTS_OF_PAYOUT:
                kept.append(item)
        self._vault.put_secret(f"bank/facts/{payout_id}", kept)

    def _payouts_of(self, fact: Fact) -> list[str]:
        """Payouts that a fact speaks of: by its names, or all of a file. What the bank wrote is only looked up."""
        if isinstance(fact, StatusFact) and fact.level != "transaction":
            record = (
                self._vault.get_secret(f"bank/batch/{fact.message_id}") if _MESSAGE.match(fact.message_id) else None
            )
            return [payout_id for payout_id, _ in record["orders"]] if record else []
        end_to_end = fact.names.end_to_end_id or fact.names.instruction_id.rpartition("-")[0]
        found = self._vault.get_secret(f"bank/name/{end_to_end}") if _END_TO_END.match(end_to_end) else None
        if found is None and _UETR.match(fact.names.uetr):
            found = self._vault.get_secret(f"bank/uetr/{fact.names.uetr}")
        return [found] if found else []


def _order_name(payout_id: str, attempt: int) -> str:
    return f"bank/order/{payout_id}/{attempt}"


def _encode_party(party: Party) -> list[str | None]:
    return [party.name, party.account, party.agent_bic, party.agent_clearing]


def _show_foreign(fact: Fact) -> dict[str, Any]:
    """References alone: amounts and dates of other people's payments are nobody's business here."""
    names = fact.names
    about = names.end_to_end_id or names.instruction_id or names.uetr
    if isinstance(fact, StatusFact):
        return {"kind": "status", "names": about or fact.message_id, "reference": fact.message_id}
    return {"kind": fact.direction, "names": about, "reference": fact.bank_reference}
