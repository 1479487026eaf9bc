"""Waking up: replay of the journal, the guards against a lost or old journal, and the question to the peers.

Knows what a previous life may have signed. Must always hold: no vote is signed before the replayed own votes
are in their views, the journal is shown to be at least as new as the guard file and the application's floor, and
n-1-f peers have shown no vote of ours that the journal does not know.
"""

from dataclasses import replace

from consensus.certifying import begin_view, learn, note_seen
from consensus.effects import Rewrite
from consensus.inputs import Start
from consensus.journal import FloorMark, OwnVote, StoredCertificate, StoredPayload
from consensus.messages import AskPosition, TellPosition
from consensus.outbox import Outbox
from consensus.state import Halted, State
from consensus.types import Position
from ledger.certificates import Certificate, Vote, signers_of, verify_certificate, verify_vote
from ledger.errors import InvalidCertificate


def on_start(state: State, out: Outbox, start: Start) -> None:
    """Replay, then re-enter the highest view. Nothing is sent again but what R8 and R9 repeat anyway.

    Raises Halted: `store_behind_journal`, `journal_behind_guard`, `floor` or `foreign_journal`.
    """
    state.started = True
    state.incarnation = start.incarnation
    state.delivered = start.floor.ref
    state.last_block_at = state.last_final_at = state.standstill_at = state.now
    start = _drop_closed_epoch(state, out, start)
    _check_floor(state, start)
    if start.floor.certificate is not None:
        learn(state, out, start.floor.certificate, replay=True)
    for record in start.records:
        if isinstance(record, OwnVote):
            _replay_vote(state, record.vote)
        elif isinstance(record, StoredCertificate):
            _check_record_epoch(state, record.certificate)
            learn(state, out, record.certificate, replay=True)
    for record in start.records:
        if isinstance(record, StoredPayload):
            _replay_payload(state, record)
            state.journal_bytes += len(record.payload)
    _check_guard(state, start)
    own = [number for number, view in state.views.items() if view.own]
    state.view = max([1, state.final_view + 1, state.exit_view + 1, *own])
    state.answers = set()
    state.may_vote = state.me is not None and _answers_needed(state) == 0
    begin_view(state, out)
    if state.me is not None:
        ask_positions(state, out)


def _drop_closed_epoch(state: State, out: Outbox, start: Start) -> Start:
    """R12: a journal of an earlier epoch, which the store has left, is replaced: nothing signed in that epoch can
    contradict anything here. One of a later epoch stops this validator (`_check_record_epoch`)."""
    epochs = [_epoch_of(record) for record in start.records if not isinstance(record, StoredPayload)]
    if not epochs or max(epochs) >= state.config.epoch:
        return start
    if state.me is not None:
        out.rewrite = Rewrite((FloorMark(state.config.epoch, start.floor.ref.view),))
    return replace(start, records=())


def _epoch_of(record: OwnVote | StoredCertificate | FloorMark) -> int:
    match record:
        case OwnVote(vote):
            return vote.epoch
        case StoredCertificate(certificate):
            return certificate.epoch
        case FloorMark(epoch):
            return epoch


def _check_floor(state: State, start: Start) -> None:
    """1.4: the floor proves itself, and the journal must not have forgotten more than the store remembers."""
    for record in start.records:
        if isinstance(record, FloorMark) and record.epoch != state.config.epoch:
            raise Halted("foreign_journal", f"the journal is of epoch {record.epoch}, not {state.config.epoch}")
        if isinstance(record, FloorMark) and record.view > start.floor.ref.view:
            detail = f"the journal was cut at view {record.view}, the store ends at view {start.floor.ref.view}"
            raise Halted("store_behind_journal", detail)
    certificate = start.floor.certificate
    if certificate is None:
        if start.floor.ref != state.root:
            raise Halted("floor", "a floor above the root needs its finalization")
        return
    try:
        verify_certificate(certificate, state.config.validators, state.config.chain, state.config.scheme)
    except InvalidCertificate as error:
        raise Halted("floor", f"the stored finalization does not verify: {error}") from None
    if certificate.kind != "finalize" or certificate.view < start.floor.ref.view:
        raise Halted("floor", "the stored certificate does not make the stored block final", (certificate,))


def _check_record_epoch(state: State, certified: Certificate | Vote) -> None:
    if certified.epoch != state.config.epoch:
        raise Halted("foreign_journal", f"a record of epoch {certified.epoch} in epoch {state.config.epoch}")


