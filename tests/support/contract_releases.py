"""Releases of claim contracts on a test network: made, proposed, voted and withdrawn."""

from typing import Any

from contracts.bodies import ContractRelease, ContractWithdrawn, GovernancePropose
from contracts.catalogue import LineState, read_line, read_product
from contracts.identifiers import derive_product_hash, derive_tables_hash
from contracts.machine.bundle import ProgramBundle, encode_bundle, program_hash
from contracts.receipts import Receipt
from ledger.encoding import encode
from tests.support.governance import VOTERS, vote
from tests.support.network_chain import DAY_MS, NetworkChain
from tests.support.network_members import PROGRAM

OFFSET_MS = 480 * 60_000
"""The networks of the tests keep the default calendar."""


def day(network: NetworkChain, ahead: int) -> int:
    """The first millisecond of a day: 0 is today, by the latest block."""
    return (network.now_ms + OFFSET_MS) // DAY_MS * DAY_MS - OFFSET_MS + ahead * DAY_MS


def make_release(
    network: NetworkChain, ratio: int = 80, ahead: int = 8, bundle: ProgramBundle = PROGRAM, **changes: Any
) -> ContractRelease:
    """A release whose tables are told apart by `ratio`, which begins `ahead` days from today."""
    tables = {"product_code": "OP", "ratio": ratio}
    fields: dict[str, Any] = {
        "product_code": "OP",
        "title": f"Outpatient {ratio}",
        "program": encode_bundle(bundle).decode(),
        "tables": encode(tables).decode(),
        "examples": encode([{"title": "one"}]).decode(),
        "contract_hash": program_hash(bundle),
        "tables_hash": derive_tables_hash(tables),
        "supersedes": None,
        "effective_ms": day(network, ahead),
    }
    return ContractRelease(**(fields | changes))


def hash_of(release: ContractRelease) -> str:
    return derive_product_hash(release.contract_hash, release.tables_hash)


def propose_contract(
    network: NetworkChain, *changes: ContractRelease | ContractWithdrawn, author: str = "insurer", days: int = 5
) -> Receipt:
    body = GovernancePropose(changes, network.now_ms + days * DAY_MS)
    return network.do("governance.propose", body, author)


def pass_contract(network: NetworkChain, change: ContractRelease | ContractWithdrawn, author: str = "insurer") -> str:
    """Propose and vote; the product_hash. The receipt of the deciding vote is asserted."""
    proposal = propose_contract(network, change, author=author)
    assert [vote(network, proposal, name).code for name in VOTERS] == ["ok"] * len(VOTERS)
    return hash_of(change) if isinstance(change, ContractRelease) else change.product_hash


def line_of(network: NetworkChain, product_hash: str) -> LineState:
    product = read_product(network.state.read, product_hash)
    assert product is not None
    line = read_line(network.state.read, product.line)
    assert line is not None
    return line
