"""The insurer's own book: policy terms, product tables and coverage accounts, as the vault holds them.

Knows the names under which openings are kept. Must not know claims. Must always hold: an account opening is used only
if its commitment is the one on the ledger.

    policy/<policy_id>                 {terms, tables, contract_hash, account_id}
    account/<account_id>/<version>     opening of one account version
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.bodies import PolicyCommit, PolicyCommitment
from contracts.case import read_case
from contracts.cases.accounts import empty_use
from contracts.cases.building import TERM_FIELDS, PolicyInput
from contracts.cases.errors import CaseError
from contracts.cases.lanes import read_lanes
from contracts.cases.movements import Balance
from contracts.cases.openings import Opening, balance_owner_of, open_account
from contracts.catalogue import read_product as read_product_state
from contracts.catalogue import read_release_text
from contracts.commitments import commit
from contracts.errors import InputError
from contracts.identifiers import derive_product_hash, derive_tables_hash
from contracts.product import read_product
from contracts.states import read_account, read_policy, read_programs
from ledger.crypto import ed25519
from ledger.crypto.hashing import tagged_hash
from ledger.encoding import decode, encode
from node.agents.ports import Ports
from node.agents.submitting import Submitter
from node.errors import NodeError
from node.vault import VaultError

LOOK_BACK_DAYS: Final = 365
GUARANTEE_LANE: Final = (
    "leave lanes.guarantee out of the terms: a draw is not taken off the payout to the insured by this version"
)
MAX_POLICIES: Final = 100
"""Policies of one transaction, below the ledger's bound of 200 operations."""


class PolicyRefused(NodeError):
    """A policy cannot be committed to: `terms`, `product`, `program`, `too_many`, `guarantee_lane`."""


@dataclass(frozen=True, slots=True)
class HeldPolicy:
    """A policy with what it takes to adjudicate under it."""

    policy: PolicyInput
    contract_hash: str


