"""The version of a product that is tried on past claims, and which policies it would have decided.

Knows final state and the texts of a release. Must not know cases. Must always hold: a proposal is tried as it was
proposed, also after it passed; nothing of its program runs here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from contracts.cases.checking import Package
from contracts.cases.trial import Version, product_of
from contracts.catalogue import read_draft, read_line, read_product, read_release_text
from contracts.errors import shorten
from contracts.identifiers import derive_product_hash
from contracts.machine.bundle import ProgramBundle
from contracts.products.faults import ProductRefused
from contracts.products.release import Release, decode_release
from contracts.states import ProposalState, read_state
from ledger.state import Reader
from node.errors import NodeError
from node.machine.examining import Texts

MAX_FAULT: Final = 300
"""Characters of the first fault of a release that cannot be tried."""


class CandidateRefused(NodeError):
    """There is nothing to try: `not_found`, `not_a_release`, or `unfit`: the texts are no product."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release to be tried. `line`: the product_hashes of the line that it follows, empty if it follows none."""

    release: Release
    line: tuple[str, ...]

    @property
    def bundle(self) -> ProgramBundle:
        return self.release.bundle

    @property
    def version(self) -> Version:
        return Version(self.release.contract_hash, self.release.tables)

    def chosen(self, package: Package, product: str | None) -> Collection[str]:
        """The policies of a claim that the candidate would decide: of the product code `product` if one is given, else
        of its line, else of its own product code."""
        if product is None and self.line:
            return {item.policy_id for item in package.policies if product_of(item) in self.line}
        code = product or self.release.product_code
        return {item.policy_id for item in package.policies if item.tables.get("product_code") == code}

    def as_dict(self, product: str | None) -> dict[str, Any]:
        """As a report names it."""
        by_line = product is None and bool(self.line)
        return {
            "product_hash": self.release.product_hash,
            "contract_hash": self.release.contract_hash,
            "tables_hash": self.release.tables_hash,
            "product_code": self.release.product_code,
            "title": self.release.title,
            "chosen_by": "line" if by_line else "product_code",
            "line": self.line[0] if by_line else None,
            "chosen_code": None if by_line else product or self.release.product_code,
        }


def find_texts(read: Reader, identifier: str) -> tuple[Texts, str | None]:
    """(texts, a release of its line) of the proposal or release with this id. Raises CandidateRefused."""
    found = read_release_text(read, identifier)
    if found is not None:
        product = read_product(read, identifier)
        return Texts(found.program, found.tables, found.examples, product.title if product else ""), identifier
    proposal = read_state(read, ProposalState, identifier)
    if proposal is None:
        raise CandidateRefused("not_found", f"{identifier}: neither a release nor a proposal on this ledger")
    change = proposal.changes[0]
    if change["change"] != "contract.release":
        raise CandidateRefused("not_a_release", f"proposal {identifier} is about something else")
    product_hash = derive_product_hash(change["contract_hash"], change["tables_hash"])
    text = read_draft(read, identifier) or read_release_text(read, product_hash)
    if text is None:
        raise CandidateRefused("not_found", f"proposal {identifier} is over: its texts are kept no longer")
    return Texts(text.program, text.tables, text.examples, str(change["title"])), change["supersedes"]


def find_line(read: Reader, follows: str | None) -> tuple[str, ...]:
    """The product_hashes of the line that release `follows` is in; empty for none."""
    product = read_product(read, follows) if follows else None
    line = read_line(read, product.line) if product else None
    return tuple(item.product_hash for item in line.versions) if line else ()


def build_candidate(texts: Texts, line: tuple[str, ...]) -> Candidate:
    """The candidate of these texts. Pure, and the work of some milliseconds. Raises CandidateRefused `unfit`."""
    try:
        release = decode_release(texts.program, texts.tables, texts.examples, title=texts.title)
    except ProductRefused as refused:
        raise CandidateRefused("unfit", shorten(str(refused.faults[0]), MAX_FAULT)) from None
    return Candidate(release, line)
