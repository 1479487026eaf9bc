"""Validators that lie, one module for each kind of lie. `TRAITORS` lists them all."""

from tests.support.simulator_traitors.block_forger import BlockForger, Censor, TimeMover
from tests.support.simulator_traitors.carry_liar import CarryLiar
from tests.support.simulator_traitors.conflicter import Conflicter
from tests.support.simulator_traitors.equivocator import Equivocator
from tests.support.simulator_traitors.flooder import Flooder
from tests.support.simulator_traitors.forger import Forger
from tests.support.simulator_traitors.garbler import Garbler
from tests.support.simulator_traitors.idler import Dawdler, NullifyOnly, Silent
from tests.support.simulator_traitors.impersonator import Impersonator
from tests.support.simulator_traitors.nuller import Nuller
from tests.support.simulator_traitors.replayer import Replayer
from tests.support.simulator_traitors.spoiler import Spoiler
from tests.support.simulator_traitors.traitor import Traitor, make_traitor
from tests.support.simulator_traitors.withholder import FetchLiar, HalfLeader, Withholder

TRAITORS: tuple[type[Traitor], ...] = (
    BlockForger, CarryLiar, Censor, Conflicter, Dawdler, Equivocator, FetchLiar, Flooder, Forger, Garbler,
    HalfLeader, Impersonator, NullifyOnly, Nuller, Replayer, Silent, Spoiler, TimeMover, Withholder,
)  # fmt: skip

__all__ = ["TRAITORS", "Traitor", "make_traitor"]
