"""Claim contracts on the ledger: proposed, passed with notice, superseded, withdrawn; what a claim pins of them."""

from typing import Any

import pytest
from msgspec import structs

from contracts.bodies import ContractRelease, ContractWithdrawn, GovernanceWithdraw, SeatTaken
from contracts.catalogue import (
    LineState,
    LineVersion,
    day_start,
    pin_versions,
    read_draft,
    read_lines,
    read_open_proposals,
    read_product,
    read_release_text,
)
from contracts.genesis import Genesis, Limits, Parameters, decode_genesis, encode_genesis
from contracts.machine.bundle import PROGRAM_TAG
from contracts.machine.language import LANGUAGE
from contracts.releases import MAX_OPEN
from contracts.states import ProposalState, read_claim, read_program, read_state
from contracts.validators import closes_epoch
from contracts.versions import PinnedVersion, choose_version
from ledger.crypto.hashing import tagged_hex
from ledger.encoding import encode
from tests.support.contract_releases import (
    day,
    hash_of,
    line_of,
    make_release,
    pass_contract,
    propose_contract,
)
from tests.support.governance import VOTERS, decide, vote
from tests.support.network_builder import (
    CONTRACT_HASH,
    CONTRACT_TWO_HASH,
    DAY_MS,
    PROGRAM,
    PROGRAM_TWO,
    Customer,
    Network,
    make_genesis,
)

QUOTE = chr(34)


def at_once() -> Network:
    """A network without notice: a release may begin today."""
    return Network(make_genesis(parameters=Parameters(contract_notice_days=0)))


def report(network: Network, product_hash: str, **changes: Any) -> tuple[Customer, str, str]:
    """A policy of the product and a claim under it; (customer, claim, policy)."""
    policy = network.commit_policy(product_hash=product_hash, **changes)
    customer, claim_id = network.ready_claim(policy.policy_id)
    return customer, claim_id, policy.policy_id


def pins(network: Network, claim_id: str) -> tuple[PinnedVersion, ...]:
    claim = read_claim(network.state.read, claim_id)
    assert claim is not None
    versions = claim.policies[0].versions
    assert isinstance(versions, tuple)
    return versions


def adjudicate(network: Network, claim_id: str, release: Any) -> str:
    body = network.make_adjudication(claim_id, contract_hash=release.contract_hash, tables_hash=release.tables_hash)
    return network.do("claim.adjudicate", body, "insurer").code


# --- passing


def test_a_release_passes_by_quorum_and_begins_on_its_day() -> None:
    network = Network()
    release = make_release(network, bundle=PROGRAM_TWO)
    proposal = propose_contract(network, release)
    assert proposal.code == "ok"
    proposal_id = proposal.results[0].subject or ""
    assert read_draft(network.state.read, proposal_id) is not None
    assert [vote(network, proposal, name).code for name in VOTERS[:2]] == ["ok", "ok"]
    assert read_product(network.state.read, hash_of(release)) is None
    receipt = vote(network, proposal, VOTERS[2])
    assert [event.topic for event in receipt.results[0].events] == ["contract.released", "governance.passed"]
    header = network.state.header
    assert header is not None
    assert not closes_epoch(header), "no seat and no key changed"
    product = read_product(network.state.read, hash_of(release))
    assert product is not None
    assert (product.owner, product.line, product.proposal_id) == ("insurer", hash_of(release), proposal_id)
    (version,) = line_of(network, hash_of(release)).versions
    assert (version.active_from_ms, version.active_until_ms) == (release.effective_ms, None)
    assert not version.is_active(network.now_ms)
    assert version.is_active(release.effective_ms)
    text = read_release_text(network.state.read, hash_of(release))
    assert text is not None
    assert (text.program, text.tables, text.examples) == (release.program, release.tables, release.examples)
    assert read_draft(network.state.read, proposal_id) is None
    assert read_open_proposals(network.state.read) == ()
    assert read_lines(network.state.read) == (hash_of(release),)
    assert read_program(network.state.read, CONTRACT_TWO_HASH) is not None