def _replay_vote(state: State, vote: Vote) -> None:
    """An own vote sets its flag, fills the slot, and is counted again: nobody else will tell us of it."""
    _check_record_epoch(state, vote)
    if vote.signer != state.me:
        raise Halted("foreign_journal", f"the journal holds votes of validator {vote.signer}")
    if vote.view <= state.delivered.view:
        return
    view = state.at(vote.view)
    view.own[vote.kind] = vote
    view.tally.add(vote)
    note_seen(state, vote)
    if vote.kind == "notarize" and view.slot is None and vote.digest is not None:
        view.slot = view.candidate(vote.parent_view, bytes.fromhex(vote.digest))


def _replay_payload(state: State, record: StoredPayload) -> None:
    """Bytes go back to the block they were stored for; the application is asked about them anew."""
    if record.view > state.delivered.view and record.view in state.views:
        for candidate in state.views[record.view].named(record.digest):
            candidate.payload, candidate.stored = record.payload, True


def _check_guard(state: State, start: Start) -> None:
    """A9: the guard file is written after the journal, so a guard that is ahead means an old or lost journal."""
    marks = [record.view for record in start.records if isinstance(record, FloorMark)]
    signed = [
        Position(state.config.epoch, number, 1 if set(view.own) == {"notarize"} else 2)
        for number, view in state.views.items()
        if view.own
    ]
    known = max([Position(state.config.epoch, max([0, *marks]), 2), *signed])
    replayed = [r.vote for r in start.records if isinstance(r, OwnVote) and r.vote.view <= state.delivered.view]
    for vote in replayed:
        known = max(known, Position(vote.epoch, vote.view, 1 if vote.kind == "notarize" else 2))
    state.vouched_view = known.view
    if start.guard is not None and start.guard > known:
        raise Halted("journal_behind_guard", f"signed up to {start.guard}, the journal knows up to {known}")
    state.guard = max([position for position in (start.guard, *signed) if position is not None], default=None)


def _answers_needed(state: State) -> int:
    """n-1-f of the others."""
    return state.n - 1 - state.faulty


def ask_positions(state: State, out: Outbox) -> None:
    """A9: ask everybody who has not answered; repeated until enough have."""
    if state.may_vote or state.me is None or state.closed:
        return
    state.ask_again_at = state.now + state.config.timing.retry
    question = AskPosition(state.config.epoch, state.incarnation)
    for index, peer in enumerate(state.ids):
        if index != state.me and index not in state.answers:
            out.send(peer, question)


def on_position_asked(state: State, out: Outbox, sender: str, asked: AskPosition) -> bool:
    """Tell a validator what proves its highest position; ask back at once when its own answer is still missing."""
    index = state.index.get(sender)
    if index is None:
        return False
    vote, certificate = state.last_seen.get(index, (None, None))
    out.send(sender, TellPosition(asked.epoch, asked.incarnation, vote, certificate))
    if not (state.may_vote or state.closed) and state.me is not None and index not in state.answers:
        out.send(sender, AskPosition(state.config.epoch, state.incarnation))
    return True


def on_position_told(state: State, out: Outbox, sender: str, told: TellPosition) -> bool:
    """A9: enough peers know of nothing that the journal does not: voting may begin.

    Raises Halted `unknown_vote` when a peer proves the contrary.
    """
    index = state.index.get(sender)
    current = told.incarnation == state.incarnation
    if index is None or index == state.me or not current or state.may_vote or state.me is None or state.closed:
        return index is not None
    proofs: list[Vote | Certificate] = [one for one in (told.vote, told.certificate) if one is not None]
    for proof in proofs:
        if not _is_ours(state, proof):
            state.blame(out, sender, "position")
            return False
        if not _is_known(state, proof):
            certificates = (proof,) if isinstance(proof, Certificate) else ()
            detail = f"{sender} shows our {proof.kind} vote of view {proof.view}, which the journal does not hold"
            raise Halted("unknown_vote", detail, certificates)
    state.answers.add(index)
    state.may_vote = len(state.answers) >= _answers_needed(state)
    return True


def _is_ours(state: State, proof: Vote | Certificate) -> bool:
    config = state.config
    try:
        if isinstance(proof, Vote):
            verify_vote(proof, config.validators, config.chain, config.scheme)
            return proof.signer == state.me
        verify_certificate(proof, config.validators, config.chain, config.scheme)
        return state.me in signers_of(proof)
    except InvalidCertificate:
        return False


def _is_known(state: State, proof: Vote | Certificate) -> bool:
    """Own votes up to the delivered view are not kept: nothing is ever signed there again. But whatever is above all
    that the journal spoke of at the start is the word of another life, also when blocks were fetched up to there since.
    """
    if proof.view > state.vouched_view:
        return False
    if proof.view <= state.delivered.view:
        return True
    view = state.views.get(proof.view)
    own = view.own.get(proof.kind) if view is not None else None
    return own is not None and own.subject == proof.subject
