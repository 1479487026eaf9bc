"""The insurer's openings of what it advanced and guaranteed, as its vault keeps them under `hold/<hold_id>`.

Must always hold: an opening is used only if its commitment is the one on the ledger.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from contracts.cases.building import PolicyInput
from contracts.cases.openings import Opening
from contracts.commitments import commit
from contracts.errors import ContractError
from contracts.holdstates import HoldItem
from node.agents.ports import Ports
from node.vault import VaultError


def holds_of(ports: Ports, known: tuple[HoldItem, ...], policy_id: str) -> tuple[Opening, ...]:
    """The openings of a policy's live holds, as this insurer keeps them. Raises VaultError `missing`, `damaged`."""
    found = []
    for item in known:
        if item.policy_id == policy_id and item.live:
            opening = ports.vault.need_secret(f"hold/{item.hold_id}")
            if not opens(opening, item.commit, "hold"):
                raise VaultError("damaged", f"the opening of hold {item.hold_id} is not the ledger's")
            found.append(opening)
    return tuple(found)


def with_holds(ports: Ports, policy: PolicyInput, known: tuple[HoldItem, ...], attempt: int) -> PolicyInput:
    """A policy with what was advanced and guaranteed under it for the claim."""
    return replace(policy, holds=holds_of(ports, known, policy.policy_id), held=attempt == 1)


def opens(opening: Mapping[str, Any], expected: str, kind: Any = "payee") -> bool:
    """Whether an opening's commitment is the expected one."""
    try:
        return commit(kind, opening) == expected
    except ContractError:
        return False