def test_the_proposal_in_state_holds_no_text() -> None:
    """Each vote writes the proposal again: it must stay small."""
    network = Network()
    proposal = propose_contract(network, make_release(network))
    state = read_state(network.state.read, ProposalState, proposal.results[0].subject or "")
    assert state is not None
    assert {"program", "tables", "examples"}.isdisjoint(state.changes[0])
    assert len(encode(state)) < 2_000


def test_notice_is_counted_from_the_day_of_the_deciding_vote() -> None:
    network = Network()
    assert propose_contract(network, make_release(network, ahead=6)).code == "NOTICE_SHORT"
    proposal = propose_contract(network, make_release(network, ahead=8))
    assert [vote(network, proposal, name).code for name in VOTERS[:2]] == ["ok", "ok"]
    network.wait(2 * DAY_MS)
    late = vote(network, proposal, VOTERS[2])
    assert late.code == "NOTICE_SHORT", "the deciding vote came when too few days were left"
    assert read_product(network.state.read, hash_of(make_release(network))) is None


def test_a_network_without_notice_lets_a_release_begin_today() -> None:
    network = at_once()
    assert propose_contract(network, make_release(network, ahead=-1)).code == "NOTICE_SHORT"
    release = make_release(network, ahead=0)
    pass_contract(network, release)
    (version,) = line_of(network, hash_of(release)).versions
    assert version.is_active(network.now_ms)


# --- refusals


def test_what_a_proposal_must_be() -> None:
    network = Network()
    good = make_release(network)
    wide = structs.replace(good, examples=encode([{"title": "x" * 1000}] * 199).decode(), program=good.program)
    tables = encode({"product_code": "OP", "note": "n" * 100_000}).decode()
    cases: list[tuple[ContractRelease | ContractWithdrawn, str]] = [
        (structs.replace(wide, tables=tables), "RELEASE_TOO_LARGE"),
        (structs.replace(good, program="{}"), "RELEASE_FORM"),
        (structs.replace(good, program="{"), "RELEASE_FORM"),
        (structs.replace(good, program=good.program.replace(":", ": ", 1)), "RELEASE_FORM"),
        (structs.replace(good, program='{"files":{"program.star":1}}'), "RELEASE_FORM"),
        (structs.replace(good, program=good.program.replace("starlark", "sterling")), "RELEASE_FORM"),
        (structs.replace(good, tables="[]"), "RELEASE_FORM"),
        (structs.replace(good, product_code="IP"), "RELEASE_FORM"),
        (structs.replace(good, examples="{}"), "RELEASE_FORM"),
        (structs.replace(good, examples="[]"), "RELEASE_FORM"),
        (structs.replace(good, examples=encode([{}] * 201).decode()), "RELEASE_FORM"),
        (structs.replace(good, examples="[1]"), "RELEASE_FORM"),
        (structs.replace(good, contract_hash=CONTRACT_TWO_HASH), "RELEASE_HASH"),
        (structs.replace(good, tables_hash=CONTRACT_HASH), "RELEASE_HASH"),
        (structs.replace(good, effective_ms=good.effective_ms + 1), "EFFECTIVE_DAY"),
        (make_release(network, ahead=800), "EFFECTIVE_LATE"),
        (structs.replace(good, supersedes=CONTRACT_HASH), "PRODUCT_UNKNOWN"),
        (ContractWithdrawn(CONTRACT_HASH, "fault"), "PRODUCT_UNKNOWN"),
    ]
    for change, code in cases:
        assert propose_contract(network, change).code == code, code
    assert propose_contract(network, good, author="tpa").code == "ROLE_MISSING"
    assert propose_contract(network, good, make_release(network, 70)).code == "CHANGES_MIXED"
    assert propose_contract(network, good, SeatTaken("tpa")).code == "CHANGES_MIXED"  # type: ignore[arg-type]
    assert read_open_proposals(network.state.read) == ()


