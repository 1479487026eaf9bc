"""`consensus.evidence`: who is put on record, what is refused, and what it costs at most (R11, B20)."""

import msgspec
import pytest

from contracts.bodies import SeatTaken
from contracts.execution import build_block, execute_block
from contracts.limits import MAX_AUTHOR_EVIDENCE, MAX_BLOCK_EVIDENCE
from contracts.offences import MAX_OFFENCES, RECENT_EPOCHS, is_recent, read_offence, read_offender
from contracts.receipts import Receipt
from contracts.states import OffenceState, OffenderState
from ledger.blocks import Block
from ledger.certificates import Kind
from ledger.errors import InvalidBlock
from ledger.offences import OFFENCES, Proof, build_proof, derive_offence_id
from ledger.transactions import SignedTransaction
from tests.support.governance import VOTERS, decide, freeze, seat
from tests.support.network_chain import BLOCK_MS, NetworkChain
from tests.support.network_members import NETWORK
from tests.support.offences import as_body, in_order, sign_vote

KIND = "consensus.evidence"
CULPRIT = "tpa"


def offence(
    network: NetworkChain, kinds: tuple[Kind, Kind] = ("notarize", "notarize"), *, view: int = 7, epoch: int = 1
) -> Proof:
    one = sign_vote(network, CULPRIT, kinds[0], "a", view=view, epoch=epoch)
    other = sign_vote(network, CULPRIT, kinds[1], "b", view=view, epoch=epoch)
    return build_proof(CULPRIT, one, other)


def report(network: NetworkChain, proof: Proof, author: str = "hospital") -> Receipt:
    return network.do(KIND, as_body(proof), author)


@pytest.mark.parametrize("kinds", OFFENCES)
def test_an_offence_is_recorded(kinds: tuple[Kind, Kind]) -> None:
    network = NetworkChain()
    proof = offence(network, kinds)
    receipt = report(network, proof)
    offence_id = derive_offence_id(NETWORK, proof)
    assert (receipt.code, receipt.results[0].subject) == ("ok", offence_id)
    assert [(event.topic, event.subject) for event in receipt.results[0].events] == [("validator.offence", offence_id)]
    assert read_offence(network.state.read, offence_id) == OffenceState(
        culprit=CULPRIT, kind=OFFENCES[kinds], epoch=1, view=7, reporter="hospital", height=1
    )
    assert read_offender(network.state.read, CULPRIT) == OffenderState(total=1, recent=((1, 1),))


def test_it_is_recorded_once_whoever_reports_it() -> None:
    """Another pair of the same kinds in the same view is the same offence; other kinds are another one."""
    network = NetworkChain()
    proof = offence(network)
    assert report(network, proof).code == "ok"
    again = report(network, proof, "insurer")
    assert (again.code, again.results[0].subject) == ("OFFENCE_KNOWN", derive_offence_id(NETWORK, proof))
    third = build_proof(CULPRIT, *(sign_vote(network, CULPRIT, "notarize", label) for label in "bc"))
    assert report(network, third, "commission").code == "OFFENCE_KNOWN"
    assert report(network, offence(network, ("finalize", "nullify"))).code == "ok"
    found = read_offender(network.state.read, CULPRIT)
    assert found == OffenderState(total=2, recent=((1, 2),))


def test_two_reports_in_one_block() -> None:
    network = NetworkChain()
    body = as_body(offence(network))
    block = network.run(*(network.sign(KIND, body, name) for name in ("hospital", "insurer", "auditor")))
    assert [receipt.code for receipt in block.receipts] == ["ok", "OFFENCE_KNOWN", "OFFENCE_KNOWN"]


def test_any_participant_may_report_unless_frozen() -> None:
    network = NetworkChain()
    assert report(network, offence(network), "auditor").code == "ok"
    assert freeze(network, "insurer", "commission", "hospital", "tpa").code == "ok"
    assert report(network, offence(network, view=8), "insurer").code == "PARTICIPANT_FROZEN"
    assert report(network, offence(network, view=8), "tpa").code == "ok", "it may confess"


def test_nothing_else_happens() -> None:
    """No seat, key or role changes: that is governance's."""
    network = NetworkChain()
    before = network.state.validators
    report(network, offence(network))
    assert network.state.validators == before
    written = set(network.blocks[-1].changes)
    assert {key.split("/")[0] for key in written} == {"offence", "offender"}


def test_forged_reports_leave_no_record() -> None:
    """B20: what `tests/unit/ledger/test_offences.py` tries on the proof, once through a block."""
    network = NetworkChain()
    proof = offence(network)
    lawful = in_order(CULPRIT, sign_vote(network, CULPRIT, "notarize"), sign_vote(network, CULPRIT, "nullify"))
    one = sign_vote(network, CULPRIT, "notarize", "a")
    elsewhere = sign_vote(network, CULPRIT, "notarize", "b", chain=bytes(32))
    forged = [
        msgspec.structs.replace(proof, second=proof.first),
        msgspec.structs.replace(proof, first=proof.second, second=proof.first),
        msgspec.structs.replace(proof, signer="insurer"),
        msgspec.structs.replace(proof, signer="auditor"),
        msgspec.structs.replace(proof, view=8),
        lawful,
        in_order(CULPRIT, one, elsewhere),
        in_order(CULPRIT, one, sign_vote(network, "hospital", "notarize", "b")),
    ]
    assert {report(network, item).code for item in forged} == {"OFFENCE_UNSOUND"}
    assert not any(key.startswith("offen") for key in network.store)
    assert report(network, proof).code == "ok", "what was forged before hinders nothing"


