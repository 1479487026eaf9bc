"""The notice of a decision: every reason in both languages, amounts to the fen, nothing left out."""

from typing import Any

from contracts.reports.notices import build_notice, explain


def result(decision: str = "partial", *reasons: str, net_fen: int = 123_456) -> dict[str, Any]:
    benefits = [{"reasons": list(reasons)}, {"reasons": list(reasons[:1])}]
    return {"policy_no": "P-1", "decision": decision, "net_fen": net_fen, "benefits": benefits}


def test_a_notice_tells_decision_amount_and_reasons_in_both_languages() -> None:
    notice = build_notice("ab" * 32, 1, "insurer", 5, [(result("partial", "DAY_LIMIT", "ANNUAL_LIMIT"), "CNY")])
    (policy,) = notice.policies
    assert [reason.code for reason in policy.reasons] == ["ANNUAL_LIMIT", "DAY_LIMIT"]
    assert "部分赔付" in notice.texts["zh"]
    assert "受日限额限制" in notice.texts["zh"]
    assert "partly approved" in notice.texts["en"]
    assert "limited by the amount per day" in notice.texts["en"]
    assert all("1,234.56 CNY" in text and "ab" * 32 in text for text in notice.texts.values())


def test_what_has_no_text_is_shown_as_itself() -> None:
    assert (explain("NEW_RULE").zh, explain("NEW_RULE").en) == ("NEW_RULE", "NEW_RULE")
    notice = build_notice("ab" * 32, 1, "insurer", 5, [(result("suspended", "NEW_RULE", net_fen=0), "CNY")])
    assert "NEW_RULE" in notice.texts["zh"]
    assert "suspended" in notice.texts["en"]
    assert "0.00 CNY" in notice.texts["en"]


def test_every_policy_of_a_claim_is_told() -> None:
    both = [(result("approved"), "CNY"), (result("declined", "WAITING_PERIOD", net_fen=0), "HKD")]
    notice = build_notice("ab" * 32, 2, "insurer", 5, both)
    assert [(item.decision, item.currency) for item in notice.policies] == [("approved", "CNY"), ("declined", "HKD")]
    assert notice.texts["en"].count("policy P-1") == 2
