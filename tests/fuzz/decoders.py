"""The registry: every way in which bytes or text from outside become values."""

from typing import Final

from tests.fuzz.bank_decoders import BANK
from tests.fuzz.checking import Decoder
from tests.fuzz.consensus_decoders import CONSENSUS
from tests.fuzz.contract_decoders import CONTRACTS
from tests.fuzz.ledger_decoders import LEDGER
from tests.fuzz.node_decoders import NODE
from tests.fuzz.note_decoders import NOTES
from tests.fuzz.outside_decoders import OUTSIDE

DECODERS: Final[tuple[Decoder, ...]] = (*LEDGER, *CONSENSUS, *CONTRACTS, *NODE, *NOTES, *OUTSIDE, *BANK)
