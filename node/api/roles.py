"""A node whose participant has no automatic roles here: it relays, follows and proves, and says so when asked more."""

from collections.abc import Mapping, Sequence
from typing import Any

from node.api.problems import ApiError


class NoRoles:
    """The roles' port of an observer."""

    async def publish(self, consent_id: str, documents: Sequence[tuple[str, dict[str, Any]]]) -> tuple[str, list[str]]:
        raise _absent("hospital")

    async def commit_policies(self, policies: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        raise _absent("insurer")

    async def decision(self, claim_id: str) -> Mapping[str, Any] | None:
        return None

    async def dossier(self, claim_id: str) -> bytes:
        raise _absent("party of a claim")


def _absent(role: str) -> ApiError:
    return ApiError(404, "no_role", f"this node does not act as {role}")
