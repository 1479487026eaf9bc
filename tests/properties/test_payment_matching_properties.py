"""Whatever is lost, late, repeated or out of order between insurer and bank, no payout is ordered twice at once.

A small world: an insurer that orders as the ledger lets it (another attempt only after a verdict `rejected`), a bank
that takes each file once and books, rejects or returns, and a postman that loses, repeats and shuffles what it writes.
The bank of this world never does both, reject and book: where a bank contradicts itself, the verdict is a person's.
"""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from node.interop.iso20022.answers import EntryFact, Fact, Names, StatusFact
from node.interop.iso20022.matching import FAULTS, Ordered, foreign_facts, match_order, match_orders
from node.interop.iso20022.orders import instruction_id, uetr_of

PAYOUTS = ("P" * 32, "Q" * 32)
FEN = 200_403


def make_order(payout: str, attempt: int, spent: frozenset[str] = frozenset(), doubtful: bool = False) -> Ordered:
    name = instruction_id(payout, attempt)
    file = f"FILE-{payout[0]}-{attempt}"
    return Ordered(payout, attempt, file, payout, name, uetr_of(name), FEN, "CNY", spent, doubtful)


def booking(
    order: Ordered, reference: str, *, back: bool = False, with_attempt: bool = True, fen: int = FEN
) -> EntryFact:
    names = Names(order.end_to_end_id, order.instruction_id if with_attempt else "")
    return EntryFact(names, "return" if back else "debit", fen, "CNY", "2025-01-07", reference, ())


def status(order: Ordered, code: str, level: str = "transaction") -> StatusFact:
    names = Names(order.end_to_end_id, order.instruction_id) if level == "transaction" else Names()
    return StatusFact(order.message_id, level, names, code, ())  # type: ignore[arg-type]


@dataclass
class World:
    """What each side did and knows."""

    with_attempt: bool
    orders: dict[str, Ordered] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    known: set[Fact] = field(default_factory=set)
    posted: list[Fact] = field(default_factory=list)
    at_bank: set[tuple[str, int]] = field(default_factory=set)
    standing: dict[tuple[str, int], str] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    booked: dict[str, tuple[str, int]] = field(default_factory=dict)
    number: int = 0

    def order(self, payout: str) -> None:
        """AUTHORISED or FAILED -> ORDERED, and the file leaves; any other status takes no order."""
        if self.statuses.get(payout, "AUTHORISED") not in ("AUTHORISED", "FAILED"):
            return
        before = self.orders.get(payout)
        attempt = before.attempt + 1 if before else 1
        if before is not None:
            seen = [f for f in self.known if isinstance(f, EntryFact) and f.names.end_to_end_id == payout]
            doubtful = 2 * sum(fact.direction == "return" for fact in seen) > len(seen)
            self.orders[payout] = make_order(payout, attempt, frozenset(f.bank_reference for f in seen), doubtful)
        else:
            self.orders[payout] = make_order(payout, attempt)
        self.statuses[payout] = "ORDERED"
        self.at_bank.add((payout, attempt))

    def bank(self, choice: int) -> None:
        """The bank moves one of its orders on, and writes about it."""
        waiting = sorted(item for item in self.at_bank if self.standing.get(item) not in ("rejected", "returned"))
        if not waiting:
            return
        item = waiting[choice % len(waiting)]
        order, said = make_order(*item), self.standing.get(item)
        self.number += 1
        if said == "booked":
            if choice % 3:
                return
            self.standing[item] = "returned"
            self.posted.append(booking(order, f"R{self.number}", back=True, with_attempt=self.with_attempt))
        elif choice % 4 == 0:
            self.standing[item] = "rejected"
            self.posted.append(status(order, "RJCT", ("transaction", "payment", "group")[choice % 3]))
        elif choice % 4 == 1:
            self.posted.append(status(order, "ACSP"))
        else:
            self.standing[item], self.booked[f"B{self.number}"] = "booked", item
            self.posted.append(booking(order, f"B{self.number}", with_attempt=self.with_attempt))

    def read(self, choice: int) -> None:
        """One fact arrives, perhaps again; those that never do are lost."""
        if self.posted:
            self.known.add(self.posted[choice % len(self.posted)])

    def act(self, payout: str) -> None:
        """The insurer does what the verdict lets it."""
        order = self.orders.get(payout)
        if order is None or self.statuses[payout] != "ORDERED":
            return
        verdict = match_order(order, self.known)
        if verdict.standing == "rejected":
            self.statuses[payout] = "FAILED"
        elif verdict.standing == "settled":
            assert verdict.entry is not None
            assert self.booked[verdict.entry.bank_reference] == (payout, order.attempt), "another attempt's booking"
            self.settled[payout] = self.settled.get(payout, 0) + 1
            self.statuses[payout] = "SETTLED"

    def check(self) -> None:
        for payout in PAYOUTS:
            on_the_way = [item for item in self.at_bank if item[0] == payout]
            open_there = [item for item in on_the_way if self.standing.get(item) not in ("rejected", "returned")]
            assert len(open_there) <= 1, "two orders of one payout can both be paid"
            assert self.settled.get(payout, 0) <= 1


