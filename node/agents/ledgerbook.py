"""What the insurer's own staff sees of a claim beside the ledger: status, review queue, human steps, computed results.

Private to the insurer, encrypted at rest but for the status word. Must not know how a claim is decided.

Statuses: `reported`, `filed`, `ready`, `in_review`, `signing`, `decided`, `paying`, `closed`, `stopped`.
"""

from typing import Any

import msgspec
from msgspec import Struct, structs

from ledger.encoding import convert
from node.agents.ports import Ports

AGENT = "insurer"


class ClaimRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """`human_steps` counts what people did for this claim; 0 is straight through. `review` holds reasons."""

    human_steps: int = 0
    review: tuple[str, ...] = ()
    released: bool = False
    released_by: str = ""
    prepared_by: str = ""
    release_reason: str = ""
    currency: str = ""
    results: tuple[dict[str, Any], ...] = ()
    stopped: str = ""


class ClaimBook:
    """Private records of the insurer's claims."""

    def __init__(self, ports: Ports) -> None:
        self._vault = ports.vault

    def record(self, claim_id: str) -> ClaimRecord:
        """The private record; an empty one for a new claim."""
        kept = self._vault.get_secret(f"claim/{claim_id}")
        return convert(kept, ClaimRecord) if kept is not None else ClaimRecord()

    def set_status(self, claim_id: str, status: str) -> None:
        """The word under which the claim is listed."""
        self._vault.work.list_as(AGENT, claim_id, status)

    def send_to_review(self, claim_id: str, reasons: list[str]) -> None:
        """A person must look before anything else happens."""
        with self._vault.transaction():
            self._change(claim_id, review=tuple(sorted(set(reasons))), released=False)
            self.set_status(claim_id, "in_review")

    def release(self, claim_id: str, reviewer: str, prepared_by: str = "", reason: str = "") -> None:
        """People let the computed result stand: one human step each of who prepared it and who reviewed it."""
        with self._vault.transaction():
            steps = self.record(claim_id).human_steps + (2 if prepared_by else 1)
            self._change(
                claim_id,
                released=True,
                released_by=reviewer,
                prepared_by=prepared_by,
                release_reason=reason,
                human_steps=steps,
            )
            self.set_status(claim_id, "ready")

    def begin_again(self, claim_id: str) -> None:
        """The claim was reopened: what was computed, asked and released is of the decision before; human steps stay."""
        with self._vault.transaction():
            self._change(
                claim_id, review=(), released=False, released_by="", prepared_by="", release_reason="", results=()
            )
            self.set_status(claim_id, "ready")

    def keep_computed(self, claim_id: str, currency: str, results: list[dict[str, Any]]) -> None:
        """What the program computed, for whoever reviews it."""
        self._change(claim_id, currency=currency, results=tuple(results))

    def stop(self, claim_id: str, code: str) -> None:
        """The claim goes no further."""
        with self._vault.transaction():
            self._change(claim_id, stopped=code)
            self.set_status(claim_id, "stopped")

    def _change(self, claim_id: str, **changes: Any) -> None:
        changed = structs.replace(self.record(claim_id), **changes)
        self._vault.put_secret(f"claim/{claim_id}", msgspec.to_builtins(changed))
