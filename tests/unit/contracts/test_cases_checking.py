"""What a co-adjudicator refuses: a true package passes, and each deliberate mismatch has a code of its own."""

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec import structs

from contracts.cases.accounts import empty_use
from contracts.cases.checking import (
    LedgerFacts,
    Mismatch,
    Package,
    PolicyPackage,
    check_delivery,
    check_inputs,
    check_outputs,
)
from contracts.cases.movements import Balance, book_outcome
from contracts.cases.openings import open_account
from contracts.cases.rerun import rerun
from contracts.commitments import commit
from contracts.identifiers import derive_payout_id, derive_tables_hash
from node.agents.facts import read_facts
from tests.support.agent_world import LocalMachine, World, admission, charges, discharge, invoice

OTHER = "ab" * 32


@dataclass(frozen=True)
class Bench:
    """A claim whose package waits for the co-adjudicator: its facts, the package, the customer's ciphertext."""

    facts: LedgerFacts
    package: Package
    digest: str
    decision: Any
    source: str


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    world = World(tmp_path_factory.mktemp("bench"))

    async def story() -> str:
        wallet = await world.grant(await world.commit_policy())
        world.down.add("tpa")
        await world.publish(wallet, admission())
        await world.publish(wallet, discharge(), invoice(), charges())
        return world.claim_id(wallet)

    claim_id = asyncio.run(story())
    insurer = world.houses["insurer"]
    assert insurer.insurer is not None
    package = insurer.insurer.decider.proposal(claim_id)
    assert package is not None
    parcel = insurer.ports.vault.parcels("decision", claim_id)[0]
    decision = insurer.ports.vault.open_parcel(parcel, insurer.ports.keys.envelope.secret)
    source = world.network.genesis.programs[0].source
    return Bench(read_facts(insurer.ports, claim_id), package, parcel.digest, decision, source)


def check(bench: Bench, facts: LedgerFacts, package: Package) -> None:
    """Everything that signing attests."""
    check_inputs(facts, package)
    machine = LocalMachine()
    case, adjudication, uses = asyncio.run(rerun(package, lambda case: machine.explain(bench.source, case)))
    check_outputs(facts, package, case, adjudication, uses)
    for item in package.policies:
        check_delivery(facts, item, bench.digest, bench.decision)


def change(package: Package, **fields: Any) -> Package:
    """The package with its only policy changed."""
    return replace(package, policies=(replace(package.policies[0], **fields),))


def with_opening(name: str, **fields: Any) -> Callable[[Package], Package]:
    """An opening of the policy changed, its statement left as it was."""
    return lambda package: change(package, **{name: {**getattr(package.policies[0], name), **fields}})


def with_statement(**fields: Any) -> Callable[[Package], Package]:
    """A field of the statement changed."""
    return lambda package: change(package, statement=structs.replace(package.policies[0].statement, **fields))


def restated(name: str, kind: Any, field: str, **fields: Any) -> Callable[[Package], Package]:
    """An opening changed and committed to again in the statement: consistent, and still wrong."""

    def changed(package: Package) -> Package:
        opening = {**getattr(package.policies[0], name), **fields}
        statement = structs.replace(package.policies[0].statement, **{field: commit(kind, opening)})
        return change(package, **{name: opening}, statement=statement)

    return changed


def with_document(record_type: str, **fields: Any) -> Callable[[Package], Package]:
    def changed(package: Package) -> Package:
        records = tuple(
            replace(item, document={**item.document, **fields}) if item.record_type == record_type else item
            for item in package.records
        )
        return replace(package, records=records)

    return changed


def raised_result(package: Package) -> Package:
    """A hundred fen more than the program gives, committed to properly."""
    result = copy.deepcopy(package.policies[0].result)
    result["result"]["net_fen"] += 100
    return restated("result", "result", "result_commit", result=result["result"])(package)


def other_tables(package: Package) -> Package:
    """Better tables, named in the statement."""
    tables = copy.deepcopy(package.policies[0].tables)
    tables["plans"]["STD"]["benefits"]["AL"]["daily_fen"] = 20_000
    statement = structs.replace(package.policies[0].statement, tables_hash=derive_tables_hash(tables))
    return change(package, tables=tables, statement=statement)


