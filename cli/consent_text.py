"""A consent in words: what a customer reads before signing, and anybody after.

Knows the fields of a consent. Must not know files or networks. Always true: every participant and every purpose that
the token names is in the text.
"""

from datetime import UTC, datetime

from contracts.tokens import DecodedConsent, Grantee


def describe_consent(decoded: DecodedConsent) -> list[str]:
    """One line for each thing that is allowed, and for each limit."""
    consent = decoded.consent
    return [
        f"consent {decoded.consent_id}",
        f"network {consent.network}, basis {consent.basis}, scope {consent.scope}",
        f"valid from {format_time(consent.nbf_ms)} until {format_time(consent.exp_ms)}",
        f"records may be published by: {', '.join(consent.hospitals)}",
        *(_describe_grantee(grantee) for grantee in consent.grantees),
        f"policies: {', '.join(consent.policy_ids) or 'none'}",
        f"notices go to the mailbox: {'yes' if consent.notify == 'mailbox' else 'no'}",
        f"others may be let in by a grantee: {'yes' if consent.delegable else 'no'}",
        "the signature is that of the key in the consent",
    ]


def format_time(milliseconds: int) -> str:
    """Block time as an ISO instant, UTC."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _describe_grantee(grantee: Grantee) -> str:
    rank = "" if grantee.rank is None else f" (rank {grantee.rank})"
    data = ", ".join(grantee.data_classes) or "no data"
    return f"{grantee.participant}{rank} may {', '.join(grantee.purposes)}; reads {data}"