def test_no_version_of_unicode_decides_what_the_ledger_takes() -> None:
    """Python calls a letter printable as its tables have it; nodes with other tables must take the same block."""
    network = Network()
    program = encode({"files": {"program.star": "# \U0003ffff\n"}, "language": LANGUAGE}).decode()
    contract_hash = tagged_hex(PROGRAM_TAG, program.encode())
    release = structs.replace(make_release(network), program=program, contract_hash=contract_hash)
    assert propose_contract(network, release).code == "ok", "that it is no program, each node finds out for itself"


def test_a_release_supersedes_the_newest_of_a_line_of_its_owner() -> None:
    network = Network()
    first = make_release(network)
    one = pass_contract(network, first)
    assert propose_contract(network, make_release(network)).code == "PRODUCT_EXISTS"
    assert propose_contract(network, make_release(network, 70, supersedes=one)).code == "EFFECTIVE_EARLY"
    later = make_release(network, 70, ahead=20, supersedes=one)
    assert propose_contract(network, later, author="insurer-two").code == "PRODUCT_OWNER"
    two = pass_contract(network, later)
    again = propose_contract(network, make_release(network, 60, ahead=30, supersedes=one))
    assert (again.code, again.results[0].subject) == ("PRODUCT_SUPERSEDED", two)
    versions = line_of(network, two).versions
    assert [item.product_hash for item in versions] == [one, two]
    assert [item.active_until_ms for item in versions] == [later.effective_ms, None]
    assert read_lines(network.state.read) == (one,)


def test_two_proposals_for_one_place_pass_once() -> None:
    """What was possible when it was proposed is judged again by the deciding vote."""
    network = Network()
    one = pass_contract(network, make_release(network))
    rivals = [propose_contract(network, make_release(network, ratio, ahead=20, supersedes=one)) for ratio in (70, 60)]
    codes = [[vote(network, rival, name).code for name in VOTERS][-1] for rival in rivals]
    assert codes == ["ok", "PRODUCT_SUPERSEDED"]


def test_a_line_is_full_some_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.releases.MAX_VERSIONS", 1)
    network = Network()
    one = pass_contract(network, make_release(network))
    assert propose_contract(network, make_release(network, 70, ahead=20, supersedes=one)).code == "LINE_FULL"


def test_open_proposals_are_counted_and_their_texts_go_when_they_are_over() -> None:
    network = Network()
    made = [propose_contract(network, make_release(network, ratio, ahead=20)) for ratio in range(MAX_OPEN)]
    assert propose_contract(network, make_release(network, 99)).code == "PROPOSALS_OPEN"
    assert propose_contract(network, make_release(network, 99), author="insurer-two").code == "ok"
    network.wait(6 * DAY_MS)
    assert propose_contract(network, make_release(network, 98)).code == "ok"
    assert all(read_draft(network.state.read, item.results[0].subject or "") is None for item in made)
    assert len(read_open_proposals(network.state.read)) == 1


def test_a_proposal_ends_with_its_epoch() -> None:
    network = Network()
    proposal = propose_contract(network, make_release(network))
    assert decide(network, SeatTaken("tpa")).code == "ok"
    assert vote(network, proposal, "hospital").code == "PROPOSAL_OVER"