MISMATCHES: list[tuple[str, str, Callable[[Package], Package]]] = [
    ("another claim", "CLAIM_MISMATCH", lambda package: replace(package, claim_id=OTHER)),
    ("another attempt", "CLAIM_MISMATCH", lambda package: replace(package, attempt=2)),
    ("a policy left out", "POLICY_SET", lambda package: replace(package, policies=())),
    ("a policy twice", "POLICY_SET", lambda package: replace(package, policies=package.policies * 2)),
    ("a record left out", "EVIDENCE_SET", lambda package: replace(package, records=package.records[1:])),
    ("another diagnosis", "DOCUMENT_MISMATCH", with_document("discharge", diagnoses=["A00.000"])),
    ("another total", "DOCUMENT_MISMATCH", with_document("invoice", total_fen=900_000)),
    ("another evidence root", "EVIDENCE_ROOT", with_statement(evidence_root=OTHER)),
    ("another relation", "TERMS_MISMATCH", with_opening("terms", relation="dependant")),
    ("another program", "PROGRAM_NOT_PINNED", with_statement(contract_hash=OTHER)),
    ("other tables hash", "PRODUCT_MISMATCH", with_statement(tables_hash=OTHER)),
    ("other tables", "PRODUCT_MISMATCH", other_tables),
    ("an emptied account", "ACCOUNT_MISMATCH", with_opening("account_in", use={})),
    ("an older account", "ACCOUNT_VERSION", with_opening("account_in", version=7)),
    ("another version stated", "ACCOUNT_VERSION", with_statement(account_version_in=7)),
    ("another account stated", "ACCOUNT_MISMATCH", with_statement(account_id="ab" * 16)),
    ("a fuller pool", "POOL_MISMATCH", with_opening("pool_in", left_fen=9_000_000)),
    ("an older pool", "POOL_VERSION", with_opening("pool_in", version=7)),
    ("another pool stated", "POOL_MISMATCH", with_statement(pool_id=OTHER)),
    ("another pool version stated", "POOL_VERSION", with_statement(pool_version_in=7)),
    ("another payee", "PAYEE_MISMATCH", lambda package: replace(package, payee={**package.payee, "account": "x"})),
    ("another payee stated", "PAYEE_MISMATCH", with_statement(payee_commit=OTHER)),
    ("another date", "EVENT_DATE_MISMATCH", with_opening("event_date", event_date="2021-12-04")),
    (
        "another date, committed to",
        "EVENT_DATE_MISMATCH",
        restated("event_date", "event-date", "event_date_commit", event_date="2021-12-04"),
    ),
    ("another date commitment", "EVENT_DATE_MISMATCH", with_statement(event_date_commit=OTHER)),
    ("a better result", "RESULT_DIFFERS", raised_result),
    ("another result commitment", "RESULT_COMMIT", with_statement(result_commit=OTHER)),
    ("another claim in the result", "RESULT_COMMIT", restated("result", "result", "result_commit", claim_id=OTHER)),
    ("another currency", "CURRENCY_MISMATCH", with_opening("result", currency="EUR")),
    ("an account not used", "ACCOUNT_OUT", restated("account_out", "account-version", "account_commit_out", use={})),
    (
        "money that is not reserved",
        "ACCOUNT_OUT",
        restated("account_out", "account-version", "account_commit_out", reserved=[]),
    ),
    ("another account commitment", "ACCOUNT_OUT", with_statement(account_commit_out=OTHER)),
    ("a pool not used", "POOL_OUT", restated("pool_out", "pool-version", "pool_commit_out", left_fen=9_000_000)),
    ("another pool commitment", "POOL_OUT", with_statement(pool_commit_out=OTHER)),
    ("another network", "CLAIM_MISMATCH", with_statement(network="other.claims")),
    ("another consent", "CLAIM_MISMATCH", with_statement(consent_id=OTHER)),
    ("a statement of yesterday", "STATEMENT_EXPIRED", with_statement(valid_until=1)),
    ("a statement for ever", "STATEMENT_EXPIRED", with_statement(valid_until=2**53 - 1)),
    ("nothing delivered", "DELIVERY_MISSING", with_statement(delivered=())),
]


def test_a_true_package_passes(bench: Bench) -> None:
    check(bench, bench.facts, bench.package)


@pytest.mark.parametrize(("code", "changed"), [item[1:] for item in MISMATCHES], ids=[item[0] for item in MISMATCHES])
def test_a_mismatch_is_refused(bench: Bench, code: str, changed: Callable[[Package], Package]) -> None:
    with pytest.raises(Mismatch) as caught:
        check(bench, bench.facts, changed(bench.package))
    assert caught.value.code == code


def code_of(bench: Bench, facts: LedgerFacts, package: Package) -> str:
    with pytest.raises(Mismatch) as caught:
        check(bench, facts, package)
    return caught.value.code


def test_terms_of_another_policy_are_refused_even_where_the_ledger_holds_their_commitment(bench: Bench) -> None:
    item = bench.package.policies[0]
    terms = {**item.terms, "policy_id": "ab" * 16}
    policy = structs.replace(bench.facts.policies[item.policy_id], terms_commit=commit("terms", terms))
    facts = replace(bench.facts, policies={item.policy_id: policy})
    assert code_of(bench, facts, change(bench.package, terms=terms)) == "TERMS_MISMATCH"


