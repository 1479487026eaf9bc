"""A bank for demonstrations: books at once, on the date it is told, and knows what it booked by its name.

Must always hold: the same EndToEndId gives the same booking, so an insurer that was restarted between order and
booking pays once.
"""

from collections.abc import Callable

from contracts.cases.openings import Opening
from ledger.crypto.hashing import tagged_hash
from node.agents.ports import Booking, PaymentOrder

ACCOUNT = "claims-payout"


class DemoBank:
    """`today` gives the booking date (YYYY-MM-DD), from block time."""

    def __init__(self, today: Callable[[], str]) -> None:
        self._today = today

    def check_payee(self, payee: Opening) -> str | None:
        """Any account will do."""
        return None

    async def pay(self, order: PaymentOrder) -> Booking | None:
        """Books every order; the reference follows from the EndToEndId."""
        reference = tagged_hash("demo-bank", order.end_to_end_id.encode("ascii"))[:8].hex().upper()
        return Booking(booking_date=self._today(), bank_reference=f"DEMO-{reference}", account=ACCOUNT)
