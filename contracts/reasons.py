"""What each reason of an adjudication means to the insured, in English and Chinese (adjudication rule 2); and the
reasons with which people act on a claim."""

from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["en", "zh"]

REASONS: Final[dict[str, dict[Language, str]]] = {
    "NOT_IN_FORCE": {"en": "no policy year covers this date", "zh": "该日期不在任何保单年度内"},
    "NOT_IN_PLAN": {"en": "the plan of that policy year has no such benefit", "zh": "该保单年度的计划不含此项责任"},
    "FACILITY_NOT_COVERED": {
        "en": "the plan does not cover hospitals of this level",
        "zh": "该级别医疗机构不在保障范围",
    },
    "EXCLUDED_DIAGNOSIS": {"en": "the diagnosis is excluded", "zh": "该诊断属于除外责任"},
    "PRE_EXISTING": {"en": "the illness began before the cover", "zh": "属于投保前既往症"},
    "WAITING_PERIOD": {"en": "it happened within the waiting period", "zh": "发生在等待期内"},
    "DUPLICATE_INVOICE": {"en": "the invoice was already used under this policy", "zh": "该发票已在本保单下使用"},
    "INVOICE_REVERSED": {"en": "the invoice was reversed by a red invoice", "zh": "该发票已被冲红"},
    "NO_PRESCRIPTION": {"en": "a pharmacy invoice needs a prescription", "zh": "药店发票缺少处方"},
    "VAT_NOT_COVERED": {"en": "pharmacy invoices are not covered", "zh": "药店发票不在保障范围"},
    "NO_STAY": {"en": "in-patient invoices without a stay", "zh": "有住院发票但无住院记录"},
    "ALREADY_PAID": {"en": "this benefit was paid before and is paid once", "zh": "该责任已给付,仅给付一次"},
    "DAYS_NOT_COVERED": {"en": "some days of the stay are not covered", "zh": "部分住院日不在保障期间"},
    "ZERO_BASE": {
        "en": "nothing is left after the public scheme and excluded charges",
        "zh": "扣除统筹与不予保障费用后无余额",
    },
    "BELOW_DEDUCTIBLE": {"en": "the deductible took all of it", "zh": "未超过免赔额"},
    "INDEMNITY_CAP": {"en": "limited to the loss that is left", "zh": "不超过剩余实际损失"},
    "VISIT_LIMIT": {"en": "limited by the amount per visit or stay", "zh": "受每次限额限制"},
    "DAY_LIMIT": {"en": "limited by the amount per day", "zh": "受日限额限制"},
    "ANNUAL_LIMIT": {"en": "limited by the yearly amount of the benefit", "zh": "受该责任年度限额限制"},
    "LIFETIME_LIMIT": {"en": "limited by the lifetime amount of the benefit", "zh": "受该责任终身限额限制"},
    "PLAN_LIMIT": {"en": "limited by the yearly amount of the plan", "zh": "受计划年度总限额限制"},
    "DAYS_CAP": {"en": "limited to the days per stay", "zh": "受每次住院天数限制"},
    "DEDUCTIBLE_DAYS": {"en": "the deductible days took all days", "zh": "未超过免赔天数"},
    "ANNUAL_DAYS_CAP": {"en": "limited to the days per year", "zh": "受年度天数限制"},
    "AMOUNT_OVER_THRESHOLD": {"en": "the claimed amount is over the review threshold", "zh": "申请金额超过复核阈值"},
    "REPEATED_RETURN": {"en": "the case was returned before, twice or more", "zh": "案件已被退回两次以上"},
    "NON_DISCLOSURE": {"en": "an earlier diagnosis was not declared", "zh": "存在未告知的既往诊断"},
    "RISK_MEDIUM": {"en": "the risk rules ask for a person's look", "zh": "风险规则提示需人工复核"},
    "RISK_HIGH": {"en": "the risk rules ask for a review and an investigation", "zh": "风险规则提示需复核并调查"},
    "RISK_UNGRADED": {"en": "contradicting documents: no risk grade", "zh": "单证相互矛盾,无法进行风险评级"},
}
"""By code; the first group declines, the second adjusts, the last six ask for a review: three of them by a program, and
three, RISK_*, by the insurer's own risk rules, which decline nothing."""