def test_the_author_takes_a_proposal_back() -> None:
    network = Network()
    proposal = propose_contract(network, make_release(network))
    proposal_id = proposal.results[0].subject or ""
    body = GovernanceWithdraw(proposal_id)
    assert network.do("governance.withdraw", body, "insurer-two").code == "NOT_THE_AUTHOR"
    taken = network.do("governance.withdraw", body, "insurer")
    assert [event.topic for event in taken.results[0].events] == ["governance.withdrawn"]
    assert vote(network, proposal, "hospital").code == "PROPOSAL_OVER"
    assert network.do("governance.withdraw", body, "insurer").code == "PROPOSAL_OVER"
    assert read_draft(network.state.read, proposal_id) is None
    seats = network.do(
        "governance.propose",
        {"changes": [{"change": "validator.remove", "participant": "tpa"}], "expires_ms": network.now_ms + DAY_MS},
        "insurer",
    )
    other = GovernanceWithdraw(seats.results[0].subject or "")
    assert network.do("governance.withdraw", other, "insurer").code == "CHANGES_MIXED"
    assert network.do("governance.withdraw", GovernanceWithdraw("ab" * 32), "insurer").code == "PROPOSAL_UNKNOWN"


def test_the_largest_release_fits_into_a_block_and_nothing_else_may_be_so_large() -> None:
    network = Network()
    quotes = {"title": QUOTE * 140_000}
    release = make_release(network, examples=encode([quotes]).decode())
    assert len(release.examples) > 262_144
    assert propose_contract(network, release).code == "BODY_SCHEMA"
    release = make_release(network, examples=encode([{"title": QUOTE * 125_000}]).decode())
    signed = network.sign(
        "governance.propose", {"changes": [_as_body(release)], "expires_ms": network.now_ms + DAY_MS}, "insurer"
    )
    assert len(signed.encoded) > Limits().transaction_bytes
    assert network.run(signed).receipts[0].code == "ok"


def _as_body(release: Any) -> dict[str, Any]:
    return structs.asdict(release) | {"change": "contract.release"}


# --- withdrawing


def test_a_withdrawn_release_takes_no_new_policy_and_decides_no_later_event() -> None:
    network = at_once()
    first = make_release(network, ahead=0)
    one = pass_contract(network, first)
    network.wait(10 * DAY_MS)
    second = make_release(network, 70, ahead=0, supersedes=one)
    two = pass_contract(network, second)
    policy = network.commit_policy(product_hash=two)
    network.wait(5 * DAY_MS)
    pass_contract(network, ContractWithdrawn(two, "fault"), author="commission")
    found = line_of(network, two).versions[1]
    assert (found.withdrawn_ms, found.active_until_ms, found.reason) == (network.now_ms, network.now_ms, "fault")
    assert propose_contract(network, ContractWithdrawn(two, "fault")).code == "PRODUCT_WITHDRAWN"
    refused = network.make_policy(product_hash=two)
    receipt = network.do("policy.commit", {"policies": [structs.asdict(refused)]}, "insurer")
    assert receipt.code == "PRODUCT_WITHDRAWN"
    _, claim_id = network.ready_claim(policy.policy_id)
    pinned = pins(network, claim_id)
    assert [item.product_hash for item in pinned] == [one, two]
    today = "2999-01-01"
    assert choose_version(pinned, today).product_hash == one, "the latest that was not withdrawn stands in"
    assert adjudicate(network, claim_id, first) == "ok"


def test_a_release_withdrawn_before_its_day_gives_the_day_back() -> None:
    network = Network()
    one = pass_contract(network, make_release(network))
    two = pass_contract(network, make_release(network, 70, ahead=20, supersedes=one))
    pass_contract(network, ContractWithdrawn(two, "market"))
    first, second = line_of(network, two).versions
    assert first.active_until_ms is None
    assert second.active_from_ms == second.active_until_ms


# --- pins


