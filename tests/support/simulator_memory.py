"""How much one core may hold, by counting what it keeps: a bound for each container, from the rules' constants.

Looks into the core's memory, which no rule does for another; only tests may.
"""

from consensus.core import Core
from consensus.effects import Effect, Persist, Send
from consensus.serving import MAX_TOLD
from consensus.state import LOOKAHEAD, RETENTION, State
from consensus.views import ViewState

MAX_WANTS = 8
"""Things that are fetched at a time."""
MAX_SENDS = 5 * 64 + 100
"""Messages of one step: a whole standstill repetition and a little more."""


def check_memory(core: Core, effects: tuple[Effect, ...]) -> None:
    """Nothing that peers say makes a container longer than this."""
    state = core._state
    near = max(state.view, state.final_view) + LOOKAHEAD
    span = near - state.delivered.view
    ahead = [number for number in state.views if number > near]
    assert all(state.views[number].certificates for number in ahead), "a view from far ahead that no quorum vouches for"
    assert len(state.views) <= RETENTION + span + len(ahead) + 2, f"{len(state.views)} views for a span of {span}"
    assert len(state.pending) <= span + len(ahead), f"{len(state.pending)} open views for a span of {span}"
    assert len(state.wants) <= MAX_WANTS, f"{len(state.wants)} questions at a time"
    assert max(len(state.last_seen), len(state.helped_at), len(state.answers)) <= state.n
    assert len(state.told_at) <= MAX_TOLD, "answers to peers of other epochs are remembered for ever"
    assert sum(isinstance(one, Send) for one in effects) <= MAX_SENDS, "one step says too much"
    assert sum(isinstance(one, Persist) for one in effects) <= 1
    for view in state.views.values():
        _check_view(state, view)


def _check_view(state: State, view: ViewState) -> None:
    assert len(view.candidates) <= 3, f"view {view.view} holds {len(view.candidates)} blocks"
    assert len(view.own) <= 3
    assert len(view.asked_twin) <= state.n
    assert len(view.reported) <= 3 * state.n
    if view.view <= state.delivered.view:
        assert not view.candidates, "bytes below the floor"
    for kind in ("notarize", "nullify", "finalize"):
        assert view.tally.count(kind) <= state.n
    assert len(view.tally._counts) <= 3 * state.n
