"""Lines of an audit: what was proved, what was not disclosed, and the first thing that does not hold."""

from typing import Literal, TypeAlias

from msgspec import Struct

Outcome: TypeAlias = Literal["proved", "not disclosed"]


class Check(Struct, frozen=True):
    """One line: the number and title of a step of the verification, and what came of it."""

    number: int
    title: str
    outcome: Outcome
    detail: str


class AuditFailure(Exception):
    """The first thing that does not hold. `number` is the step, `code` stable, `detail` for people."""

    def __init__(self, number: int, code: str, detail: str) -> None:
        super().__init__(f"check {number}: {code}: {detail}")
        self.number = number
        self.code = code
        self.detail = detail


TITLES: dict[int, str] = {
    1: "the file is one canonical document of the closed schema",
    2: "it speaks about the network of the trusted genesis",
    3: "a quorum of the validators that follow from the genesis finalized the anchor header",
    4: "every earlier header is a leaf of the anchored log",
    5: "every entry is a leaf of the anchored log",
    6: "every transaction is signed by its author and endorsers",
    7: "the histories are complete: no version is left out, none is newer",
    8: "executing the transactions again gives the same results and values",
    9: "the documents are those that were committed to",
    10: "terms, tables, accounts, loss pool, payee and date are those that were committed to",
    11: "the claim program, run again on the evidence, gives the same result",
    12: "the payment is the one that was decided",
}