def test_the_opening_of_another_account_is_refused_even_where_its_commitment_fits(bench: Bench) -> None:
    item = bench.package.policies[0]
    opening = {**item.account_in, "account_id": "ab" * 16}
    account_id = item.statement.account_id
    account = structs.replace(bench.facts.accounts[account_id], commit=commit("account-version", opening))
    facts = replace(bench.facts, accounts={account_id: account})
    assert code_of(bench, facts, change(bench.package, account_in=opening)) == "ACCOUNT_MISMATCH"


@pytest.mark.parametrize("stated", [True, False], ids=["stated too", "in the opening alone"])
def test_the_opening_of_another_pool_is_refused_even_where_its_commitment_fits(bench: Bench, stated: bool) -> None:
    item = bench.package.policies[0]
    opening = {**item.pool_in, "pool_id": OTHER}
    facts = replace(bench.facts, pool=structs.replace(bench.facts.pool, commit=commit("pool-version", opening)))
    statement = structs.replace(item.statement, pool_id=OTHER) if stated else item.statement
    assert code_of(bench, facts, change(bench.package, pool_in=opening, statement=statement)) == "POOL_MISMATCH"


def test_two_policies_under_one_number_are_refused(bench: Bench) -> None:
    item = bench.package.policies[0]
    known = bench.facts.claim.policies[0]
    claim = structs.replace(bench.facts.claim, policies=(known, structs.replace(known, policy_id="ab" * 16)))
    package = replace(bench.package, policies=(item, replace(item, policy_id="ab" * 16)))
    assert code_of(bench, replace(bench.facts, claim=claim), package) == "POLICY_SET"


def test_a_result_that_asks_for_review_is_signed_only_when_a_person_released_it(bench: Bench) -> None:
    machine = LocalMachine()
    case, found, uses = asyncio.run(rerun(bench.package, lambda case: machine.explain(bench.source, case)))
    reviewed = {**found.results[0], "review": True, "review_reasons": ["NON_DISCLOSURE"]}
    adjudication = replace(found, results=(reviewed,))
    for released, code in ((False, "REVIEW_REQUIRED"), (True, "RESULT_DIFFERS")):
        package = replace(bench.package, released=released)
        with pytest.raises(Mismatch) as caught:
            check_outputs(bench.facts, package, case, adjudication, uses)
        assert caught.value.code == code


def test_a_reservation_ends_only_with_its_settlement_on_the_ledger(bench: Bench) -> None:
    """A proposal that counts another claim's payout as paid is signed if, and only if, the ledger says so."""
    item, earlier = bench.package.policies[0], "cd" * 32
    effect = {**empty_use(), "prior_use": {"2020": {"IP": {"paid_fen": 700}}}}
    before = book_outcome(Balance(item.account_in["use"]), effect, earlier)
    account_in = open_account(
        item.account_in["account_id"], item.account_in["version"], before, item.account_in["salt"]
    )
    account = structs.replace(
        bench.facts.accounts[item.statement.account_id], commit=commit("account-version", account_in)
    )
    facts = replace(bench.facts, accounts={item.statement.account_id: account})
    package = change(bench.package, account_in=account_in)
    machine = LocalMachine()
    _, _, uses = asyncio.run(rerun(package, lambda case: machine.explain(bench.source, case)))
    own = derive_payout_id(bench.package.claim_id, item.policy_id, bench.package.attempt)
    for captured in ([], [earlier]):
        balance = book_outcome(before, uses[0], own, captured)
        out = open_account(account_in["account_id"], account_in["version"] + 1, balance, item.account_out["salt"])
        stated = structs.replace(item.statement, account_commit_out=commit("account-version", out))
        proposed = change(package, account_out=out, statement=stated)
        check(bench, replace(facts, is_settled=lambda name: name == earlier), proposed)
        if captured:
            assert code_of(bench, facts, proposed) == "ACCOUNT_CAPTURE"
        else:
            check(bench, facts, proposed)


def test_another_ciphertext_or_content_is_no_delivery(bench: Bench) -> None:
    item: PolicyPackage = bench.package.policies[0]
    with pytest.raises(Mismatch, match="DELIVERY_MISMATCH"):
        check_delivery(bench.facts, item, OTHER, bench.decision)
    with pytest.raises(Mismatch, match="DELIVERY_MISMATCH"):
        check_delivery(bench.facts, item, bench.digest, {**bench.decision, "result": {}})


def test_messages_hold_no_amount_and_no_diagnosis(bench: Bench) -> None:
    for _, _, changed in MISMATCHES:
        with pytest.raises(Mismatch) as caught:
            check(bench, bench.facts, changed(bench.package))
        assert "135334" not in str(caught.value)
        assert "N84" not in str(caught.value)