def test_a_claim_pins_the_releases_of_its_look_back_and_replays_under_them() -> None:
    """A decision before, across and after a change of rules: the ledger takes each under a release that was pinned."""
    network = at_once()
    first = make_release(network, ahead=0)
    one = pass_contract(network, first)
    customer, before, policy_id = report(network, one, look_back_days=10)
    second = make_release(network, 70, ahead=1, supersedes=one, bundle=PROGRAM_TWO)
    two = pass_contract(network, second)
    network.wait(3 * DAY_MS)
    assert [item.product_hash for item in pins(network, before)] == [one], "a later activation never enters"
    assert adjudicate(network, before, second) == "CONTRACT_NOT_PINNED"
    assert adjudicate(network, before, first) == "ok", "decided under the rules that it was reported under"
    _, across = network.ready_claim(policy_id)
    assert [item.product_hash for item in pins(network, across)] == [one, two]
    mixed = network.make_adjudication(across, contract_hash=CONTRACT_HASH, tables_hash=second.tables_hash)
    assert network.do("claim.adjudicate", mixed, "insurer").code == "PRODUCT_MISMATCH"
    assert adjudicate(network, across, second) == "ok"
    network.wait(20 * DAY_MS)
    _, after = network.ready_claim(policy_id)
    assert [item.product_hash for item in pins(network, after)] == [two]
    assert adjudicate(network, after, first) == "CONTRACT_NOT_PINNED"
    assert customer.case_id


def test_a_policy_of_another_insurer_or_without_a_release_stays_as_it_was() -> None:
    network = at_once()
    release = make_release(network, ahead=0)
    one = pass_contract(network, release)
    for insurer, product_hash in (("insurer-two", one), ("insurer", CONTRACT_HASH)):
        policy = network.commit_policy(insurer, product_hash=product_hash)
        _, claim_id = network.ready_claim(policy.policy_id, insurer=insurer)
        claim = read_claim(network.state.read, claim_id)
        assert claim is not None
        assert claim.policies[0].pinned == (CONTRACT_HASH,)
        assert not isinstance(claim.policies[0].versions, tuple)
        assert b"versions" not in encode(claim)


def version(name: str, begins: int, ends: int | None, withdrawn: int | None = None) -> LineVersion:
    stop = None if ends is None else ends * DAY_MS
    return LineVersion(name, name, name, begins * DAY_MS, stop, None if withdrawn is None else withdrawn * DAY_MS, None)


def test_look_back_at_its_edges() -> None:
    line = LineState("insurer", (version("a", 0, 10), version("b", 10, 20), version("c", 20, None)))

    def pinned(earliest: int, at: int) -> list[str]:
        return [item.product_hash for item in pin_versions(line, "a", earliest * DAY_MS, at * DAY_MS, 0)]

    assert pinned(9, 19) == ["a", "b"]
    assert pinned(10, 19) == ["b"], "[active_from, active_until): the last day is not in it"
    assert pinned(0, 19) == ["a", "b"]
    assert pinned(15, 20) == ["b", "c"]
    assert pinned(25, 30) == ["c"]
    early = LineState("insurer", (version("later", 40, None),))
    assert [item.product_hash for item in pin_versions(early, "later", 0, DAY_MS, 0)] == ["later"]


def test_the_version_of_an_event() -> None:
    line = LineState("insurer", (version("a", 10, 20), version("b", 20, 25, withdrawn=25), version("c", 30, None)))
    pinned = pin_versions(line, "a", 0, 40 * DAY_MS, 0)
    dates = [f"1970-01-{number:02d}" for number in (1, 11, 20, 21, 25, 26, 30, 31)]
    assert [choose_version(pinned, date).product_hash for date in dates] == list("aaabbaac")


def test_the_calendar_of_the_network_names_the_day() -> None:
    assert day_start(0, 480) == -480 * 60_000
    network = Network()
    assert day_start(day(network, 3), 480) == day(network, 3)
    assert PROGRAM.files


# --- genesis


def test_a_genesis_without_the_parameter_keeps_its_bytes_and_seven_days() -> None:
    genesis = make_genesis()
    data = encode_genesis(genesis)
    assert b"contract_notice_days" not in data
    assert decode_genesis(data).parameters.notice_days == 7
    named: Genesis = structs.replace(genesis, parameters=Parameters(contract_notice_days=0))
    assert decode_genesis(encode_genesis(named)).parameters.notice_days == 0
