"""Every family of state keys there is, for readers that show state by key.

Knows names only. Must always hold: a family that is written somewhere is listed here, under a name of its own.
"""

from typing import Any

from contracts.catalogue import DraftState, LineState, ProductState, ReleaseTextState
from contracts.holdstates import HOLD_FAMILIES
from contracts.riskstates import RiskSignalState
from contracts.states import (
    AccountState,
    CaseState,
    ClaimState,
    ConsentState,
    EpochState,
    FinalityKeyState,
    FreezeState,
    KeyState,
    NullifierState,
    OffenceState,
    OffenderState,
    ParametersState,
    ParticipantState,
    PayoutState,
    PolicyState,
    PoolState,
    ProgramState,
    ProposalState,
    RecordState,
)

FAMILIES: tuple[type[Any], ...] = (
    ParticipantState,
    KeyState,
    ProgramState,
    ParametersState,
    EpochState,
    ProposalState,
    FreezeState,
    FinalityKeyState,
    OffenceState,
    OffenderState,
    PolicyState,
    AccountState,
    ConsentState,
    CaseState,
    RecordState,
    NullifierState,
    PoolState,
    ClaimState,
    PayoutState,
    ProductState,
    LineState,
    ReleaseTextState,
    DraftState,
    RiskSignalState,
    *HOLD_FAMILIES,
)
