"""A consent in words: what a customer reads before signing, and anybody after, in English and in Chinese.

Knows the fields of a consent. Must not know files or networks. Always true: the text is made from the token alone,
every field that is signed stands in it in both languages, and one that has no words here is shown by its name.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from contracts.tokens import DecodedConsent, Grantee

CHINA: Final = timezone(timedelta(hours=8))
BASES: Final = {
    "self": ("the customer personally", "客户本人"),
    "paper": ("the customer on paper; two participants attest the signed form", "客户书面签署,由两家机构见证"),
    "guardian": ("a guardian; ends on the ward's 18th birthday", "监护人代为签署,被监护人年满十八周岁时终止"),
    "emergency": (
        "an emergency: cases are reported, nothing is read or decided until it is ratified within 30 days, else erased",
        "紧急情况:仅可报案;30日内追认之前不得查阅、不得理算,逾期未追认则删除",
    ),
    "court": ("a court's order; two participants attest it", "法院裁定,由两家机构见证"),
}
SCOPES: Final = {
    "case": ("one case", "仅限一次就诊案件"),
    "standing": ("every case until it ends; each has an id of its own", "有效期内的每一次案件,各有独立编号"),
}
PURPOSES: Final = {
    "report": "报案",
    "endorse": "核验凭证",
    "adjudicate": "理算",
    "co-adjudicate": "复核理算",
    "pay": "支付",
    "audit": "审计",
}
CLASSES: Final = {"identity": "身份信息", "clinical": "就诊记录", "charges": "交易信息"}


def describe_consent(decoded: DecodedConsent, language: str = "both") -> list[str]:
    """One line for each thing that is allowed, and for each limit. `language`: `en`, `zh` or `both`."""
    shown = []
    if language in ("en", "both"):
        shown += _describe(decoded, 0)
    if language in ("zh", "both"):
        shown += _describe(decoded, 1)
    return shown


def format_time(milliseconds: int) -> str:
    """Block time as an ISO instant, UTC."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _describe(decoded: DecodedConsent, place: int) -> list[str]:
    """Every field of the token in its order; `place` is 0 for English, 1 for Chinese."""
    head = ("consent", "授权书编号")[place]
    lines = [f"{head} {decoded.consent_id}"]
    for name in decoded.consent.__struct_fields__:
        value = getattr(decoded.consent, name)
        if value is msgspec.UNSET:
            continue
        words = WORDS.get(name)
        lines += [f"{name}: {value}"] if words is None else words[place](value)
    lines.append(
        ("the signature is that of the key in the consent", "签名由授权书所载密钥作出")[place],
    )
    return lines


def _line(english: str, chinese: str) -> tuple[Callable[[Any], list[str]], Callable[[Any], list[str]]]:
    return (lambda value: [english.format(value)]), (lambda value: [chinese.format(value)])


def _listed(english: str, chinese: str) -> tuple[Callable[[Any], list[str]], Callable[[Any], list[str]]]:
    return (
        lambda value: [english.format(", ".join(value) or "none")],
        lambda value: [chinese.format("、".join(value) or "无")],
    )


def _yes_no(english: str, chinese: str) -> tuple[Callable[[Any], list[str]], Callable[[Any], list[str]]]:
    return (
        lambda value: [english.format("yes" if value in (True, "mailbox") else "no")],
        lambda value: [chinese.format("是" if value in (True, "mailbox") else "否")],
    )


def _local(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1000, CHINA)
    return f"{moment.year}年{moment.month}月{moment.day}日 {moment:%H:%M:%S}(北京时间)"


def _describe_grantee(grantee: Grantee) -> str:
    rank = "" if grantee.rank is None else f" (rank {grantee.rank})"
    data = ", ".join(grantee.data_classes) or "no data"
    return f"{grantee.participant}{rank} may {', '.join(grantee.purposes)}; reads {data}"


def _describe_grantee_zh(grantee: Grantee) -> str:
    rank = "" if grantee.rank is None else f"(第{grantee.rank}顺位)"
    data = "、".join(CLASSES[item] for item in grantee.data_classes)
    reads = f"可查阅{data}" if data else "不得查阅任何资料"
    return f"{grantee.participant}{rank} 可{'、'.join(PURPOSES[item] for item in grantee.purposes)};{reads}"


WORDS: Final[dict[str, tuple[Callable[[Any], list[str]], Callable[[Any], list[str]]]]] = {
    "v": _line("version of the form: {}", "格式版本:{}"),
    "network": _line("network {}", "网络:{}"),
    "basis": (lambda value: [f"given by: {BASES[value][0]}"], lambda value: [f"授权方式:{BASES[value][1]}"]),
    "scope": (lambda value: [f"scope {value}: {SCOPES[value][0]}"], lambda value: [f"范围:{SCOPES[value][1]}"]),
    "key": _line("key of the consent: {}", "授权书密钥:{}"),
    "nonce": _line("drawn number: {}", "随机数:{}"),
    "hospitals": _listed("records may be published by: {}", "可上传就诊记录的医院:{}"),
    "grantees": (
        lambda value: [_describe_grantee(item) for item in value],
        lambda value: [_describe_grantee_zh(item) for item in value],
    ),
    "policy_ids": _listed("policies: {}", "保单编号:{}"),
    "payee_commit": _line("money goes to the account behind the commitment {}", "收款账户承诺值:{}"),
    "mailbox_key": _line("letters are sealed to {}", "信箱密钥:{}"),
    "revoke_hash": _line("the slip that revokes has the hash {}", "撤销凭条哈希:{}"),
    "notify": _yes_no("notices go to the mailbox: {}", "通知送至信箱:{}"),
    "nbf_ms": (lambda value: [f"valid from {format_time(value)}"], lambda value: [f"生效时间:{_local(value)}"]),
    "exp_ms": (lambda value: [f"valid until {format_time(value)}"], lambda value: [f"终止时间:{_local(value)}"]),
    "delegable": _yes_no("an insurer may let its administrator (TPA) in: {}", "保险公司可转授权其第三方管理公司:{}"),
    "form_hash": _line("the signed form has the hash {}", "已签署文件哈希:{}"),
    "ward_commit": _line("the ward's birthday is behind the commitment {}", "被监护人生日承诺值:{}"),
}
"""Field of the token -> its lines in English and in Chinese."""