STEPS = st.lists(st.tuples(st.sampled_from("br"), st.integers(0, 23)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.booleans(), STEPS)
def test_no_loss_repetition_or_order_of_messages_pays_twice(with_attempt: bool, steps: list[tuple[str, int]]) -> None:
    world = World(with_attempt)
    for action, choice in steps:
        for payout in PAYOUTS:
            world.act(payout)
            world.order(payout)
        if action == "b":
            world.bank(choice)
        else:
            world.read(choice)
        world.check()


ONE = make_order(PAYOUTS[0], 1)
TWO = make_order(PAYOUTS[0], 2)
FACTS = [
    status(ONE, "ACSP"),
    status(ONE, "RJCT"),
    status(ONE, "RJCT", "group"),
    status(ONE, "PART", "group"),
    status(TWO, "RJCT"),
    booking(ONE, "B1"),
    booking(ONE, "B1", with_attempt=False),
    booking(ONE, "B2"),
    booking(ONE, "B3", fen=1),
    booking(ONE, "R1", back=True),
    booking(TWO, "B9"),
    booking(make_order(PAYOUTS[1], 1), "B7"),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(FACTS), max_size=12), st.randoms(use_true_random=False))
def test_order_and_repetition_of_facts_change_no_verdict(facts: list[Fact], chance: st.randoms) -> None:  # type: ignore[valid-type]
    shuffled = [*facts, *facts]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    orders = (ONE, make_order(PAYOUTS[1], 1))
    assert match_orders(orders, shuffled) == match_orders(orders, facts)
    assert foreign_facts(orders, shuffled) == foreign_facts(orders, facts)


def test_what_each_fact_makes_of_an_order() -> None:
    def stand(*facts: Fact, order: Ordered = ONE) -> tuple[str, str]:
        found = match_order(order, facts)
        assert not found.code or found.code in FAULTS
        return found.standing, found.code

    assert stand() == ("unknown", "")
    assert stand(status(ONE, "ACSC")) == ("unknown", ""), "settled says a statement, with date and reference"
    assert stand(status(ONE, "RJCT")) == ("rejected", "")
    assert stand(status(ONE, "RJCT", "group")) == ("rejected", "")
    assert stand(status(ONE, "RJCT", "group"), status(ONE, "ACSP")) == ("unknown", ""), "the transaction's own word"
    assert stand(status(TWO, "RJCT")) == ("unknown", ""), "an answer to another file"
    assert stand(booking(ONE, "B1")) == ("settled", "")
    assert stand(booking(ONE, "B1", with_attempt=False)) == ("settled", "")
    assert stand(booking(TWO, "B9")) == ("unknown", ""), "a booking of another attempt"
    assert stand(booking(ONE, "B1"), booking(ONE, "R1", back=True)) == ("rejected", "")
    assert stand(booking(ONE, "R1", back=True)) == ("rejected", ""), "the booking's own notice was lost"
    assert stand(booking(ONE, "B3", fen=1)) == ("person", "AMOUNT_MISMATCH")
    assert stand(replace(booking(ONE, "B3"), currency="EUR")) == ("person", "CURRENCY_MISMATCH")
    assert stand(booking(ONE, "B1"), booking(ONE, "B2")) == ("person", "PAID_TWICE")
    assert stand(booking(ONE, "B1"), status(ONE, "RJCT")) == ("person", "REJECTED_BUT_BOOKED")
    assert stand(booking(ONE, "B1"), booking(ONE, "R1", back=True, fen=1)) == ("person", "RETURN_AMOUNT")
    assert stand(*(booking(ONE, f"R{n}", back=True) for n in range(2))) == ("person", "RETURN_UNCLEAR")
    again = make_order(PAYOUTS[0], 2, frozenset({"B1", "R1"}))
    late = [booking(ONE, "B1", with_attempt=False), booking(ONE, "R1", back=True, with_attempt=False)]
    assert stand(*late, order=again) == ("unknown", ""), "what ended the first attempt says nothing of the second"
    unsure = replace(again, doubtful=True)
    assert stand(booking(ONE, "B0", with_attempt=False), order=unsure) == ("person", "ATTEMPT_UNCLEAR")
    assert stand(booking(TWO, "B0"), order=unsure) == ("settled", "")
    assert stand(*late, order=TWO) != ("unknown", ""), "and would, were it not spent"


def test_the_names_of_an_attempt_are_heard_in_either_place() -> None:
    own = EntryFact(Names("", "", ONE.uetr), "debit", FEN, "CNY", "2025-01-07", "B1", ())
    other = EntryFact(Names(ONE.end_to_end_id, "", TWO.uetr), "debit", FEN, "CNY", "2025-01-07", "B1", ())
    banks = EntryFact(Names(ONE.end_to_end_id, "77001", ""), "debit", FEN, "CNY", "2025-01-07", "B1", ())
    assert [match_order(ONE, [fact]).standing for fact in (own, other, banks)] == ["settled", "unknown", "settled"]
    foreign = booking(make_order("Z" * 32, 1), "B5")
    assert foreign_facts([ONE], [own, foreign, foreign, status(ONE, "RJCT", "group")]) == (foreign,)
