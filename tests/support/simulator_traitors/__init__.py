"""Validators that lie, one module for each kind of lie. `TRAITORS` lists them all; stories draw from it."""

from tests.support.simulator_traitors.block_forger import BlockForger
from tests.support.simulator_traitors.carry_liar import CarryLiar
from tests.support.simulator_traitors.censor import Censor
from tests.support.simulator_traitors.certificate_forger import CertificateForger
from tests.support.simulator_traitors.conflicter import Conflicter
from tests.support.simulator_traitors.endorsement_stripper import EndorsementStripper
from tests.support.simulator_traitors.equivocator import Equivocator
from tests.support.simulator_traitors.flooder import Flooder
from tests.support.simulator_traitors.garbler import Garbler
from tests.support.simulator_traitors.idler import Dawdler, NullifyOnly, Silent
from tests.support.simulator_traitors.impersonator import Impersonator
from tests.support.simulator_traitors.nuller import Nuller
from tests.support.simulator_traitors.outdated_replayer import OutdatedReplayer
from tests.support.simulator_traitors.spoiler import Spoiler
from tests.support.simulator_traitors.sync_liar import SyncLiar
from tests.support.simulator_traitors.time_mover import TimeMover
from tests.support.simulator_traitors.traitor import Traitor, make_traitor
from tests.support.simulator_traitors.withholder import HalfLeader, Withholder

TRAITORS: tuple[type[Traitor], ...] = (
    BlockForger, CarryLiar, Censor, CertificateForger, Conflicter, Dawdler, EndorsementStripper, Equivocator, Flooder,
    Garbler, HalfLeader, Impersonator, NullifyOnly, Nuller, OutdatedReplayer, Silent, Spoiler, SyncLiar, TimeMover,
    Withholder,
)  # fmt: skip

__all__ = ["TRAITORS", "Traitor", "make_traitor"]
