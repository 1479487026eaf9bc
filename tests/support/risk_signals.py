"""A risk signal about an insured or a hospital, and what its subject answers, on a network in memory."""

from typing import Any

from msgspec import structs

from contracts.receipts import Receipt
from contracts.riskbodies import RiskAppeal, RiskSignal, RiskWithdraw
from contracts.riskcontent import SignalContent, SignalHit, commit_content, commit_subject, derive_signal_id
from contracts.riskstates import DAY_MS, RiskSignalState, read_signal
from contracts.risktokens import APPEAL_TYPE, AppealWord
from contracts.tokens import encode_token
from ledger.crypto import ed25519
from tests.support.network_builder import Network, make_bytes, make_hex

APPEAL_SEED = make_bytes("appeal seed")
SUBJECT_SALT = make_hex("subject salt")


def make_content(**changes: Any) -> SignalContent:
    """A signal about the hospital."""
    content = SignalContent(
        v=1,
        salt=make_hex("content salt"),
        subject_kind="hospital",
        subject="hospital",
        subject_salt=SUBJECT_SALT,
        level="INDICATED",
        grade="HIGH",
        hits=(SignalHit("RK09", "HIGH"),),
        reason_classes=("STAY",),
        evidence=("rec-1",),
        parameters_version="risk-1",
        expires_ms=2**52,
    )
    return structs.replace(content, **changes)


class SignalStory:
    """One network and one signal about its hospital."""

    def __init__(self) -> None:
        self.network = Network()
        self.content = make_content(expires_ms=self.network.now_ms + 90 * DAY_MS)
        self.signal_id = derive_signal_id(self.network.genesis.network, "insurer", commit_content(self.content))

    @property
    def state(self) -> RiskSignalState:
        found = read_signal(self.network.state.read, self.signal_id)
        assert found is not None
        return found

    def body(self, **changes: Any) -> RiskSignal:
        body = RiskSignal(
            subject_commit=commit_subject(self.content.subject, SUBJECT_SALT),
            content_commit=commit_content(self.content),
            level=self.content.level,
            expires_ms=self.content.expires_ms,
            appeal_key=ed25519.public_key(APPEAL_SEED).hex(),
            delivered=(make_hex("ciphertext"), make_hex("notice")),
        )
        return structs.replace(body, **changes)

    def signal(self, author: str = "insurer", **changes: Any) -> Receipt:
        return self.network.do("risk.signal", self.body(**changes), author)

    def token(self, *, signed_by: bytes = APPEAL_SEED, **changes: Any) -> str:
        word = AppealWord(1, self.network.genesis.network, self.signal_id, make_hex("reason"), "00" * 16)
        return encode_token(structs.replace(word, **changes), APPEAL_TYPE, signed_by)

    def appeal(self, author: str = "hospital-two", **changes: Any) -> str:
        """By the subject's token, relayed by a stranger."""
        body = RiskAppeal(self.signal_id, make_hex("reason"), self.token(), None)
        return self.network.do("risk.appeal", structs.replace(body, **changes), author).code

    def withdraw(self, author: str = "insurer", **changes: Any) -> str:
        body = RiskWithdraw(self.signal_id, make_hex("withdrawn"))
        return self.network.do("risk.withdraw", structs.replace(body, **changes), author).code
