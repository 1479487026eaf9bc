"""Who may change the set of validators, what a set must keep, and when it acts (rule R12; O1, O7, B11)."""

from msgspec import structs

from contracts.bodies import GovernancePropose, GovernanceVote, PolicyCommit, SeatGiven, SeatTaken, Thawed
from contracts.genesis import FinalityKey
from contracts.states import FreezeState, ProposalState, read_key, read_participant, read_state
from contracts.validators import closes_epoch, read_epoch, read_validators
from ledger.blocks import Header
from tests.support.governance import (
    VOTERS,
    decide,
    finality_key,
    freeze,
    propose,
    rotation,
    seat,
    signing_key,
    vote,
)
from tests.support.network_builder import DAY_MS, Network, make_genesis, make_invoice_key, make_participant
from tests.support.network_members import MEMBERS, make_bytes, make_member


def seats(network: Network) -> list[str]:
    return [validator.id for validator in network.state.validators.validators]


def header(network: Network) -> Header:
    assert network.state.header is not None
    return network.state.header


def test_a_quorum_of_validators_gives_a_seat() -> None:
    """O1: the block of the deciding vote is the last of its epoch; the next one is the new set's, one height higher."""
    network = Network()
    proposal = propose(network, seat("auditor"))
    assert [vote(network, proposal, name).code for name in VOTERS[:2]] == ["ok", "ok"]
    assert not closes_epoch(header(network))
    receipt = vote(network, proposal, VOTERS[2])
    assert [event.topic for event in receipt.results[0].events] == ["governance.passed"]
    boundary = header(network)
    assert closes_epoch(boundary)
    assert (boundary.epoch, network.state.validators.epoch) == (1, 2)
    assert boundary.next_validator_set_hash == network.state.validators.hash.hex()
    network.run()
    first = header(network)
    assert (first.epoch, first.height, first.parent) == (2, boundary.height + 1, network.blocks[-2].header_hash.hex())
    assert first.validator_set_hash == first.next_validator_set_hash == boundary.next_validator_set_hash
    assert seats(network) == sorted(["auditor", "commission", "hospital", "insurer", "tpa"])
    state = read_epoch(network.state.read, 2)
    assert state is not None
    assert state.from_height == first.height
    member = read_participant(network.state.read, "auditor")
    assert member is not None
    assert member.validator
    assert read_validators(network.state.read, network.genesis) == network.state.validators


def test_seats_are_taken_replaced_and_given_back() -> None:
    """O1: remove and add in one proposal, then the old member again with its old keys."""
    network = Network()
    assert decide(network, SeatTaken("tpa"), seat("auditor")).code == "ok"
    assert seats(network) == ["auditor", "commission", "hospital", "insurer"]
    assert decide(network, seat("tpa"), SeatTaken("auditor")).code == "ok"
    assert seats(network) == ["commission", "hospital", "insurer", "tpa"]
    assert network.state.validators.epoch == 3
    assert decide(network, seat("tpa", label="new")).code == "ok"
    assert network.state.validators.validators[3].finality_key == finality_key("new").public_key


def test_one_control_group_is_one_voice() -> None:
    """O1: two members of one group do not make a quorum with one other."""
    members = [
        structs.replace(
            make_participant(name),
            validator=True,
            control_group="care" if name in ("hospital", "commission") else name,
        )
        for name in sorted(MEMBERS)
    ]
    network = Network(genesis=make_genesis(participants=members[:7]))
    assert len(network.state.validators) == 7
    groups = {member.control_group for member in members[:7]}
    voters = [member.id for member in members[:7]]
    proposal = propose(network, rotation("insurer-two"), author=voters[0])
    for name in voters:
        receipt = vote(network, proposal, name)
        state = read_state(network.state.read, ProposalState, proposal.results[0].subject or "")
        assert state is not None
        if state.passed_height is not None:
            break
    assert receipt.code == "ok"
    spoken = {member.control_group for member in members if member.id in state.voters}
    assert len(groups) < len(voters)
    assert len(spoken) == len(groups) - (len(groups) - 1) // 3


def test_votes_are_counted_once_and_only_from_seats() -> None:
    network = Network()
    proposal = propose(network, seat("auditor"), author="auditor")
    assert vote(network, proposal, "auditor").code == "NOT_A_VALIDATOR"
    assert vote(network, proposal, "hospital").code == "ok"
    assert vote(network, proposal, "hospital").code == "ALREADY_VOTED"
    assert network.do("governance.vote", GovernanceVote("ab" * 32), "hospital").code == "PROPOSAL_UNKNOWN"
    for name in ("insurer", "tpa"):
        assert vote(network, proposal, name).code == "ok"
    assert vote(network, proposal, "commission").code == "PROPOSAL_OVER"