DECISIONS: Final[dict[str, dict[Language, str]]] = {
    "approved": {"en": "approved", "zh": "赔付"},
    "partial": {"en": "partly approved", "zh": "部分赔付"},
    "declined": {"en": "declined", "zh": "拒赔"},
    "zero_pay": {"en": "nothing to pay", "zh": "零赔付"},
}

RELEASE_REASONS: Final[dict[str, dict[Language, str]]] = {
    "AMOUNT_CONFIRMED": {"en": "the amount was checked against the documents", "zh": "金额已与单证核对一致"},
    "DOCUMENTS_CONFIRMED": {"en": "the documents were checked and are sound", "zh": "单证已核实无误"},
    "DISCLOSURE_CLARIFIED": {"en": "the earlier diagnosis does not matter here", "zh": "既往诊断已核实,不影响本次赔付"},
    "RETURNS_EXPLAINED": {"en": "the earlier returns are explained", "zh": "历次退件原因已查明"},
    "SUSPICION_CLEARED": {"en": "the suspicion was cleared", "zh": "疑点已排除"},
    "ADJUDICATORS_AGREED": {"en": "the adjudicators settled their difference", "zh": "理算方差异已协调一致"},
}
"""Why people let a computed result stand that was in review."""

OVERRIDE_REASONS: Final[dict[str, dict[Language, str]]] = {
    "HOLDER_ABSENT": {"en": "whoever holds the task is absent", "zh": "任务持有人不在岗"},
    "DEADLINE_NEAR": {"en": "a deadline is near", "zh": "时限将至"},
    "CONFLICT_OF_INTEREST": {"en": "whoever holds the task has an interest in it", "zh": "任务持有人存在利益冲突"},
    "WORK_SHARED_ANEW": {"en": "the work was shared out anew", "zh": "任务重新分配"},
}
"""Why a task was taken out of somebody's hands."""

FEEDBACK_REASONS: Final[dict[str, dict[Language, str]]] = {
    "QUICK": {"en": "it was quick", "zh": "理赔快捷"},
    "EASY": {"en": "there was little to do", "zh": "手续简便"},
    "CLEAR": {"en": "the decision was explained well", "zh": "结论解释清楚"},
    "SLOW": {"en": "it took too long", "zh": "理赔时间过长"},
    "UNCLEAR": {"en": "the decision was not understood", "zh": "对结论不理解"},
    "AMOUNT_DISPUTED": {"en": "the amount is not accepted", "zh": "对赔付金额有异议"},
    "DECLINE_DISPUTED": {"en": "the refusal is not accepted", "zh": "对拒赔结论有异议"},
    "PAYMENT_MISSING": {"en": "the money did not arrive", "zh": "赔款未到账"},
    "DATA_CONCERN": {"en": "a question about personal data", "zh": "对个人信息处理有疑问"},
    "STAFF_CONDUCT": {"en": "the conduct of staff", "zh": "对服务态度不满"},
}
"""What an insured may say of a claim: codes alone, no text has room for a name or an illness."""

ANSWERS: Final[dict[str, dict[Language, str]]] = {
    "EXPLAINED": {"en": "it was explained", "zh": "已向客户解释说明"},
    "CORRECTED": {"en": "it was put right", "zh": "已更正处理"},
    "REOPENED": {"en": "the claim was reopened", "zh": "已重新理算"},
    "TO_DISPUTE": {"en": "it goes on as a dispute", "zh": "转入争议处理"},
    "UNFOUNDED": {"en": "there was no ground for it", "zh": "投诉不成立"},
}
"""How staff answered a complaint."""
