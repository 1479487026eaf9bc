"""By which program and tables a claim is decided, and where their texts are: in the genesis, or with a release.

Knows final state and the pins of a claim. Must not know cases. Must always hold: what decides follows from the claim's
pins and the date of the event, never from what is newest; a program that once was in force is found for ever.
"""

from dataclasses import replace
from typing import Any

from contracts.cases.errors import CaseError
from contracts.catalogue import read_release_text
from contracts.execution import ChainState
from contracts.identifiers import derive_product_hash
from contracts.states import ClaimPolicy
from contracts.versions import choose_version
from ledger.encoding import decode
from node.agents.policies import HeldPolicy


def find_source(final: ChainState, contract_hash: str, tables_hash: str) -> str:
    """The canonical bundle of a program, of the genesis or of the release with these tables.

    Raises CaseError `PROGRAM_UNKNOWN`.
    """
    for program in final.genesis.programs:
        if program.contract_hash == contract_hash:
            return program.source
    text = read_release_text(final.read, derive_product_hash(contract_hash, tables_hash))
    if text is None:
        raise CaseError("PROGRAM_UNKNOWN", "the claim program is not on this network")
    return text.program


def read_tables(final: ChainState, product_hash: str) -> dict[str, Any] | None:
    """The product tables of a release; None for what is no release."""
    text = read_release_text(final.read, product_hash)
    tables: dict[str, Any] | None = None if text is None else decode(text.tables.encode())
    return tables


def apply_pins(final: ChainState, pinned: ClaimPolicy, held: HeldPolicy, event_date: str) -> HeldPolicy:
    """The policy with the program and the tables of the release that was in force on the date of the event.

    A policy that commits to no release stays as it is. Raises CaseError `PROGRAM_UNKNOWN`.
    """
    if not isinstance(pinned.versions, tuple):
        return held
    version = choose_version(pinned.versions, event_date)
    tables = read_tables(final, version.product_hash)
    if tables is None:
        raise CaseError("PROGRAM_UNKNOWN", f"the text of release {version.product_hash} is not in state")
    return HeldPolicy(replace(held.policy, tables=tables), version.contract_hash)