def test_a_proposal_ends_with_its_time_and_with_its_epoch() -> None:
    """B14, one level up: a vote given to another set counts for nothing."""
    network = Network()
    late, stale = propose(network, seat("auditor")), propose(network, seat("auditor"), days=2)
    network.wait(DAY_MS + 1)
    assert vote(network, late, "hospital").code == "PROPOSAL_OVER"
    assert vote(network, stale, "hospital").code == "ok"
    assert decide(network, seat("auditor")).code == "ok"
    assert vote(network, stale, "insurer").code == "PROPOSAL_OVER"


def test_the_period_of_a_proposal_is_bounded_and_its_name_is_its_content() -> None:
    network = Network()
    assert propose(network, seat("auditor"), days=0).code == "PROPOSAL_PERIOD"
    assert propose(network, seat("auditor"), days=31).code == "PROPOSAL_PERIOD"
    body = GovernancePropose((seat("auditor"),), network.now_ms + DAY_MS)
    assert network.do("governance.propose", body, "hospital").code == "ok"
    assert network.do("governance.propose", body, "hospital").code == "PROPOSAL_EXISTS"
    assert network.do("governance.propose", body, "insurer").code == "ok"


def test_sets_that_must_not_be() -> None:
    """O1, B11: no empty set, no group above f, no key without possession or with two holders."""
    network = Network(genesis=make_genesis(participants=_with_invoice_key()))
    everybody = [SeatTaken(name) for name in seats(network)]
    invoice = make_invoice_key()
    good = seat("auditor")
    cases = [
        (everybody, "SET_EMPTY"),
        ([SeatTaken("auditor")], "NOT_A_VALIDATOR"),
        ([seat("tpa-owned")], "SET_CONTROL_GROUP"),
        ([structs.replace(good, participant="nobody")], "PARTICIPANT_UNKNOWN"),
        ([structs.replace(good, signing_key=signing_key("hospital"))], "KEY_UNFIT"),
        ([structs.replace(good, signing_key=signing_key("auditor", 5))], "KEY_UNFIT"),
        ([seat("auditor", label="hospital")], "KEY_IN_USE"),
        ([structs.replace(good, finality_key=FinalityKey(invoice.public_key, invoice.possession))], "KEY_IN_USE"),
        ([seat("auditor", label="x"), SeatTaken("tpa"), seat("tpa", label="x")], "KEY_IN_USE"),
        ([structs.replace(good, finality_key=_unpossessed())], "KEY_UNSOUND"),
        ([structs.replace(good, finality_key=FinalityKey("c0" + "00" * 47, "c0" + "00" * 95))], "KEY_UNSOUND"),
        ([rotation("hospital", number=0)], "KEY_IN_USE"),
        ([structs.replace(rotation("hospital"), public_key="00" * 32)], "KEY_UNSOUND"),
        ([structs.replace(rotation("hospital"), public_key=make_participant("tpa").note_key)], "KEY_IN_USE"),
        ([structs.replace(rotation("hospital"), retires=make_member("tpa").key_id)], "KEY_UNFIT"),
        ([rotation("hospital"), rotation("hospital", number=2)], "KEY_UNFIT"),
        ([Thawed("hospital")], "NOT_FROZEN"),
    ]
    for changes, code in cases:
        assert propose(network, *changes).code == code, (changes, code)
    assert network.state.validators.epoch == 1


def _with_invoice_key() -> list[object]:
    held = make_participant("commission", invoice_keys=(make_invoice_key(),))
    return [held if name == "commission" else make_participant(name) for name in sorted(MEMBERS)]


def _unpossessed() -> FinalityKey:
    return FinalityKey(finality_key("one").public_key, finality_key("two").possession)


def test_a_key_that_was_left_behind_stays_its_own() -> None:
    """B11: a former finality key cannot become somebody else's."""
    network = Network()
    assert decide(network, seat("tpa", label="second")).code == "ok"
    assert decide(network, SeatTaken("insurer")).code == "ok"
    assert propose(network, seat("auditor", label="tpa")).code == "KEY_IN_USE"
    assert propose(network, seat("auditor", label="insurer")).code == "KEY_IN_USE"


def test_two_proposals_of_one_block_add_up() -> None:
    network = Network()
    first, second = propose(network, seat("auditor")), propose(network, SeatTaken("tpa"))
    for name in VOTERS[:2]:
        assert vote(network, first, name).code == vote(network, second, name).code == "ok"
    bodies = [GovernanceVote(one.results[0].subject or "") for one in (first, second)]
    block = network.run(*(network.sign("governance.vote", body, VOTERS[2]) for body in bodies))
    assert [receipt.code for receipt in block.receipts] == ["ok", "ok"]
    assert seats(network) == ["auditor", "commission", "hospital", "insurer"]
    assert network.state.validators.epoch == 2


