"""What is missing and who is asked for it (R10), and when everything is said again (R8, R9).

Knows what the rules wait for; adds nothing to what they believe. Must always hold: at most MAX_WANTS things
are asked for at once, each from one peer at a time, and nothing is asked for that would not be kept.
"""

from collections.abc import Iterator

from consensus.effects import Behind
from consensus.messages import Certified, VoteCast, WantCertificate, WantPayload
from consensus.outbox import Outbox
from consensus.proposing import unproven_views
from consensus.state import Attempt, State
from ledger.certificates import Kind, signers_of

MAX_WANTS = 8
"""Fetches under way; each is answered by at most one message, so this bounds what repair costs."""
NEAR_VIEWS = 64
"""A final block further above the delivered one is left to the host's block sync at once."""
STANDSTILL_VIEWS = 64
"""R9: views above the last finalization that are told again: the highest ones, from which all others follow."""
STANDSTILL_MAX = 30_000
"""R9: with nothing above the last finalization the repetition slows down to this many milliseconds."""


def find_wants(state: State) -> Iterator[tuple[str, int]]:
    """What is missing, the most urgent first: `payload` or a certificate kind, and the view."""
    yield from _gap_wants(state)
    for number in state.pending:
        if number > state.final_view:
            yield from _block_wants(state, number)
    slot = state.at(state.view).slot
    if slot is not None:
        yield from (("nullify", number) for number in unproven_views(state, state.view, slot.parent_view))
    for number in range(state.view - 1, state.final_view, -1):  # R10a: what the next leader must prove
        if state.usable(number):
            return
        if not state.holds("nullify", number):
            yield "nullify", number


def _gap_wants(state: State) -> Iterator[tuple[str, int]]:
    """The way down from the last finalization to the delivered block, when it is short."""
    number = state.final_view
    if number - state.delivered.view > NEAR_VIEWS:
        return
    while number > state.delivered.view:
        found = state.views.get(number)
        if found is None or found.decided is None:
            yield "notarize", number
            return
        yield from _block_wants(state, number)
        number = found.decided.parent_view


def _block_wants(state: State, number: int) -> Iterator[tuple[str, int]]:
    decided = state.views[number].decided
    assert decided is not None, "pending views are decided"
    if decided.payload is None:
        yield "payload", number
    parent = decided.parent_view
    if parent > state.delivered.view and state.ref(parent) is None:
        yield "notarize", parent


def fetch(state: State, out: Outbox) -> None:
    """R10: keep asking, one peer after the other, while something is missing."""
    wanted: dict[tuple[str, int], Attempt] = {}
    timing = state.config.timing
    for want in find_wants(state):
        if len(wanted) == MAX_WANTS:
            break
        wanted[want] = state.wants.get(want) or Attempt(state.now + timing.fetch_grace)
    state.wants = wanted
    for (kind, number), attempt in wanted.items():
        if attempt.next_at <= state.now:
            peer = _peer_for(state, kind, number, attempt.tries)
            attempt.tries += 1
            attempt.next_at = state.now + timing.fetch_retry
            if peer is not None:
                _ask(state, out, peer, kind, number)


def _peer_for(state: State, kind: str, number: int, tries: int) -> int | None:
    """R10b: the proposer first when its proposal lacks proofs. R10c: bytes from those who signed that they hold them.
    Otherwise everybody in turn."""
    peers = [i for i in range(state.n) if i != state.me]
    found = state.views.get(number)
    if kind == "payload" and found is not None:
        proof = found.certificates.get("notarize") or found.certificates.get("finalize")
        peers = [i for i in signers_of(proof) if i != state.me] if proof is not None else peers
    elif kind == "nullify" and tries == 0 and state.at(state.view).slot is not None:
        peers = [i for i in (state.leader(state.view),) if i != state.me] or peers
    return peers[(number + tries) % len(peers)] if peers else None


