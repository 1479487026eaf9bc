"""What another version of a product would have decided: old and new results side by side, and their sum.

Knows the fields of a result (specification 2). Must not know where cases come from, nor how a program is run. Always
true: names of people, documents and policy numbers do not pass through here, only ids of the ledger, amounts, decisions
and reasons; amounts of different currencies are never added.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

MAX_WORST: Final = 200
"""Cases that a report names; whoever wants more asks for a shorter span of time."""
MAX_REASONS: Final = 200
"""Different reasons that a report counts, the most frequent; the specification has 27, a program may have its own."""
REVIEW: Final = "review"
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Codes as the specification writes them. A program may write anything, also words of a case: those are OTHER."""
OTHER: Final = "OTHER"


@dataclass(frozen=True, slots=True)
class Difference:
    """One policy of one claim, decided (old) and as it would have been (new). Amounts in the currency's minor unit.

    `reasons` are `BENEFIT/REASON`, or `review/REASON` for what sends a result to a person, ascending; `benefits` are
    those whose payable differs, as (code, old, new).
    """

    claim_id: str
    policy_id: str
    currency: str
    old_decision: str
    new_decision: str
    old_fen: int
    new_fen: int
    reasons_added: tuple[str, ...]
    reasons_removed: tuple[str, ...]
    benefits: tuple[tuple[str, int, int], ...]

    @property
    def difference_fen(self) -> int:
        """What the new version pays more; negative: less."""
        return self.new_fen - self.old_fen

    @property
    def is_changed(self) -> bool:
        """Whether anything differs: decision, amount, a benefit's part of it, a reason."""
        return (
            self.old_decision != self.new_decision
            or self.difference_fen != 0
            or bool(self.benefits or self.reasons_added or self.reasons_removed)
        )

    def as_dict(self) -> dict[str, Any]:
        """As a report shows it."""
        value: dict[str, Any] = msgspec.to_builtins(self)
        return {**value, "difference_fen": self.difference_fen}


def compare_results(
    claim_id: str, policy_id: str, currency: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Difference:
    """The difference between two checked results (contracts.machine.outputs) of one policy."""
    before, after = _payable(old), _payable(new)
    codes = sorted({*before, *after})
    had, has = _reasons(old), _reasons(new)
    return Difference(
        claim_id=claim_id,
        policy_id=policy_id,
        currency=currency,
        old_decision=str(old["decision"]),
        new_decision=str(new["decision"]),
        old_fen=int(old["total_fen"]),
        new_fen=int(new["total_fen"]),
        reasons_added=tuple(sorted(has - had)),
        reasons_removed=tuple(sorted(had - has)),
        benefits=tuple((code, before[code], after[code]) for code in codes if before[code] != after[code]),
    )


def summarise(differences: Iterable[Difference], worst: int) -> dict[str, Any]:
    """The report over all of them: claims, policies, changed, totals, decisions, reasons_added, reasons_removed, worst.

    `claims` and `changed` count claims, `policies` results. `totals` holds a sum for each currency, `decisions` how
    many results went from which decision to which, `worst` the changed results with the largest absolute difference,
    at most `worst` and MAX_WORST of them; of equal ones those with another decision come first.
    """
    held = list(differences)
    changed = [item for item in held if item.is_changed]
    matrix = Counter((item.old_decision, item.new_decision) for item in held)
    return {
        "claims": len({item.claim_id for item in held}),
        "policies": len(held),
        "changed": len({item.claim_id for item in changed}),
        "totals": [_total(currency, held) for currency in sorted({item.currency for item in held})],
        "decisions": [{"old": old, "new": new, "policies": count} for (old, new), count in sorted(matrix.items())],
        "reasons_added": _counted(reason for item in held for reason in item.reasons_added),
        "reasons_removed": _counted(reason for item in held for reason in item.reasons_removed),
        "worst": [item.as_dict() for item in sorted(changed, key=_badness)[: min(worst, MAX_WORST)]],
    }


def _payable(result: Mapping[str, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for item in result["benefits"]:
        found[_name(item["code"])] += int(item["payable_fen"])
    return found


def _reasons(result: Mapping[str, Any]) -> set[str]:
    found = {f"{_name(item['code'])}/{_name(reason)}" for item in result["benefits"] for reason in item["reasons"]}
    return found | {f"{REVIEW}/{_name(reason)}" for reason in result["review_reasons"]}


def _name(text: Any) -> str:
    return str(text) if NAME.fullmatch(str(text)) else OTHER


def _total(currency: str, held: Iterable[Difference]) -> dict[str, Any]:
    own = [item for item in held if item.currency == currency]
    old, new = sum(item.old_fen for item in own), sum(item.new_fen for item in own)
    return {"currency": currency, "sum_old_fen": old, "sum_new_fen": new, "difference_fen": new - old}


def _counted(reasons: Iterable[str]) -> dict[str, int]:
    found = sorted(Counter(reasons).items(), key=lambda item: (-item[1], item[0]))
    return dict(found[:MAX_REASONS])


def _badness(item: Difference) -> tuple[int, bool, str, str]:
    return (-abs(item.difference_fen), item.old_decision == item.new_decision, item.claim_id, item.policy_id)