def test_what_no_longer_fits_does_not_pass() -> None:
    """Two proposals that are sound alone and not together: the second deciding vote is refused, the set stays."""
    network = Network()
    taken = [propose(network, SeatTaken("tpa")) for _ in range(2)]
    for name in VOTERS[:2]:
        for one in taken:
            assert vote(network, one, name).code == "ok"
    bodies = [GovernanceVote(one.results[0].subject or "") for one in taken]
    block = network.run(*(network.sign("governance.vote", body, VOTERS[2]) for body in bodies))
    assert [receipt.code for receipt in block.receipts] == ["ok", "NOT_A_VALIDATOR"]
    assert seats(network) == ["commission", "hospital", "insurer"]


def test_a_signing_key_is_rotated_with_an_overlap() -> None:
    """O6: both keys count in [h1, h2]; the seat votes with the new one from the next epoch on."""
    network = Network()
    old, new = make_member("insurer"), make_member("insurer", 1)
    assert decide(network, rotation("insurer", overlap=2)).code == "ok"
    begins = network.state.height + 1
    assert network.state.validators.validators[2].signing_key == signing_key("insurer", 1)
    for member, codes in ((old, ["ok", "KEY_NOT_ACTIVE"]), (new, ["ok", "ok"])):
        known = read_key(network.state.read, member.key_id)
        assert known is not None
        assert known.is_active(begins)
        assert known.is_active(begins + 2) == (codes[-1] == "ok")
    listed = read_participant(network.state.read, "insurer")
    assert listed is not None
    assert listed.signing_keys == (new.key_id, old.key_id)
    received = []
    for member in (old, new, old):
        body = PolicyCommit((network.make_policy(),))
        received.append(network.do("policy.commit", body, "insurer", member=member).code)
    assert received == ["ok", "ok", "KEY_NOT_ACTIVE"]


def test_a_freeze_acts_from_the_next_block() -> None:
    """O7: q of the other groups; the frozen member's transactions are refused and its endorsements void."""
    network = Network()
    assert freeze(network, "insurer", "hospital", "commission").code == "ok"
    assert freeze(network, "insurer", "hospital").code == "ALREADY_VOTED"
    assert network.do("policy.commit", PolicyCommit((network.make_policy(),)), "insurer").code == "ok"
    receipt = freeze(network, "insurer", "tpa")
    assert [event.topic for event in receipt.results[0].events] == ["participant.frozen"]
    state = read_state(network.state.read, FreezeState, "insurer")
    assert state is not None
    assert state.from_height == network.state.height + 1
    refused = network.do("policy.commit", PolicyCommit((network.make_policy(),)), "insurer")
    assert refused.code == "PARTICIPANT_FROZEN"
    assert "insurer" in seats(network), "its vote on the order stays until a proposal takes the seat"
    assert freeze(network, "insurer", "tpa").code == "ALREADY_FROZEN"
    assert decide(network, Thawed("insurer"), voters=("commission", "hospital", "tpa")).code == "ok"
    assert network.do("policy.commit", PolicyCommit((network.make_policy(),)), "insurer").code == "ok"


def test_who_may_freeze_whom() -> None:
    network = Network()
    assert freeze(network, "auditor", "auditor").code == "NOT_A_VALIDATOR"
    assert freeze(network, "tpa-owned", "insurer").code == "FREEZE_OWN_GROUP"
    assert freeze(network, "insurer", "insurer").code == "FREEZE_OWN_GROUP"
    assert freeze(network, "nobody", "insurer").code == "PARTICIPANT_UNKNOWN"
    frozen = freeze(network, "tpa-owned", "hospital", "tpa", "commission")
    assert [event.topic for event in frozen.results[0].events] == ["participant.frozen"]


def test_support_for_a_freeze_ends_with_the_epoch() -> None:
    network = Network()
    assert freeze(network, "auditor", "hospital", "insurer").code == "ok"
    assert decide(network, rotation("tpa")).code == "ok"
    freeze(network, "auditor", "commission")
    state = read_state(network.state.read, FreezeState, "auditor")
    assert state is not None
    assert (state.supporters, state.from_height) == (("commission",), None)


def test_a_seat_names_a_key_that_will_be_there() -> None:
    """A key about to end cannot hold a seat."""
    network = Network()
    assert decide(network, rotation("auditor", overlap=50)).code == "ok"
    assert propose(network, seat("auditor")).code == "KEY_UNFIT"
    assert propose(network, SeatGiven("auditor", signing_key("auditor", 1), finality_key("auditor"))).code == "ok"
    assert make_bytes("signing auditor 1") == make_member("auditor", 1).seed
