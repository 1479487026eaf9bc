"""The notice of a decision for the insured: what was decided, why, in plain words of both languages (SEED-2-63).

Knows results and the texts of reasons. Must not know who the insured is: the notice names a claim and policies. Must
always hold: every reason of a result is explained, a code without a text is shown as itself rather than left out.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from contracts.reasons import DECISIONS, REASONS, Language

LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")
OBJECTION: Final[Mapping[Language, str]] = {
    "zh": "如有异议,可凭授权书密钥提出申诉或争议处理;理赔过程与依据可凭卷宗离线核验。",
    "en": "You may object with the key of your consent; the claim's dossier can be verified offline.",
}
WORDS: Final[Mapping[Language, tuple[str, str, str]]] = {
    "zh": ("保单", "应付金额", "原因"),
    "en": ("policy", "to pay", "because"),
}


class Reason(Struct, frozen=True, forbid_unknown_fields=True):
    """One reason in both languages."""

    code: str
    zh: str
    en: str


class PolicyNotice(Struct, frozen=True, forbid_unknown_fields=True):
    """The decision under one policy. `decision` is a class, `amount_fen` minor units of `currency`."""

    policy_no: str
    decision: str
    amount_fen: int
    currency: str
    reasons: tuple[Reason, ...]


class Notice(Struct, frozen=True, forbid_unknown_fields=True):
    """What the customer's mailbox holds. `texts`: language -> the notice as it is read."""

    v: int
    claim_id: str
    attempt: int
    insurer: str
    decided_ms: int
    policies: tuple[PolicyNotice, ...]
    texts: dict[str, str]


def build_notice(
    claim_id: str, attempt: int, insurer: str, decided_ms: int, results: Iterable[tuple[Mapping[str, Any], str]]
) -> Notice:
    """The notice of one decision; `results` are those of an adjudication, each with its currency."""
    policies = tuple(_policy(result, currency) for result, currency in results)
    texts: dict[str, str] = {name: _render(claim_id, insurer, policies, name) for name in LANGUAGES}
    return Notice(1, claim_id, attempt, insurer, decided_ms, policies, texts)


def explain(code: str) -> Reason:
    """A reason in both languages; the code itself where it has no text."""
    texts = REASONS.get(code, {"zh": code, "en": code})
    return Reason(code, texts["zh"], texts["en"])


def _policy(result: Mapping[str, Any], currency: str) -> PolicyNotice:
    codes = sorted({code for benefit in result["benefits"] for code in benefit["reasons"]})
    return PolicyNotice(
        policy_no=str(result["policy_no"]),
        decision=str(result["decision"]),
        amount_fen=int(result["net_fen"]),
        currency=currency,
        reasons=tuple(explain(code) for code in codes),
    )


def _render(claim_id: str, insurer: str, policies: Iterable[PolicyNotice], language: Language) -> str:
    policy_word, pay_word, because = WORDS[language]
    head = {"zh": f"理赔决定通知书 {insurer} {claim_id}", "en": f"Notice of decision, {insurer}, claim {claim_id}"}
    lines = [head[language]]
    for item in policies:
        decision = DECISIONS.get(item.decision, {}).get(language, item.decision)
        lines.append(f"{policy_word} {item.policy_no}: {decision}")
        lines.append(f"  {pay_word}: {_yuan(item.amount_fen)} {item.currency}")
        lines += [f"  {because}: {reason.zh if language == 'zh' else reason.en}" for reason in item.reasons]
    return "\n".join((*lines, OBJECTION[language]))


def _yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100:,}.{amount_fen % 100:02d}"