class PolicyBook:
    """Policies of one insurer."""

    def __init__(self, ports: Ports, submitter: Submitter) -> None:
        self._ports = ports
        self._submitter = submitter

    async def commit_policies(self, policies: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        """Commit to policies: {terms, product_hash | product, contract_hash?, co_adjudicators, threshold?,
        escalation_to, look_back_days?, use?} each. Returns (transaction id, one signed policy certificate each).

        `terms` holds the policy fields of a case and may hold `currency` and `balance_owner` (insurer, tpa, employer);
        `use` is the account it starts with. Openings are durable on return; whether the ledger took the policies is
        the transaction's receipt. Raises PolicyRefused, Rejected, Overloaded.
        """
        if not 0 < len(policies) <= MAX_POLICIES:
            raise PolicyRefused("too_many", f"{len(policies)} policies; 1 to {MAX_POLICIES} at a time")
        with self._ports.vault.transaction():
            prepared = [self._prepare(item) for item in policies]
        body = PolicyCommit(policies=tuple(commitment for commitment, _ in prepared))
        signed = self._submitter.sign("policy.commit", body)
        tx_id = await self._ports.ledger.submit_bytes(signed.encoded)
        return tx_id, [certificate for _, certificate in prepared]

    def held(self, policy_id: str, version: int) -> HeldPolicy:
        """The policy at an account version, as final state has it. Raises VaultError `missing`."""
        kept = self._ports.vault.need_secret(f"policy/{policy_id}")
        account = self.account(kept["account_id"], version)
        return HeldPolicy(PolicyInput(policy_id, kept["terms"], kept["tables"], account), kept["contract_hash"])

    def account(self, account_id: str, version: int) -> Opening:
        """The opening of an account version, checked against final state where that is its current one."""
        opening: Opening = self._ports.vault.need_secret(f"account/{account_id}/{version}")
        state = read_account(self._ports.ledger.final.read, account_id)
        if state is not None and state.version == version and commit("account-version", opening) != state.commit:
            raise VaultError("damaged", f"account {account_id}: the opening of version {version} is not the ledger's")
        return opening

    def keep_account(self, opening: Opening) -> None:
        """Keep the opening of an account version that the ledger took."""
        self._ports.vault.put_secret(f"account/{opening['account_id']}/{opening['version']}", opening)

    def _prepare(self, item: Mapping[str, Any]) -> tuple[PolicyCommitment, dict[str, Any]]:
        terms, tables = self._read_terms(item)
        contract_hash = self._read_program(item, derive_tables_hash(tables))
        policy_id, account_id = self._ports.chance(16).hex(), self._ports.chance(16).hex()
        opening = {**terms, "salt": self._ports.salt(), "policy_id": policy_id}
        account = open_account(account_id, 0, Balance(dict(item.get("use") or empty_use())), self._ports.salt())
        kept = {"terms": opening, "tables": tables, "contract_hash": contract_hash, "account_id": account_id}
        self._ports.vault.put_secret(f"policy/{policy_id}", kept)
        self.keep_account(account)
        commitment = PolicyCommitment(
            policy_id=policy_id,
            terms_commit=commit("terms", opening),
            product_hash=derive_product_hash(contract_hash, derive_tables_hash(tables)),
            account_id=account_id,
            account_v0_commit=commit("account-version", account),
            co_adjudicators=tuple(item["co_adjudicators"]),
            threshold=int(item.get("threshold", 1)),
            escalation_to=str(item["escalation_to"]),
            look_back_days=int(item.get("look_back_days", LOOK_BACK_DAYS)),
        )
        return commitment, self._sign_certificate({"policy_id": policy_id, "account": account, **kept})

    def _read_terms(self, item: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Terms and tables as they would enter a case: a policy that no case can use is refused here."""
        terms, tables = dict(item["terms"]), self._read_product(item)
        use = item.get("use") or empty_use()
        fields = {name: terms[name] for name in TERM_FIELDS if name in terms}
        try:
            balance_owner_of(terms)
            if read_lanes(terms).guarantee is not None:
                raise PolicyRefused("guarantee_lane", GUARANTEE_LANE)
            read_product(tables)
            read_case({"claim": {"claim_no": "check"}, "policies": [{**use, **fields, "product": tables}]})
        except InputError as error:
            raise PolicyRefused("terms", f"{error.code} at {error.path or 'the policy'}") from None
        except CaseError as error:
            raise PolicyRefused("terms", error.detail) from None
        return terms, tables

    def _read_product(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The tables that were given, or those of the release that was named."""
        if "product_hash" not in item:
            return dict(item["product"])
        text = read_release_text(self._ports.ledger.final.read, str(item["product_hash"]))
        if text is None or "product" in item or "contract_hash" in item:
            raise PolicyRefused("product", "name the product_hash of a release alone, or give a product")
        return dict(decode(text.tables.encode()))

    def _read_program(self, item: Mapping[str, Any], tables_hash: str) -> str:
        """The program of the named release, or the named program of the genesis, or the network's only one."""
        final = self._ports.ledger.final
        if "product_hash" in item:
            release = read_product_state(final.read, str(item["product_hash"]))
            if release is None or release.owner != self._ports.me:
                raise PolicyRefused("product", "the release is not one of this insurer")
            return release.contract_hash
        genesis = final.genesis
        named = item.get("contract_hash") or (genesis.programs[0].contract_hash if len(genesis.programs) == 1 else None)
        if named in {program.contract_hash for program in read_programs(final.read)}:
            return str(named)
        release = read_product_state(final.read, derive_product_hash(str(named), tables_hash)) if named else None
        if release is None or release.owner != self._ports.me:
            raise PolicyRefused("program", "name the contract_hash of an approved claim program")
        return str(named)

    def _sign_certificate(self, content: dict[str, Any]) -> dict[str, Any]:
        """The policy certificate of the insured: terms, salts and account, signed by the insurer."""
        certificate = {**content, "network": self._ports.network, "insurer": self._ports.me}
        message = tagged_hash("policy-certificate", encode(certificate))
        signature = ed25519.sign(self._ports.keys.signing.secret, message).hex()
        return {**certificate, "key_id": self._ports.keys.key_id, "signature": signature}


def current_version(ports: Ports, policy_id: str) -> tuple[str, int]:
    """(account id, version) of a policy in final state. Raises VaultError `missing`."""
    policy = read_policy(ports.ledger.final.read, policy_id)
    account = read_account(ports.ledger.final.read, policy.account_id) if policy else None
    if policy is None or account is None:
        raise VaultError("missing", f"policy {policy_id} is not on the ledger")
    return policy.account_id, account.version