def _ask(state: State, out: Outbox, peer: int, kind: str, number: int) -> None:
    if kind == "payload":
        decided = state.views[number].decided
        assert decided is not None, "payloads are wanted for decided views"
        out.send(state.ids[peer], WantPayload(decided.digest.hex()))
        return
    wanted: Kind = "nullify" if kind == "nullify" else "notarize"
    out.send(state.ids[peer], WantCertificate(state.config.epoch, wanted, number))


def watch_gap(state: State, out: Outbox) -> None:
    """1.5: a finalization whose ancestors cannot be had one by one soon is the host's to sync. Blocks that are here and
    only wait to be executed are no gap."""
    far = state.final_view - state.delivered.view > NEAR_VIEWS and not state.usable(state.final_view)
    if state.syncing or state.finalized is None or not (far or any(_gap_wants(state))):
        state.behind_since = None
        return
    if state.behind_since is None:
        state.behind_since = state.now
    if far or state.now >= state.behind_since + state.config.timing.behind:
        state.syncing = True
        out.behind = Behind(state.finalized)


def repeat_nullify(state: State, out: Outbox) -> None:
    """R8: stuck in a view after nullify: say so again, with what lets others enter this view."""
    at = state.clock.nullify_retry_at
    vote = state.at(state.view).own.get("nullify")
    if vote is None or not state.may_vote or (at is not None and state.now < at):
        return
    state.clock.nullify_retry_at = state.now + state.config.timing.retry
    if at is None:  # the vote is of a former life: R9 will tell it first
        return
    out.send(None, VoteCast(vote))
    before = state.views.get(state.view - 1)
    certificate = before.best_entry() if before is not None else None
    if certificate is not None:
        out.send(None, Certified(certificate))


def repeat_all(state: State, out: Outbox) -> None:
    """R9: nothing new is final: tell the last finalization and every certificate and own vote above it."""
    timing = state.config.timing
    if state.last_final_at > state.standstill_at:
        state.standstill_at, state.standstill_wait = state.last_final_at, timing.standstill
    if state.now < _standstill_due(state):
        return
    state.standstill_at = state.now
    state.standstill_wait = min(2 * state.standstill_wait, STANDSTILL_MAX)
    if state.finalized is not None:
        out.send(None, Certified(state.finalized))
    open_views = sorted(number for number in state.views if number > state.final_view)
    for number in [n for n in open_views if state.views[n].certificates or state.views[n].own][-STANDSTILL_VIEWS:]:
        _tell_view(state, out, number)


def _standstill_due(state: State) -> int:
    """Soon while anything is open above the last finalization, ever more slowly while nothing is."""
    is_open = state.exit_view > state.final_view or state.at(state.view).own or state.pending
    return state.standstill_at + (state.config.timing.standstill if is_open else state.standstill_wait)


def _tell_view(state: State, out: Outbox, number: int) -> None:
    view = state.views[number]
    for certificate in view.certificates.values():
        out.send(None, Certified(certificate))
    for vote in view.own.values():
        slot = view.slot
        is_proposal = view.proposal is not None and view.proposal.vote == vote and number == state.view
        if is_proposal and view.proposal is not None and slot is not None and slot.payload is not None:
            out.send(None, view.proposal, slot.payload)
        else:
            out.send(None, VoteCast(vote))


def next_time(state: State) -> int:
    """The earliest time at which a rule may fire without a new message."""
    own = state.at(state.view).own
    timing = state.config.timing
    times = [_standstill_due(state)]
    times.extend(attempt.next_at for attempt in state.wants.values())
    if state.behind_since is not None and not state.syncing:
        times.append(state.behind_since + timing.behind)
    if not state.may_vote:
        return min([*times, state.ask_again_at]) if state.me is not None else min(times)
    if "nullify" in own:
        times.append(state.clock.nullify_retry_at or state.now)
    elif "finalize" not in own:
        times.append(state.nullify_at())
        if state.is_leader() and not state.build_asked and state.armed_at() > state.now:
            times.append(state.armed_at())
    slot = state.at(state.view).slot
    if slot is not None and slot.retry_at > state.now:
        times.append(slot.retry_at)
    return min(times)