def test_bodies_are_closed() -> None:
    network = NetworkChain()
    body = msgspec.to_builtins(as_body(offence(network)))
    assert network.do(KIND, body | {"note": "x"}, "hospital").code == "BODY_SCHEMA"
    assert network.do(KIND, body | {"epoch": -1}, "hospital").code == "BODY_SCHEMA"


def test_epochs_that_are_not_here_yet() -> None:
    network = NetworkChain()
    for epoch in (0, 2, 2**53 - 1):
        assert report(network, offence(network, epoch=epoch)).code == "OFFENCE_EPOCH"


def test_a_seat_that_was_left_is_judged_by_the_set_of_its_epoch() -> None:
    """Sets of recent epochs come from state; the first one from genesis."""
    network = NetworkChain()
    first, second, third = (offence(network, epoch=epoch) for epoch in (1, 2, 3))
    assert decide(network, seat("auditor")).code == "ok"
    assert decide(network, SeatTaken(CULPRIT), voters=(*VOTERS, "auditor")).code == "ok"
    assert network.state.validators.epoch == 3
    assert [report(network, item).code for item in (first, second)] == ["ok", "ok"]
    assert report(network, third).code == "OFFENCE_UNSOUND", "it has no seat in this epoch"
    found = read_offender(network.state.read, CULPRIT)
    assert found == OffenderState(total=2, recent=((1, 1), (2, 1)))


def test_old_epochs_are_not_judged() -> None:
    assert [is_recent(epoch, 8) for epoch in (0, 1, 8, 9)] == [False, True, True, False]
    network = NetworkChain()
    old = offence(network)
    assert report(network, offence(network, view=1000)).code == "ok"
    for number in range(RECENT_EPOCHS):
        assert decide(network, seat("insurer", label=f"new {number}")).code == "ok"
    assert report(network, old).code == "OFFENCE_EPOCH"
    present = network.state.validators.epoch
    assert report(network, offence(network, epoch=present)).code == "ok"
    found = read_offender(network.state.read, CULPRIT)
    assert found == OffenderState(total=2, recent=((present, 1),)), "counts of old epochs go, the total stays"


def test_one_validator_fills_little_state() -> None:
    network = NetworkChain()
    codes = [report(network, offence(network, view=view)).code for view in range(4, 4 + MAX_OFFENCES)]
    assert set(codes) == {"ok"}
    refused = report(network, offence(network, view=100))
    assert (refused.code, refused.results[0].subject) == ("OFFENCE_LIMIT", CULPRIT)
    assert report(network, offence(network, view=4)).code == "OFFENCE_KNOWN"


def test_a_block_carries_few() -> None:
    """The proposer leaves out what the voter refuses; other kinds are not hindered."""
    network = NetworkChain()
    body = as_body(offence(network))
    authors = ("hospital", "insurer", "auditor", "commission", "tpa")
    flood = [network.sign(KIND, body, authors[number % 5]) for number in range(MAX_BLOCK_EVIDENCE + 2)]
    other = network.sign("consent.grant", {"tokens": ["x"]}, "hospital")
    time_ms = network.now_ms + BLOCK_MS
    built = build_block(network.state, [*flood, other], time_ms=time_ms)
    assert list(built.transactions) == [*flood[:MAX_BLOCK_EVIDENCE], other]
    execute_block(network.state, built.block, network.verify)
    with pytest.raises(InvalidBlock) as caught:
        execute_block(network.state, whole_block(network, flood), network.verify)
    assert caught.value.code == "block_evidence"


def test_one_author_has_few_of_them() -> None:
    """Whoever sends forged reports keeps no true one out."""
    network = NetworkChain()
    body = as_body(offence(network))
    flood = [network.sign(KIND, body, "insurer") for _ in range(MAX_AUTHOR_EVIDENCE + 1)]
    true = network.sign(KIND, body, "hospital")
    built = build_block(network.state, [*flood, true], time_ms=network.now_ms + BLOCK_MS)
    assert list(built.transactions) == [*flood[:MAX_AUTHOR_EVIDENCE], true]
    with pytest.raises(InvalidBlock) as caught:
        execute_block(network.state, whole_block(network, flood), network.verify)
    assert caught.value.code == "author_evidence"


def whole_block(network: NetworkChain, candidates: list[SignedTransaction]) -> Block:
    header = build_block(network.state, [], time_ms=network.now_ms + BLOCK_MS).block.header
    return Block(header=header, transactions=tuple(item.encoded for item in candidates))
